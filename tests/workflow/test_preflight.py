"""What can be known before the first job is refused before it: the key, what was got, what is allowed."""

from __future__ import annotations

import copy
import hashlib
import json
import math
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from every_job import DEFAULT, changed

from udpdiff import checkpoints, preflight
from udpdiff.config_values import ConfigError
from udpdiff.preflight.checkpoints import _SAM2
from udpdiff.sources import panda70m_table
from udpdiff.video_io import write_mp4

MINI = (
    "captioner",
    "cogvideox",
    "cropformer",
    "depth_anything",
    "depthcrafter",
    "image_encoder",
    "sam2",
    "subject_encoder",
    "video_encoder",
    "udpdiff",
)
HERE = preflight.Machine()


def refused(raw: dict, *words: str, machine: preflight.Machine | None = None) -> None:
    with pytest.raises(ConfigError) as caught:
        preflight.check(raw, machine=machine)
    assert all(word in str(caught.value) for word in words), str(caught.value)


HOSTILE = (-1, -0.5, 10**30, 1e300, math.nan, math.inf, -math.inf, "", "\0", "1e400", True, [], {}, [1], {"a": 1})
LISTS = {
    "report.tables",
    "report.goals",
    "training.trackers",
    "metrics.judged_runs.entities",
    "metrics.judged_runs.depth",
}
TEXTS = (
    "preset",
    "source.path",
    "source.captions",
    "panda70m.fetch",
    "panda70m.cookies",
    "labels.captions.instruction",
)


def leaves(section: dict, above: str = ""):
    for key, value in section.items():
        if isinstance(value, dict) and value:
            yield from leaves(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value


@pytest.mark.parametrize("key, default", leaves(DEFAULT))
def test_no_value_without_sense_passes(key, default):
    for value in HOSTILE:
        allowed = (
            (value is True and isinstance(default, bool) and not key.endswith("offload_optimizer"))
            or (value == [] and key in LISTS)
            or (value == {} and default == {})
            or (value == [1] and key == "report.tables")
            or (key.endswith("min_matching_score") and value in (-1, -0.5))
            or (value == "1e400" and key in TEXTS)
            or (value in ("", "\0") and key == "preset")  # which are looked for before
        )
        try:
            preflight.check(changed(key, value))
        except ConfigError as error:
            assert not allowed, (value, str(error))
            named = key.split(".")[1 if key.startswith("runs.") else -1]
            assert named in str(error), (value, str(error))
        else:
            assert allowed, value


@pytest.mark.parametrize(
    "key, value, words",
    [
        ("clips.height", 8, ["clips.height", "8", "greater than or equal to 16"]),
        ("clips.width", 100_000, ["clips.width", "less than or equal to 4096"]),
        ("clips.fps", 5000, ["clips.fps", "5000", "less than or equal to 240"]),
        ("clips.fps", 0.0001, ["clips.fps", "0.0001", "greater than or equal to 1"]),
        ("clips.train", 10**9, ["clips.train", "1000000000", "less than or equal to 10000000"]),
        ("clips.train", 5_000_000, ["clips.train", "at most 1000000 scenes"]),
        ("clips.train", "1e9", ["clips.train", "'1e9'", "integer"]),
        ("clips.evaluation", 1, ["clips.evaluation", "1", "greater than or equal to 2"]),
        ("sampling.prompts", 1, ["sampling.prompts", "1", "greater than or equal to 2"]),
        ("seed", 2**63, ["seed", "9223372036854775808", "9223372036854775807"]),
        ("filters.min_motion", 255, ["filters.min_motion", "255", "less than 100"]),
        ("filters.max_cut_score", 0, ["filters.max_cut_score", "0", "greater than 0"]),
        ("filters.max_clipped_share", 0, ["filters.max_clipped_share", "greater than 0"]),
        ("labels.entities.entityseg.score_threshold", 1, ["score_threshold", "less than 1"]),
        ("labels.device", "gpu", ["labels.device", "unknown key"]),
        ("training.mixed_precision", False, ["training.mixed_precision", "False", "'no', 'bf16' or 'fp16'"]),
        ("training.steps", True, ["training.steps", "got yes", "give a number"]),
        ("clips", 3, ["clips: got 3", "a section"]),
        ("clips", None, ["clips: got None", "a section"]),
        ("metrics.interpolator", "amt", ["metrics.interpolator", "'amt'", "blend, or plugin:MODULE:FUNCTION"]),
        ("metrics.interpolator", "plugin:nope:f", ["metrics.interpolator", "no module nope"]),
        ("metrics.interpolator", "plugin:json:no_such", ["metrics.interpolator", "defines no no_such"]),
        ("metrics.subject_encoder", "i3d:x", ["metrics.subject_encoder", "no such folder"]),
        ("metrics.video_encoder", "i3d:x.pt", ["metrics.video_encoder", "no such file", "i3d:FILE#SHA256"]),
        ("metrics.flow", "raft", ["metrics.flow", "raft_large"]),
        ("metrics.flow", "raft:x.pth", ["metrics.flow", "no such file", "raft:FILE#SHA256"]),
        ("labels.tracker.checkpoint", "facebook/sam2.1-hiera-huge", ["labels.tracker.checkpoint", "expected a SAM 2"]),
        ("labels.tracker.checkpoint", "a/..", ["labels.tracker.checkpoint", "no such folder"]),
        ("report.goals", ["labels.entity_mio >= 0.8"], ["report.goals", "entity_mio", "docs/figures.md"]),
        ("report.goals", ["labels.grid9.entity_miou >= 0.8"], ["report.goals", "'grid9' is not among", "grid12"]),
        ("report.goals", ["runtime.multy.runtime_seconds <= 8"], ["report.goals", "'multy' is not among", "multi"]),
        ("report.goals", ["label.entity_miou >= 0.8"], ["report.goals", "no group 'label'"]),
        ("report.goals", ["generated.depth_delta1 > guess"], ["report.goals", "'guess'"]),
        ("report.goals", ["generated.fvd_depth <= 1e.5"], ["report.goals", "'1e.5'"]),
        (
            "runs",
            {"multi": {"tasks": {"seg": 0.5, "depth": 0.5}}},
            ["report.tables: got 1", "base (tasks: video)", "got 9"],
        ),
    ],
)
def test_what_failed_hours_later_is_refused(key, value, words):
    raw = changed(key, value)
    if key == "runs":
        raw["metrics"]["judged_runs"]["entities"] = None
    refused(raw, *words)


@pytest.mark.parametrize(
    "goal", ["labels.grid8.entity_miou_low >= 0.1", "runtime.multi.runtime_seconds <= 8", "cost.train_seconds <= 9"]
)
def test_goals_of_any_figure_are_taken(goal):
    preflight.check(changed("report.goals", [goal, *DEFAULT["report"]["goals"]]))


def test_all_faults_of_a_kind_are_told_at_once():
    raw = changed("runs.multi.training", {"steps": -1})
    raw["runs"]["seg"]["training"] = {"batch_size": 0}
    refused(raw, "runs.multi.training: steps", "runs.seg.training: batch_size")
    raw = changed("metrics.interpolator", "amt")
    raw["labels"]["tracker"]["checkpoint"] = "mini:cropformer"
    raw["training"]["gradient_accumulation_steps"] = 3
    raw["clips"]["num_frames"] = 10
    refused(raw, "metrics.interpolator", "labels.tracker.checkpoint", "multiple of 3", "clips.num_frames")
    raw = changed("metrics.judges.depth", "eyes")
    raw["runs"]["multi"]["entities"] = "grid9"
    refused(raw, "metrics.judges.depth", "runs.multi.entities")


def test_a_billion_clips_take_no_memory():
    code = (
        "import resource; resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30)); import sys; sys.path[:0] = sys.argv[1:]\n"
        "from every_job import changed; from udpdiff import preflight\n"
        "for kind, train in (('panda70m', 10**7), ('scenes', 10**6), ('scenes', 10**9)):\n"
        "    raw = changed('clips.train', train); raw['source']['kind'] = kind; raw['clips']['shard_clips'] = 1000\n"
        "    try: print(len(preflight.check(raw).shard_numbers('train')))\n"
        "    except preflight.ConfigError as error: print(error)\n"
    )
    folders = [str(Path(__file__).parent), str(Path(__file__).parents[2])]
    done = subprocess.run([sys.executable, "-c", code, *folders], capture_output=True, text=True)
    assert done.stdout.splitlines()[:2] == ["10000", "1000"] and "clips.train: got 1000000000" in done.stdout, (
        done.stderr
    )


CHECKPOINT_KEYS = {
    "model.base": "cogvideox",
    "models.udpdiff.checkpoint": "udpdiff",
    "labels.entities.entityseg.segmenter": "cropformer",
    "labels.tracker.checkpoint": "sam2",
    "labels.depth.depthcrafter.checkpoint": "depthcrafter",
    "labels.depth.depth_anything.checkpoint": "depth_anything",
    "labels.captions.captioner": "captioner",
    "metrics.subject_encoder": "subject_encoder",
    "metrics.image_encoder": "image_encoder",
    "metrics.video_encoder": "video_encoder",
    "metrics.kernel_encoder": "video_encoder",
}


@pytest.mark.parametrize("key", CHECKPOINT_KEYS)
def test_a_checkpoint_is_of_the_kind_that_its_key_asks_for(key, tmp_path):
    for name in MINI:
        if name == CHECKPOINT_KEYS[key]:
            preflight.check(changed(key, f"mini:{name}"))
        else:
            refused(changed(key, f"mini:{name}"), f"{key}: got 'mini:{name}'", "expected a")
    refused(changed(key, str(tmp_path)), f"{key}: got", "a folder without")
    refused(changed(key, str(tmp_path / "none")), f"{key}: got", "no such folder; allowed")
    refused(changed(key, "none"), f"{key}: got 'none'", f"no such folder in {Path.cwd()}; allowed")


@pytest.mark.parametrize("key, name", [pair for pair in CHECKPOINT_KEYS.items() if pair[1]])
def test_a_checkpoint_is_whole(key, name, tmp_path):
    whole = Path(checkpoints.resolve(f"mini:{name}"))
    for file in whole.rglob("*"):
        if file.suffix not in (".safetensors", ".json") or file.name in ("training.json", "preprocessor_config.json"):
            continue
        if (
            file.parent.name == "tokenizer"
            or file.name in ("model_index.json", "head.safetensors", "generation_config.json", "processor_config.json")
            or "tokenizer" in file.name
        ):
            continue
        folder = tmp_path / file.relative_to(whole).as_posix().replace("/", "-")
        shutil.copytree(whole, folder, copy_function=os.symlink)
        (folder / file.relative_to(whole)).unlink()
        refused(changed(key, str(folder)), f"{key}: got", "a folder without")


def test_every_shard_of_weights_is_there(tmp_path):
    folder = tmp_path / "vit"
    shutil.copytree(checkpoints.resolve("mini:subject_encoder"), folder)
    (folder / "model.safetensors.index.json").write_text(
        json.dumps({"weight_map": {"a": "model.safetensors", "b": "2.safetensors"}})
    )
    refused(changed("metrics.subject_encoder", str(folder)), "a folder without 2.safetensors")
    (folder / "2.safetensors").touch()
    preflight.check(changed("metrics.subject_encoder", str(folder)))


def test_a_folder_with_a_typo_is_no_checkpoint_of_the_hub(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(checkpoints.resolve("mini:subject_encoder"), tmp_path / "weights" / "vit")
    preflight.check(changed("metrics.subject_encoder", "weights/vit"))
    refused(
        changed("metrics.subject_encoder", "weights/vitt"),
        "no such folder",
        "did you mean weights/vit?",
        "weights/vitt@main",
    )
    preflight.check(changed("metrics.subject_encoder", "weights/vitt@main"))
    preflight.check(changed("metrics.subject_encoder", "facebook/dino-vitb16"))


def test_the_names_of_sam2_are_those_that_the_package_knows():
    from sam2.build_sam import HF_MODEL_ID_TO_FILENAMES

    assert all(_SAM2.fullmatch(name) for name in HF_MODEL_ID_TO_FILENAMES) and len(HF_MODEL_ID_TO_FILENAMES) == 8


def test_a_torchscript_file_is_the_one_that_was_named(tmp_path):
    file = tmp_path / "i3d.pt"
    file.write_bytes(b"code")
    digest = hashlib.sha256(b"code").hexdigest()
    for mark in ("", "#", "#0123", f"#{digest}0"):
        refused(changed("metrics.video_encoder", f"i3d:{file}{mark}"), "metrics.video_encoder", "64 digits", "SHA-256")
    refused(changed("metrics.video_encoder", f"i3d:{file}#{'0' * 64}"), digest, "its publisher's", machine=HERE)
    refused(changed("metrics.flow", f"raft:{file}"), "metrics.flow", "64 digits", "raft:FILE#SHA256")
    refused(changed("metrics.flow", f"raft:{file}#{'0' * 64}"), "metrics.flow", digest, machine=HERE)
    preflight.check(changed("metrics.flow", f"raft:{file}#{digest}"), machine=HERE)
    raw = changed("metrics.video_encoder", f"i3d:{file}#{digest.upper()}")
    preflight.check(copy.deepcopy(raw), machine=HERE)
    raw["clips"]["num_frames"] = 5
    refused(raw, "clips.num_frames 5", "9 frames or more")


def test_folders_of_the_user_s_serve_as_every_checkpoint():
    def with_folders(value):
        if isinstance(value, dict):
            return {key: with_folders(each) for key, each in value.items()}
        return checkpoints.resolve(value) if str(value).startswith("mini:") else value

    flow = preflight.check(with_folders(DEFAULT), machine=HERE)
    assert flow.config.metrics.video_encoder.startswith("folder:video_encoder#") and len(flow.places) == len(MINI)


# What the machine has


@pytest.fixture
def machine(tmp_path, monkeypatch) -> Path:
    """A work folder on a machine without GPUs, with `bin` as all its programs."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    return tmp_path


def test_a_gpu_that_was_named_is_there_unless_jobs_run_elsewhere(machine, monkeypatch):
    raw = changed("device", "cuda")
    refused(raw, "device: got cuda", "no GPU", "null or cpu", machine=HERE)
    refused(changed("device", "mps"), "device: got mps", "macOS", machine=HERE)
    preflight.check(raw, machine=preflight.Machine(cluster=True))
    preflight.check(raw)  # a plan
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,7")
    preflight.check(raw, machine=HERE)
    preflight.check(changed("device", "cuda:1"), machine=HERE)
    refused(changed("device", "cuda:2"), "device: got cuda:2", "2 GPUs", machine=HERE)


def test_results_can_be_written(machine):
    (machine / "results").touch()
    refused(changed("seed", 1), "work folder:", "results", "is a file", machine=HERE)


def test_offline_a_checkpoint_is_in_the_cache(machine, monkeypatch):
    code = (
        "import sys; sys.path[:0] = sys.argv[1:]; from every_job import changed; from udpdiff import preflight\n"
        "raw = changed('metrics.subject_encoder', 'facebook/dino-vitb16'); preflight.check(raw)\n"
        "preflight.check(raw, machine=preflight.Machine())"
    )
    folders = [str(Path(__file__).parent), str(Path(__file__).parents[2])]
    environment = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(machine / "hub")}
    done = subprocess.run([sys.executable, "-c", code, *folders], capture_output=True, text=True, env=environment)
    assert "metrics.subject_encoder: HF_HUB_OFFLINE is set; facebook/dino-vitb16" in done.stderr.splitlines()[-1]


def panda(folder: Path, **changes) -> dict:
    (folder / "table.csv").write_text(",".join(panda70m_table.COLUMNS) + "\n")
    raw = changed("source", DEFAULT["source"] | {"kind": "panda70m", "path": str(folder / "table.csv")})
    raw["panda70m"] |= changes
    return raw


def test_what_downloads_need_is_installed(machine, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name, package=None: None)
    refused(panda(machine), "panda70m.fetch: needs the package yt-dlp", "program ffmpeg", machine=HERE)
    preflight.check(panda(machine))


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"fetch": "plugin:nope:f"}, ["panda70m.fetch", "no module nope", "yt_dlp"]),
        ({"fetch": "wget"}, ["panda70m.fetch", "'wget'", "yt_dlp, or plugin:MODULE:FUNCTION"]),
        ({"cookies": "none.txt"}, ["panda70m.cookies", "no such file"]),
        (
            {"gates": DEFAULT["panda70m"]["gates"] | {"max_seconds": 1}},
            ["panda70m.gates.max_seconds", "1.125", "rejected"],
        ),
    ],
)
def test_downloads_that_cannot_succeed(machine, changes, words):
    refused(panda(machine, **changes), *words)


def test_videos_of_which_none_can_be_read(machine):
    folder = machine / "videos"
    folder.mkdir()
    for name in "abcdefgh":
        (folder / f"{name}.mp4").write_bytes(b"no video")
    raw = changed("source", DEFAULT["source"] | {"kind": "videos", "path": str(folder)})
    raw["source"]["captions"] = str(machine / "captions.csv")
    (machine / "captions.csv").write_text("clip,caption\n" + "".join(f"{name}.mp4,A\n" for name in "abcdefgh"))
    preflight.check(copy.deepcopy(raw))
    refused(
        copy.deepcopy(raw), "source.path: of 8 files none gives a clip of 9 frames at 8 fps", "a.mp4: ", machine=HERE
    )
    write_mp4(folder / "c.mp4", np.zeros((8, 16, 16, 3), np.uint8), 16.0)
    refused(copy.deepcopy(raw), "none gives a clip", machine=HERE)
    write_mp4(folder / "c.mp4", np.zeros((40, 16, 16, 3), np.uint8), 16.0)
    preflight.check(copy.deepcopy(raw), machine=HERE)
    raw["clips"]["evaluation_share"] = 0.05
    refused(
        raw,
        "clips.evaluation_share: got 0.05, by which 8 videos of 8 films",
        "7 clips to train on and 1 to evaluate",
        "0.2 gives as many",
    )


@pytest.mark.parametrize(
    "count, words", [(3, "0.5 gives as many"), (5, "0.3 gives as many"), (7, "0.25 gives as many")]
)
def test_a_few_films_are_told_which_share_serves(machine, count, words):
    (machine / "videos").mkdir()
    for name in "abcdefgh"[:count]:
        (machine / f"videos/{name}.mp4").touch()
    raw = changed("source", DEFAULT["source"] | {"kind": "videos", "path": str(machine / "videos")})
    raw["labels"]["captions"]["captioner"] = "lab/captioner"
    refused(raw, "clips.evaluation_share: got 0.2", f"{count - 1} clips to train on and 1 to evaluate", words)


def test_videos_in_folders_inside_are_told(machine):
    (machine / "videos/holiday").mkdir(parents=True)
    (machine / "videos/holiday/a.mp4").touch()
    raw = changed("source", DEFAULT["source"] | {"kind": "videos", "path": str(machine / "videos")})
    refused(raw, "holds no video files; at least 3", "Ignored in", "1 folders (holiday)")


def test_cuts_of_two_films_may_never_be_enough(machine):
    (machine / "videos").mkdir()
    for name in ("a-Scene-001", "b-Scene-001", "b-Scene-002"):
        (machine / f"videos/{name}.mp4").touch()
    raw = changed("source", DEFAULT["source"] | {"kind": "videos", "path": str(machine / "videos")})
    raw["labels"]["captions"]["captioner"] = "lab/captioner"
    for seed in range(9):  # the film of two cuts evaluates, or it does not
        try:
            preflight.check(raw | {"seed": seed})
        except preflight.ConfigError as error:
            assert "of 2 films" in str(error) and "add videos of other films" in str(error)
            return
    raise AssertionError("no seed in nine lets the film of one cut evaluate")
