"""Bad configurations are refused before a job starts, in words that name the key."""

from __future__ import annotations

import copy
import hashlib
import json
import shutil
from pathlib import Path

import pytest
from every_job import DEFAULT, changed

from udpdiff import checkpoints, preflight
from udpdiff.config.parsing import parse
from udpdiff.config_values import ConfigError
from udpdiff.sources import panda70m_table


def test_default_is_accepted_and_describes_itself():
    flow = preflight.check(copy.deepcopy(DEFAULT))
    clips = DEFAULT["clips"]
    assert f"{clips['train']} training and {clips['evaluation']} evaluation clips from scenes" in flow.describe()
    assert f", {DEFAULT['sampling']['prompts']} prompts each" in flow.describe()
    assert ", 3 prompts each" in preflight.check(changed("clips.evaluation", 3)).describe()
    flow = preflight.check(changed("clips.shard_clips", clips["train"] - 1))
    assert len(flow.shard_numbers("train")) == len(flow.shards["train"]) == 2


@pytest.mark.parametrize(
    "key, value, words",
    [
        ("training.stepz", 3, ["training.stepz", "unknown key", "'steps'"]),
        ("metrics.judged_runs.entities", ["multy"], ["metrics.judged_runs.entities", "'multy'", "multi_text"]),
        ("clipz", {}, ["clipz", "unknown key", "'clips'"]),
        ("training.steps", "many", ["training.steps", "'many'", "integer"]),
        ("training.offload_optimizer", True, ["training", "offload_optimizer", "'muon'", "adamw alone"]),
        ("training.learning_rate", -1, ["training.learning_rate", "-1", "greater than 0"]),
        ("model.init_in", "twice", ["model.init_in", "twice", "'zero', 'copy', 'half', 'resample' or 'orthogonal'"]),
        ("clips.num_frames", 10, ["clips.num_frames", "10", "8 n + 1", "9 or 17"]),
        ("clips.num_frames", 5, ["clips.num_frames", "5", "8 n + 1", "9 or 17"]),
        ("clips.num_frames", 13, ["clips.num_frames", "13", "8 n + 1", "9 or 17"]),
        ("clips.height", 70, ["clips.height", "70", "multiple of 8", "64 or 72"]),
        ("model.base", "mini:cogvideo", ["model.base", "cogvideo"]),
        ("model.base", "zai-org/CogVideoX1.5-5B-I2V", ["model.base", "CogVideoX1.5-5B-I2V", "text-to-video"]),
        ("labels.tracker.checkpoint", "./nowhere", ["labels.tracker.checkpoint", "nowhere", "no such folder"]),
        ("runs.multi.replicates", 0, ["runs.multi.replicates", "0", "greater than or equal to 1"]),
        ("runs.multi.tasks", {"seg": 0.5, "depth": 0.2}, ["runs.multi", "0.7", "add up to 1"]),
        ("runs.multi.tasks", {"flow": 1.0}, ["runs.multi", "flow", "seg, depth, normals"]),
        ("runs.multi.entities", "grid9", ["runs.multi.entities", "grid9", "entityseg"]),
        ("runs.multi.training", {"stps": 5}, ["runs.multi.training", "stps", "'steps'"]),
        ("sampling.num_inference_steps", 30, ["sampling.num_inference_steps", "30", "25"]),
        ("sampling.acceleration", "teacache", ["sampling.acceleration", "teacache", "'mag_cache'"]),
        ("sampling.acceleration_threshold", 0, ["sampling.acceleration_threshold", "0", "greater than 0"]),
        ("sampling.acceleration_threshold", 0.1, ["acceleration_threshold 0.1", "acceleration null", "mag_cache"]),
        ("device", "gpu", ["device", "'gpu'", "cpu|mps|cuda"]),
        ("training.gradient_accumulation_steps", 3, ["training.batch_size", "8", "multiple of 3"]),
        ("labels.depth.depth_anything.model", "midas", ["labels.depth.depth_anything.model", "midas", "depthcrafter"]),
        ("labels.depth.other", {"checkpoint": "a/b"}, ["labels.depth.other.model", "missing", "depth_anything"]),
        (
            "labels.depth.other",
            {"model": "depthcrafter", "checkpoint": "a/b", "windw": 9},
            ["labels.depth.other.windw", "unknown key", "'window'"],
        ),
        (
            "labels.depth.other",
            {"model": "depthcrafter", "checkpoint": "a/b", "window": 9, "overlap": 9},
            ["labels.depth.other", "overlap 9", "window 9"],
        ),
        (
            "labels.depth.other",
            {"model": "depthcrafter", "checkpoint": "a/b", "base": "./nowhere"},
            ["labels.depth.other.base", "nowhere", "no such folder"],
        ),
        ("labels.captions.captioner", "./nowhere", ["labels.captions.captioner", "nowhere", "no such folder"]),
        ("labels.captions.max_tokens", 400, ["labels.captions.max_tokens", "400", "at most 48"]),
        ("labels.captions.max_token", 4, ["labels.captions.max_token", "unknown key", "'max_tokens'"]),
        ("labels.entities.entityseg.model", "sam", ["labels.entities.entityseg.model", "sam", "segmenter, point_grid"]),
        ("labels.entities.other", {"segmenter": "a/b"}, ["labels.entities.other.score_threshold", "missing"]),
        (
            "labels.entities.other",
            {"model": "point_grid", "points_per_side": 8, "filtring": "amg"},
            ["labels.entities.other.filtring", "unknown key", "'filtering'"],
        ),
        (
            "labels.entities.other",
            {"model": "point_grid", "points_per_side": 0, "filtering": "some"},
            [
                "labels.entities.other.points_per_side",
                "greater than or equal to 1",
                "labels.entities.other.filtering",
                "'amg'",
            ],
        ),
        ("metrics.judges.depth", "eyes", ["metrics.judges.depth", "eyes", "depth_anything"]),
        ("labels.entities.a; touch pwned; #", {"segmenter": "a/b", "score_threshold": 0.5}, ["touch pwned", "pattern"]),
        ("runs.multi.colormaps", {"seg": "plasma"}, ["colormaps.seg", "plasma", "pixelplanes, location"]),
        ("runs.depth.colormaps", {"seg": "location"}, ["colormaps", "seg", "depth"]),
        ("report.goals", ["labels.entity_miou is good"], ["report.goals", "labels.entity_miou is good"]),
        ("tasks.seg.location_grid", 12, ["tasks.seg.location_grid", "12", "less than or equal to 11"]),
        ("tasks.seg.colors", 12, ["tasks.seg.colors", "unknown key", "colourings"]),
    ],
)
def test_faults_name_the_key_and_the_remedy(key, value, words):
    with pytest.raises(ConfigError) as caught:
        preflight.check(changed(key, value))
    for word in words:
        assert word in str(caught.value), str(caught.value)


def test_a_task_whose_options_have_defaults_needs_no_section():
    """So a new one does not stop the configurations that were written before it."""
    raw = copy.deepcopy(DEFAULT)
    del raw["tasks"]["depth"]
    assert preflight.check(raw).config.tasks.depth == preflight.check(copy.deepcopy(DEFAULT)).config.tasks.depth


@pytest.mark.parametrize(
    "key, value, words",
    [
        ("training.lora_rank", 4, ["training.lora_rank", "peft", '".[lora]"']),
        ("training.optimizer", "adamw_8bit", ["training.optimizer", "bitsandbytes", '".[adamw-8bit]"']),
        ("runs.multi.training", {"lora_rank": 4}, ["training.lora_rank", "peft", '".[lora]"']),
    ],
)
def test_a_missing_package_is_named_with_its_extra(key, value, words, monkeypatch):
    preflight.check(copy.deepcopy(DEFAULT))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigError) as error:
        preflight.check(changed(key, value))
    assert all(word in str(error.value) for word in words)


@pytest.mark.parametrize(
    "transformer, key, value, words",
    [
        ({"in_channels": 32}, "model.base", None, ["model.base", "32 channels", "image-to-video"]),
        ({"patch_size_t": 2, "sample_height": 16}, "clips.height", 72, ["clips.height", "72", "1.5", "64 pixels"]),
        ({"patch_size_t": 2, "sample_height": 18}, "clips.height", 72, []),
        ({"max_text_seq_length": 224}, "labels.captions.max_tokens", 226, ["max_tokens", "226", "at most 224"]),
    ],
)
def test_a_base_says_what_it_takes(transformer, key, value, words, tmp_path):
    shutil.copytree(checkpoints.resolve("mini:cogvideox"), tmp_path / "base")
    path = tmp_path / "base" / "transformer" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | transformer))
    raw = changed(key, value)
    raw["model"]["base"] = str(tmp_path / "base")
    if not words:
        preflight.check(raw)
        return
    with pytest.raises(ConfigError) as error:
        preflight.check(raw)
    assert all(word in str(error.value) for word in words)


@pytest.mark.parametrize("base", ["THUDM/CogVideoX-5b", "zai-org/CogVideoX1.5-5B"])
@pytest.mark.parametrize(
    "key, value, word",
    [
        ("training.mixed_precision", "fp16", "use bf16"),
        ("runs.multi.training", {"mixed_precision": "fp16"}, "runs.multi.training"),
        ("sampling.dtype", "float16", "black videos; use bfloat16"),
    ],
)
def test_a_base_of_bfloat16_is_not_run_in_float16(base, key, value, word):
    raw = changed(key, value)
    raw["model"]["base"] = base
    with pytest.raises(ConfigError) as error:
        preflight.check(raw)
    assert word in str(error.value) and base in str(error.value)
    raw["model"]["base"] = "THUDM/CogVideoX-2b"
    preflight.check(raw)


def test_all_faults_are_told_at_once():
    raw = changed("training.steps", 0)
    raw["clips"]["fps"] = "fast"
    with pytest.raises(ConfigError) as caught:
        parse(raw)
    assert "training.steps" in str(caught.value) and "clips.fps" in str(caught.value)


def test_a_run_overrides_training_for_itself_alone():
    config = parse(changed("runs.multi.training", {"learning_rate": 0.25}))
    assert config.run_training("multi").learning_rate == 0.25
    assert config.run_training("seg").learning_rate == DEFAULT["training"]["learning_rate"]


def folder_source(tmp_path: Path, names: list[str], captions: str) -> dict:
    folder = tmp_path / "videos"
    folder.mkdir()
    for name in names:
        (folder / name).write_bytes(b"")
    (tmp_path / "captions.csv").write_text(captions)
    raw = copy.deepcopy(DEFAULT)
    raw["source"] |= {"kind": "videos", "path": str(folder), "captions": str(tmp_path / "captions.csv")}
    return raw


def test_empty_folder(tmp_path):
    with pytest.raises(ConfigError, match=r"source\.path: .*no video"):
        preflight.check(folder_source(tmp_path, [], "clip,caption\n"))


def test_missing_folder_and_csv(tmp_path):
    raw = folder_source(tmp_path, ["a.mp4", "b.mp4"], "clip,caption\na.mp4,A\nb.mp4,B\n")
    raw["source"]["captions"] = str(tmp_path / "none.csv")
    with pytest.raises(ConfigError, match=r"source\.captions: .*no such file"):
        preflight.check(raw)
    raw["source"]["path"] = str(tmp_path / "none")
    with pytest.raises(ConfigError, match=r"source\.path: .*no such folder"):
        preflight.check(raw)


def test_the_captioner_of_scenes_is_for_scenes_alone(tmp_path):
    assert parse(copy.deepcopy(DEFAULT)).labels.captions.captioner == "mini:captioner"
    rows = "clip,caption\na.mp4,A\nb.mp4,B\nc.mp4,C\n"
    assert parse(folder_source(tmp_path, ["a.mp4", "b.mp4", "c.mp4"], rows)).labels.captions.captioner is None


def test_a_captioner_makes_up_for_missing_captions(tmp_path):
    raw = folder_source(tmp_path, ["a.mp4", "b.mp4", "c.mp4"], "")
    raw["source"]["captions"] = None
    with pytest.raises(ConfigError, match=r"source\.captions: got null; .*labels\.captions\.captioner"):
        preflight.check(raw)
    raw["labels"]["captions"]["captioner"] = "Qwen/Qwen3-VL-8B-Instruct"
    raw["clips"]["evaluation_share"] = 0.7
    assert len(preflight.check(raw).shard_numbers("train")) == 1


@pytest.mark.parametrize("kind", ["videos", "panda70m"])
def test_a_source_may_be_unnamed_while_planning_only(kind):
    raw = copy.deepcopy(DEFAULT)
    raw["source"]["kind"] = kind
    raw["clips"] |= {"train": 1000, "shard_clips": 300}
    flow = preflight.check(raw)
    assert len(flow.shard_numbers("train")) == 4 and flow.describe()
    with pytest.raises(ConfigError, match=r"source\.path: got null.*name"):
        flow.complete()
    raw["source"]["path"] = "no/such/place"
    with pytest.raises(ConfigError, match="no such f"):
        preflight.check(raw)


def test_captions_of_unknown_clips_are_told_and_refused_where_there_are_no_others(tmp_path):
    rows = "clip,caption\na.mp4,A\nb.mp4,B\nc.mp4,C\nzebra.mp4,Z\n"
    raw = folder_source(tmp_path, ["a.mp4", "b.mp4", "c.mp4", "d.mp4"], rows)
    raw["clips"]["evaluation_share"] = 0.7
    assert any("zebra" in notice for notice in preflight.check(copy.deepcopy(raw)).notices())
    (tmp_path / "captions.csv").write_text("clip,caption\nzebra.mp4,B\n")
    with pytest.raises(ConfigError, match=r"source\.captions: .*zebra"):
        preflight.check(raw)


def test_a_csv_without_captions_is_refused(tmp_path):
    names = ["a.mp4", "b.mp4", "c.mp4", "d.mp4"]
    with pytest.raises(ConfigError, match=r"source\.captions: .* gives no video .* a caption"):
        preflight.check(folder_source(tmp_path, names, "clip,caption\na,\n"))


def test_splits_of_a_folder_share_no_source(tmp_path):
    names = [f"video{index:02d}.{part}.mp4" for index in range(10) for part in range(3)]
    rows = "".join(f"{name},caption\n" for name in names)
    flow = preflight.check(folder_source(tmp_path, names, f"clip,caption\n{rows}"))
    sources = {
        split: {name.split(".")[0] for shard in flow.shards[split] for name in shard}
        for split in ("train", "evaluation")
    }
    assert sources["train"] and sources["evaluation"] and not sources["train"] & sources["evaluation"]


def test_paths_are_relative_to_the_file_that_names_them(tmp_path):
    raw = folder_source(tmp_path, ["a.mp4", "b.mp4", "c.mp4"], "clip,caption\na.mp4,A\nb.mp4,B\nc.mp4,C\n")
    raw["source"] |= {"path": "videos", "captions": "captions.csv"}
    raw["clips"]["evaluation_share"] = 0.7
    mine = tmp_path / "mine.yaml"
    mine.write_text("source: {kind: videos, path: videos, captions: captions.csv}")
    flow = preflight.check(raw, [mine])
    assert flow.config.source.path == str(tmp_path / "videos")


def test_checkpoint_folders_are_relative_to_the_file_that_names_them(tmp_path):
    for name, place in {"cogvideox": "base", "cropformer": "swin/tiny"}.items():
        shutil.copytree(checkpoints.resolve(f"mini:{name}"), tmp_path / "weights" / place)
    mine = tmp_path / "mine.yaml"
    mine.write_text(
        "{model: {base: weights/base}, labels: {entities: {entityseg: {segmenter: weights/swin/tiny}}, "
        "tracker: {checkpoint: facebook/sam2.1-hiera-large}}}"
    )
    raw = copy.deepcopy(DEFAULT)
    raw["model"]["base"] = "weights/base"
    raw["labels"]["entities"]["entityseg"]["segmenter"] = "weights/swin/tiny"
    raw["labels"]["tracker"]["checkpoint"] = "facebook/sam2.1-hiera-large"
    flow = preflight.check(raw, [mine])
    config = flow.config
    assert flow.places[config.model.base] == str(tmp_path / "weights/base")
    assert flow.places[config.labels.entities["entityseg"].segmenter] == str(tmp_path / "weights/swin/tiny")
    assert config.model.base.startswith("folder:base#"), "a name that holds wherever the folder is"
    assert config.labels.tracker.checkpoint == "facebook/sam2.1-hiera-large", "a hub id stays one"
    assert config.labels.depth["depthcrafter"].checkpoint == "mini:depthcrafter", "the default file's keys stay"


def test_cookies_are_relative_to_the_file_that_names_them(tmp_path):
    (tmp_path / "table.csv").write_text(",".join(panda70m_table.COLUMNS) + "\n")
    (tmp_path / "cookies.txt").write_text("# Netscape HTTP Cookie File\n")
    mine = tmp_path / "mine.yaml"
    mine.write_text("{source: {kind: panda70m, path: table.csv}, panda70m: {cookies: cookies.txt}}")
    raw = copy.deepcopy(DEFAULT)
    raw["source"] |= {"kind": "panda70m", "path": "table.csv"}
    raw["panda70m"]["cookies"] = "cookies.txt"
    config = preflight.check(raw, [mine]).config
    assert config.panda70m.cookies == str(tmp_path / "cookies.txt")
    assert config.source.path == str(tmp_path / "table.csv")


def test_a_torchscript_file_is_relative_to_the_file_that_names_it(tmp_path):
    (tmp_path / "i3d.pt").write_bytes(b"")
    mine = tmp_path / "mine.yaml"
    digest = hashlib.sha256(b"").hexdigest()
    mine.write_text(f"{{metrics: {{video_encoder: 'i3d:i3d.pt#{digest}'}}}}")
    raw = changed("metrics.video_encoder", f"i3d:i3d.pt#{digest}")
    assert preflight.check(raw, [mine]).places == {f"i3d:i3d.pt#{digest}": f"i3d:{tmp_path / 'i3d.pt'}#{digest}"}
    mine.write_text(f"{{metrics: {{flow: 'raft:i3d.pt#{digest}'}}}}")
    found = preflight.check(changed("metrics.flow", f"raft:i3d.pt#{digest}"), [mine])
    assert found.places == {f"raft:i3d.pt#{digest}": f"raft:{tmp_path / 'i3d.pt'}#{digest}"}
    (tmp_path / "dis").mkdir()
    mine.write_text("{metrics: {flow: dis}}")
    assert preflight.check(changed("metrics.flow", "dis"), [mine]).config.metrics.flow == "dis", "never a folder"
    with pytest.raises(ConfigError, match=r"metrics.video_encoder: got .*missing.pt"):
        preflight.check(changed("metrics.video_encoder", "i3d:missing.pt#0123"))


def test_normals_want_finer_depth_than_depth_itself():
    raw = changed("storage.depth_bits", 8)
    preflight.check(copy.deepcopy(raw))
    raw["runs"]["normals"] = {"tasks": {"normals": 1.0}}
    with pytest.raises(
        ConfigError, match=r"storage.depth_bits: got 8, and run normals learns normals.*12 bits or more"
    ):
        preflight.check(raw)


def test_gpus_of_the_profile_share_the_batches_and_are_those_that_memory_is_counted_with():
    flow = preflight.check(copy.deepcopy(DEFAULT))
    for gpus in (0, 1, 2, 4, 8):
        preflight.check_gpus(flow, gpus)
    with pytest.raises(
        ConfigError, match=r"training.batch_size: got 8 for run base; a training gets gpu=3.*multiple of 3"
    ):
        preflight.check_gpus(flow, 3)
    flow = preflight.check(changed("gpu", "a100-80g") | {"gpus": 8})
    with pytest.raises(ConfigError, match=r"gpus: got 8, and a training gets gpu=4 .*set gpus: 4"):
        preflight.check_gpus(flow, 4)


def test_gpus_and_accumulated_steps_share_the_batch_together():
    flow = preflight.check(changed("training.gradient_accumulation_steps", 2))
    preflight.check_gpus(flow, 4)
    with pytest.raises(ConfigError, match=r"gpu=8 .*multiple of 16"):
        preflight.check_gpus(flow, 8)
