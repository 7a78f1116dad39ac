"""The trainer's command line: each shard in the role that the job gives its folder."""

from __future__ import annotations

import copy
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from scripts import train as script
from udpdiff.config.parsing import parse
from udpdiff.storage.captions import Caption, CaptionWriter
from udpdiff.storage.shards import ShardWriter
from udpdiff.tasks import task_prompt
from udpdiff.training.settings import TrainingSettings
from udpdiff.workflow import jobs as workflow_jobs
from udpdiff.workflow.workflow import Workflow

RAW = yaml.safe_load((Path(__file__).parents[2] / "config.yaml").read_text())
# What every value of a stream's rows is, so that a row tells where it comes from.
MARKS = {
    "video": 1,
    "seg-pixelplanes-entityseg": 2,
    "depth-spectral-depthcrafter": 3,
    "text-seg": 4,
    "text-depth": 5,
    "text-plain": 6,
}


def write_shard(folder: Path, stream: str, mark: int) -> Path:
    path = folder / stream / "train" / "0.h5"
    text = stream.startswith("text")
    attrs = {"text_style": stream} if text else {"scaling_factor": 1.0, "vae": "none"}
    with ShardWriter(path, "text" if text else "latents", attrs) as writer:
        rows = np.full((4, 2) if text else (2, 3, 4, 4), mark, np.float16)
        for clip_id in ("a", "") if text else ("a",):
            writer.add(clip_id, {"brief": rows, "detailed": rows} if text else {"latents": rows})
    return path


@pytest.fixture
def call(tmp_path, monkeypatch):
    """Run the script for a run of the default configuration, all shards given; returns what `train` is called with."""
    paths = [str(write_shard(tmp_path / "latents", stream, mark)) for stream, mark in MARKS.items()]
    monkeypatch.setattr(script, "warn_of_slow_bfloat16", lambda *_: None)

    def called(run: str, device: str | None = "cpu") -> dict:
        workflow, calls = Workflow(parse(RAW | {"device": device})), []
        monkeypatch.setattr(script, "train", lambda *values, **named: calls.append((values, named)))
        arguments = {
            "--job": workflow_jobs.train(workflow, run).dump(),
            "--execution": workflow_jobs.execution(workflow).dump(),
            "--state": "state",
            "--output": "out",
        }
        command = ["train", *(word for pair in arguments.items() for word in pair), "--latents", *reversed(paths)]
        monkeypatch.setattr(sys, "argv", command)
        script.main()
        (((settings, source, state, output), named),) = calls
        return {"settings": settings, "source": source, "state": state, "output": output, **named}

    return called


@pytest.mark.parametrize("run, texts", [("multi_text", {"seg": 4, "depth": 5}), ("multi", {"seg": 6, "depth": 6})])
def test_each_task_reads_its_own_latents_and_prompts(call, run, texts):
    source = call(run)["source"]
    assert source.tasks == ("seg", "depth")
    for task, mark in (("seg", 2), ("depth", 3)):
        example = source.read("a", [task], "detailed")
        assert (example.video_latents == 1).all()
        assert (example.dense_latents[task] == mark).all()
        assert (example.prompt_embeds == texts[task]).all()


def test_the_base_reads_videos_and_plain_prompts(call):
    source = call("base")["source"]
    assert source.tasks == ()
    example = source.read("a", [], "brief")
    assert (example.video_latents == 1).all() and (example.prompt_embeds == 6).all()


def test_settings_places_and_device_are_passed_on(call):
    called = call("multi")
    workflow = Workflow(parse(RAW))
    job, execution = workflow_jobs.train(workflow, "multi"), workflow_jobs.execution(workflow)
    assert called["settings"] == TrainingSettings.from_job(job, execution.training["multi"])
    assert (called["state"], called["output"], called["cpu"]) == ("state", "out", True)
    assert call("multi", device="cuda")["cpu"] is False


@pytest.mark.parametrize(
    ("run", "named", "absent"),
    [
        ("seg", ["first-frame entities by `mini:cropformer`", "entities through the clip by `mini:sam2`"], "depth"),
        ("depth", ["depth by `mini:depthcrafter` (Apache-2.0, trained by"], "entities"),
    ],
)
def test_the_card_is_told_the_source_and_the_labellers_of_the_runs_own_tasks(call, run, named, absent):
    data = call(run)["data"]
    assert data.startswith("videos: rendered by this project (Apache-2.0)") and absent not in data
    assert all(words in data for words in [*named, "detailed captions by `mini:captioner`"])


def test_each_task_has_its_own_prompts_where_the_trainer_encodes_them(monkeypatch, tmp_path):
    """Prompts name the task whose sample is read."""
    latents = [write_shard(tmp_path, stream, mark) for stream, mark in MARKS.items() if not stream.startswith("text")]
    with CaptionWriter(tmp_path / "0.parquet", {}) as table:
        table.add("a", Caption("A ball.", "source", 3), Caption("A red ball rolls.", "source", 5))
    asked = []
    monkeypatch.setattr(script.LivePrompts, "encode", lambda self, prompt: asked.append(prompt) or np.zeros((4, 2)))
    raw = copy.deepcopy(RAW)
    raw["encoding"]["text"] = "live"
    job = workflow_jobs.train(Workflow(parse(raw)), "multi_text")
    source = script.latent_source(job, latents, [str(tmp_path / "0.parquet")], "cpu")
    for task in ("depth", "seg"):
        source.read("a", [task], "detailed")
    assert asked == [task_prompt("A red ball rolls.", task) for task in ("depth", "seg")]


@pytest.mark.parametrize(
    "device, rank, count, own",
    [
        ("cpu", "1", 4, "cpu"),
        ("cuda", None, 4, "cuda"),
        ("cuda", "0", 4, "cuda:0"),
        ("cuda", "3", 4, "cuda:3"),
        ("cuda", "3", 1, "cuda:0"),  # a site that shows each process its own GPU alone
    ],
)
def test_each_process_has_a_gpu_of_its_own(monkeypatch, device, rank, count, own):
    monkeypatch.setattr(script.torch.cuda, "device_count", lambda: count)
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    if rank is not None:
        monkeypatch.setenv("LOCAL_RANK", rank)
    assert script.own_device(device) == own
