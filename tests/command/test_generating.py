"""From a trained run to a small folder, and from that to a video with its prediction, by the command and by name."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import shlex
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate.state import AcceleratorState
from PIL import Image
from test_documented_commands import PAGES, commands

from udpdiff import checkpoints, command
from udpdiff.command import notices
from udpdiff.model.description import Description
from udpdiff.model.pipeline import UDPDiffPipeline
from udpdiff.sources.scene_words import EXAMPLE
from udpdiff.storage.dataset import LatentSource
from udpdiff.storage.sealed import seal_folder, write_record
from udpdiff.storage.shards import ShardWriter
from udpdiff.training.loop import train
from udpdiff.training.settings import TrainingSettings
from udpdiff.video_io import probe, read_video, write_mp4

ROOT = Path(__file__).parents[2]
BASE = "mini:cogvideox"
PROMPT = "A red ball rolls left."
# Lines of README and docs, with what stands for a name of the reader's; of one word alone the text speaks.
NAMES = {"COMMAND": "workflow", "NAME": "paper"}
LINES = [line for page in PAGES for line in commands(page) if line.startswith("udpdiff ") and line.count(" ") > 1]
WORDS = {tuple(NAMES.get(word, word) for word in shlex.split(line)[1:]) for line in LINES}
LONGEST = {words[0]: words for words in sorted(WORDS, key=len)}
MADE = {"generate": "generated/*/video.mp4", "label": "labels/clip/overlay.mp4", "export": "FOLDER/README.md"}
MADE |= {"compare": "comparison/compare.html"}


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """A run of one step from the mini base, exported for real, as results/runs/multi with figures beside it."""
    folder = tmp_path_factory.mktemp("work")
    rng = np.random.default_rng(0)
    for stream in ("video", "seg", "depth"):
        with ShardWriter(folder / f"{stream}.h5", "latents", {"scaling_factor": 0.7, "vae": "mini"}) as shard:
            for name in "ab":
                shard.add(name, {"latents": rng.standard_normal((3, 8, 16, 16)).astype(np.float16)})
    with ShardWriter(folder / "plain.h5", "text", {"text_style": "plain"}) as shard:
        for name in ("a", "b", ""):
            shard.add(name, dict.fromkeys(("brief", "detailed"), rng.standard_normal((48, 128)).astype(np.float16)))
    source = LatentSource(
        [folder / "video.h5"],
        {task: [folder / f"{task}.h5"] for task in ("seg", "depth")},
        {"plain": [folder / "plain.h5"]},
    )
    settings = TrainingSettings(
        run="multi", base=BASE, seed=5, tasks={"seg": 0.5, "depth": 0.5}, steps=1, batch_size=2, learning_rate=1e-3,
        validation_clips=0, mixed_precision="bf16", export="transformer", log_every_steps=1,
    )  # fmt: skip
    AcceleratorState._reset_state(True)  # one precision for each process, and other tests have theirs
    train(settings, source, folder / "state", folder / "results/runs/multi", cpu=True, data="noise")
    AcceleratorState._reset_state(True)
    measured = {"depth_delta1": {"value": 0.625, "low": 0.5, "high": 0.75, "n": 24}}
    document = {"run": "multi", "metrics": measured}
    write_record(folder / "results/metrics/multi/depth/quality.json", document)
    return folder / "results/runs/multi"


@pytest.fixture(scope="module")
def shared(run, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("shared") / "udpdiff"
    command.main(["export", str(run), str(folder), "--data", "two clips of noise"])
    return folder


def test_a_shared_run_is_small_and_says_what_it_is(run, shared):
    names = {path.relative_to(shared).parts[0] for path in shared.rglob("*")}
    assert names == {"transformer", "model_index.json", "run.json", "train.jsonl", "README.md", "digests.json"}
    assert sum(path.stat().st_size for path in shared.rglob("*") if path.is_file()) < 20e6
    card = (shared / "README.md").read_text()
    assert card.startswith("---\nlicense: apache-2.0\nlibrary_name: diffusers\n")
    assert "two clips of noise; 2 clips for seg, 2 clips for depth" in card and "Steps: 1 of 2 samples" in card
    assert "| all streams | " in card and "| depth | δ1, aligned per video | 0.6250 (0.5000 to 0.7500) | 24 |" in card
    assert "None for seg. The workflow measures" in card and "--metrics results/metrics/multi`" in card
    written = (run / "README.md").read_text()  # with the export, before anything was measured
    assert "Not in this card" in written and "`udpdiff export results/runs/multi FOLDER` writes a card with" in written
    assert "Data: noise; 2 clips for seg" in written and "together with its entity segmentation or depth" in written
    assert "base `mini:cogvideox`" in written and "hold for them (Apache-2.0, trained by this project" in written


def test_a_copy_of_a_run_is_exported_without_figures_and_says_so(run, tmp_path, capsys):
    shutil.copytree(run, tmp_path / "kept" / "best")
    words = ["export", str(tmp_path / "kept" / "best"), str(tmp_path / "out")]
    command.main(words)
    told = capsys.readouterr().out
    assert (
        f"figures in the card: none, for there is no {tmp_path / 'metrics' / 'best'}; --metrics names another" in told
    )
    written = (tmp_path / "out/README.md").read_text()
    assert "Not in this card" in written and "Data: noise; 2 clips for seg" in written, "as its training said"
    command.main([*words, "--metrics", str(run.parents[1] / "metrics/multi")])
    assert "| depth | δ1, aligned per video | 0.6250" in (tmp_path / "out/README.md").read_text()
    with pytest.raises(ValueError, match=r"got no TASK/quality\.json in it, expected.*results/metrics/multi"):
        command.main([*words, "--metrics", str(tmp_path)])
    write_record(tmp_path / "depth/depth/quality.json", {"run": "depth", "metrics": {}})
    with pytest.raises(ValueError, match=r"figures of the run 'depth' for depth, expected those of 'multi'"):
        command.main([*words, "--metrics", str(tmp_path / "depth")])


def test_an_export_of_other_weights_is_replaced_only_where_the_user_says_so(run, shared, tmp_path):
    shutil.copytree(shared, tmp_path / "other")
    digests = json.loads((tmp_path / "other/digests.json").read_text())
    name = next(name for name in digests["files"] if name.endswith(".safetensors"))
    digests["files"][name] = "0" * 64
    write_record(tmp_path / "other/digests.json", digests)
    words = ["export", str(run), str(tmp_path / "other")]
    with pytest.raises(ValueError, match=r"the export of another model.*--overwrite"):
        command.main(words)
    command.main([*words, "--overwrite"])
    assert json.loads((tmp_path / "other/digests.json").read_text())["files"][name] != "0" * 64


def test_a_run_without_its_other_parts_is_loaded_with_those_of_its_base(run, shared):
    first, second = (UDPDiffPipeline.from_pretrained(folder) for folder in (run, shared))
    assert second.config.tasks == {"seg": "pixelplanes", "depth": "spectral"}
    assert second.scheduler.config.timestep_spacing == "trailing" and second.vae is not None
    weights = first.transformer.state_dict()
    assert all(torch.equal(weights[name], value) for name, value in second.transformer.state_dict().items())


def test_mini_udpdiff_is_such_a_folder_in_the_package(shared, tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(checkpoints, "_FOLDER", tmp_path)
    (tmp_path / "cogvideox").symlink_to(Path(checkpoints.__file__).parent / "cogvideox")
    shutil.copytree(shared, tmp_path / "udpdiff")
    seal_folder(tmp_path, "*.safetensors")
    digests = tmp_path / "digests.json"
    listed = json.loads(digests.read_text())["files"]
    listed |= {
        name: value
        for name, value in json.loads((ROOT / "udpdiff/checkpoints/digests.json").read_text())["files"].items()
        if name.startswith("cogvideox/")
    }
    write_record(digests, {"files": listed})
    out = tmp_path / "out"
    prompt = PROMPT + " A panda plays a guitar." * 16
    command.main(["generate", prompt, "--task", "seg", "--out", str(out), "--steps", "2", "--device", "cpu"])
    told, noted = capfd.readouterr()
    assert sorted(told.split()) == sorted(str(path) for path in out.iterdir())
    assert noted.count("has never read panda, plays and guitar") == 1
    assert noted.count("tokens, of which the model reads 48; left out at its end: '") == 1
    assert " ... panda plays a guitar.'" in noted, "of many words the first and the last"
    assert "max_sequence_length" not in noted and "Token indices" not in noted
    ids = np.load(out / "seg.npy")
    assert ids.dtype == np.uint16 and ids.shape == (9, 64, 64)
    assert read_video(out / "seg_colormap.mp4").shape == (9, 64, 64, 3)


def test_depth_in_every_format(shared, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = ["generate", PROMPT, "--model", str(shared), "--steps", "1", "--guidance", "1", "--seed", "3", "--fps", "4"]
    command.main([*words, "--format", "mp4,npy,png", "--height", "32", "--width", "48", "--device", "cpu"])
    folder = tmp_path / "generated" / "a-red-ball-rolls-left-depth-3"
    assert {path.name for path in folder.iterdir()} == {
        "video.mp4", "video", "depth_colormap.mp4", "depth_colormap", "depth.mp4", "depth.npy", "depth", "strip.png",
        "settings.json",
    }  # fmt: skip
    depth = np.load(folder / "depth.npy")
    assert depth.dtype == np.float32 and depth.shape == (9, 32, 48) and 0 <= depth.min() <= depth.max() <= 1
    stored = np.stack([np.asarray(Image.open(folder / "depth" / f"{frame:04d}.png")) for frame in range(9)])
    np.testing.assert_allclose(stored / 65535, depth, atol=1 / 65535)
    assert np.asarray(Image.open(folder / "strip.png")).shape == (64, 288, 3)
    assert probe(folder / "video.mp4").fps == 4
    told = json.loads((folder / "settings.json").read_text())
    assert told["settings"] == {
        "prompt": PROMPT, "task": "depth", "seed": 3, "height": 32, "width": 48, "num_frames": 9,
        "num_inference_steps": 1, "guidance_scale": 1.0, "fps": 4.0, "device": "cpu", "dtype": None,
        "format": ["mp4", "npy", "png"],
    }  # fmt: skip
    assert told["model"] == {"name": str(shared), "base": BASE, "sha256": checkpoints.weights_sha256(str(shared))}
    assert told["provenance"]["dtype"] == "float32" and told["provenance"]["versions"]["torch"]
    assert told["files"] == sorted(path.name for path in folder.iterdir() if path.name != "settings.json")
    told = capsys.readouterr().err
    assert "loading ..." in told and "never read" not in told and "tokens" not in told
    assert (
        told.count("trained on scenes of two solids or more on a floor, with descriptions such as 'A large red ball")
        == 1
    )
    noted = f"{shared} is for 64 x 64 pixels and 9 frames, as its config has it: 48 x 32 and 9 mean little unless"
    assert told.count(noted) == 1
    with pytest.raises(
        ValueError, match=r"video\.mp4 is there already, made with num_inference_steps 1, not 2 .*--overwr"
    ):
        command.main(
            [*words, "--format", "mp4,npy,png", "--height", "32", "--width", "48", "--device", "cpu", "--steps", "2"]
        )


@pytest.mark.parametrize(
    "words, told",
    [
        (["--model", "mini:nothing"], r"mini:nothing.*expected one of"),
        (["--model", "here"], r"--model: got 'here'.*there is no model_index\.json\. Expected mini:udpdiff, a folder"),
        (["--model", "mini:cogvideox"], r"says 'CogVideoXPipeline', a model without dense predictions"),
        (["--task", "normals"], r"task 'normals', expected one of seg, depth"),
        (["--frames", "10"], r"Got --frames 10, expected one more than a multiple of 8.*nearest below is 9"),
        (["--steps", "0"], r"Got --steps 0, expected 1 to 1000"),
        (["--guidance", "nan"], r"--guidance: got nan"),
        (["--seed", str(2**64)], r"--seed: got 18446744073709551616"),
        (["--out", "a_file/in"], r"--out: got 'a_file/in', which cannot be written into: Not a directory"),
        (["--height", "60"], r"height 60 .*expected multiples of 8"),
        (["--steps", "7"], r"Got --steps 7, expected a divisor of 1000, such as 5, 8, 10, 20, 25, 40"),
        (["--task", "foo"], r"--task: got 'foo'; allowed: seg, depth"),
        (["--fps", "0"], r"--fps: got 0"),
        (["--out", "a_file"], r"--out: got 'a_file', which is a file"),
        (["--model", "/nonexistent/folder"], r"--model: got '/nonexistent/folder'"),
        (["--device", "tpu"], r"--device: got 'tpu'"),
        (["--device", "cuda:77"], r"--device: got 'cuda:77', which this machine does not have; expected cpu"),
        (["--device", "mps:77"], r"--device: got 'mps:77', which this machine does not have; expected cpu"),
        (["--dtype", "float16"], r"--dtype: got float16 on a CPU"),
    ],
)
def test_mistakes_are_told_in_words(shared, tmp_path, monkeypatch, capsys, words, told):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    (tmp_path / "here").mkdir()
    (tmp_path / "a_file").write_text("mine")
    monkeypatch.setattr(UDPDiffPipeline, "from_pretrained", lambda *_, **__: pytest.fail("weights are loaded"))
    with pytest.raises(ValueError, match=told):
        command.main(["generate", PROMPT, "--device", "cpu", "--model", str(shared), *words])
    assert "loading" not in capsys.readouterr().err
    assert not (tmp_path / "generated").exists()


def test_a_model_without_depth_makes_what_it_knows(tmp_path):
    shutil.copytree(checkpoints.resolve("mini:udpdiff"), tmp_path / "seg")
    index = json.loads((tmp_path / "seg/model_index.json").read_text())
    (tmp_path / "seg/model_index.json").write_text(json.dumps(index | {"tasks": {"seg": "pixelplanes"}}))
    words = ["generate", PROMPT, "--model", str(tmp_path / "seg")]
    with pytest.raises(ValueError, match=r"--frames 10"):  # the task is no mistake
        command.main([*words, "--frames", "10"])
    (tmp_path / "seg/scheduler").mkdir()
    scheduler = {"_class_name": "UniPCMultistepScheduler", "num_train_timesteps": 1000}
    (tmp_path / "seg/scheduler/scheduler_config.json").write_text(json.dumps(scheduler))
    with pytest.raises(ValueError, match=r"--out: got"):  # neither are steps, of a scheduler that takes any number
        command.main([*words, "--steps", "7", "--out", str(tmp_path / "seg/run.json")])
    with pytest.raises(ValueError, match=r"task 'depth', expected one of seg"):
        command.main([*words, "--task", "depth"])


def test_files_of_others_are_not_replaced(run, shared, tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.txt").write_text("mine")
    (tmp_path / "out" / "seg").mkdir(parents=True)
    (tmp_path / "out" / "seg" / "mine.txt").write_text("mine")
    for folder, told in ((tmp_path / "thesis", "no exported model"), (run, "inside or around"), (run / "in", "inside")):
        with pytest.raises(ValueError, match=told):
            command.main(["export", str(run), str(folder)])
    with pytest.raises(ValueError, match="exported already"):
        command.main(["export", str(shared), str(tmp_path / "again")])
    with pytest.raises(ValueError, match=r"mine\.txt would go"):
        command.main(["generate", PROMPT, "--task", "seg", "--format", "png", "--out", str(tmp_path / "out")])
    assert (run / "provenance.json").is_file() and (tmp_path / "thesis" / "chapter.txt").read_text() == "mine"


def test_a_run_of_a_folder_of_this_machine_is_not_handed_on(run, tmp_path):
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    recipe = json.loads((copy / "run.json").read_text())
    (copy / "run.json").write_text(json.dumps(recipe | {"base": "folder:mine#1234"}))
    seal_folder(copy)
    with pytest.raises(ValueError, match=r"folder:mine#1234, a folder of the machine.*training\.export: pipeline"):
        command.main(["export", str(copy), str(tmp_path / "out")])
    with pytest.raises(ValueError, match="expected the folder of an exported run"):
        command.main(["export", str(tmp_path), str(tmp_path / "out")])


def test_help_is_instant_and_loads_no_network():
    code = (
        "import sys\nfrom udpdiff.command import main\n"
        "try:\n    main(sys.argv[1:])\nexcept SystemExit:\n"
        "    print([m for m in ('torch', 'diffusers', 'snakemake', 'pandas', 'pydantic') if m in sys.modules])"
    )
    for words in (["--help"], *([name, "--help"] for name in command.COMMANDS)):
        done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, cwd=ROOT)
        assert done.stdout.splitlines()[-1] == "[]" and done.stdout.startswith("usage: udpdiff"), done
        assert "below" not in done.stdout.partition("options:")[2], (
            "what stands behind the options is behind all of them"
        )


def test_a_prompt_like_the_captions_is_not_remarked_on():
    for prompt, noted in (
        (EXAMPLE, False),
        (f"{EXAMPLE} A panda.", True),
        ("A blue cube spins on a grey floor.", True),
    ):
        assert bool(notices.strange_to_mini(prompt, "mine", BASE)) == noted
    assert notices.strange_to_mini("A panda.", "mine", "THUDM/CogVideoX-2b") is None
    assert EXAMPLE in (ROOT / "docs/use.md").read_text()


def test_of_models_for_any_size_none_is_remarked_on(shared):
    own = Description.read(str(shared))
    assert notices.other_size("mine", own, own.height, own.width, own.num_frames) is None
    assert notices.other_size("mine", own, own.height, own.width, 17)
    assert notices.other_size("mine", dataclasses.replace(own, one_size=False), 32, 32, 17) is None


@pytest.mark.parametrize("word", sorted(command.COMMANDS))
def test_help_says_what_an_option_is_where_none_is_given(word):
    parser = argparse.ArgumentParser(add_help=False)
    import_module(f"udpdiff.command.{word}").add_arguments(parser)
    given = [action for action in parser._actions if action.default not in (None, []) and action.nargs != 0]
    assert [action.dest for action in given if "default" not in action.help] == []


def test_a_text_without_its_quotes_is_known(capsys):
    for words, hinted in (("a red ball --task depth", True), ("ball --tsk depth", False)):
        with pytest.raises(SystemExit):
            command.main(["generate", *words.split()])
        told = capsys.readouterr().err
        assert "unrecognized arguments: " in told and ("stands in quotes, such as" in told) == hinted


def test_the_workflow_is_where_the_command_says(capsys):
    command.main(["workflow", "--path"])
    assert Path(capsys.readouterr().out.strip()) == ROOT / "Snakefile"


def test_documented_options_are_those_of_the_command():
    for words in WORDS:
        parser = argparse.ArgumentParser()
        import_module(f"udpdiff.command.{words[0]}").add_arguments(parser)
        if "--help" not in words:
            parser.parse_args(words[1:])


@pytest.mark.parametrize("word", sorted(command.COMMANDS.keys() - {"plan", "generate"}))
def test_the_documented_line_runs_as_it_stands(word, run, tmp_path):
    """The longest of each word; plans are run by tests/test_documented_figures.py, `generate` by test_readme_example.py."""
    work = run.parents[2]
    write_mp4(work / "clip.mp4", np.random.default_rng(0).integers(0, 255, (3, 64, 64, 3), np.uint8), 8)
    for name in "AB":
        document = {"run": "multi", "task": "seg", "seed": 0, "n": 0, "metrics": {}, "clips": {"videos": []}}
        (work / name / "results/metrics/multi/seg").mkdir(parents=True, exist_ok=True)
        write_record(work / name / "results/metrics/multi/seg/quality.json", document)
    line, environment = [sys.executable, "-m", "udpdiff", *LONGEST[word]], os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(line, cwd=work, capture_output=True, text=True, env=environment)
    assert done.returncode == 0 and done.stdout, done.stderr
    assert word not in MADE or list(work.glob(MADE[word]))
    assert "Warning" not in done.stderr and "Traceback" not in done.stderr and "kernels" not in done.stderr
