"""Exported runs load, as whole pipelines and as transformers beside their base, and say what they are."""

from __future__ import annotations

import gc
import json
import logging
import shutil
import sys

import pytest
import torch
from diffusers import CogVideoXPipeline
from whole_tensors import read_whole

from udpdiff.checkpoints import places
from udpdiff.model.checked_pipeline import CheckedPipeline
from udpdiff.model.loading import load_run
from udpdiff.model.pipeline import UDPDiffPipeline
from udpdiff.training import loop
from udpdiff.training.loop import train

CALL = {"height": 64, "width": 64, "num_frames": 9, "num_inference_steps": 2, "output_type": "latent"}


def run(make_settings, make_source, tmp_path, **changes):
    settings = make_settings(steps=1, **changes)
    train(settings, make_source(*settings.tasks), tmp_path / "state", tmp_path / "run")
    return load_run(tmp_path / "run")


@pytest.mark.parametrize("export", ["pipeline", "transformer"])
def test_a_multi_task_run_samples(tmp_path, make_settings, make_source, export):
    pipeline = run(make_settings, make_source, tmp_path, export=export, colormaps={"seg": "location"})
    assert type(pipeline) is UDPDiffPipeline
    assert pipeline.config.tasks == {"seg": "location", "depth": "spectral"}
    assert pipeline.scheduler.config.timestep_spacing == "trailing"
    trained = read_whole(tmp_path / "state" / "checkpoint-1" / "weights")
    assert all(torch.equal(trained[name], value) for name, value in pipeline.transformer.state_dict().items())
    output = pipeline("a red ball", task="depth", generator=torch.Generator().manual_seed(0), **CALL)
    assert output.dense_frames.shape == (1, 3, 16, 16, 16)
    copied = {path.name for path in (tmp_path / "run").iterdir()}
    assert {"train.jsonl", "provenance.json", "run.json", "transformer", "scheduler"} <= copied
    assert ("vae" in copied) == (export == "pipeline")


def test_an_export_begins_when_nothing_of_the_training_is_left(tmp_path, monkeypatch, make_settings, make_source):
    alive = []

    def look(*arguments):
        alive.extend(type(each).__name__ for each in gc.get_objects() if isinstance(each, torch.optim.Optimizer))

    gc.collect()  # of tests before
    monkeypatch.setattr(loop, "export_run", look)
    train(make_settings(steps=1), make_source("seg", "depth"), tmp_path / "state", tmp_path / "run")
    assert alive == []


@pytest.mark.parametrize("tasks", [("seg", "depth"), ("depth", "seg")])
def test_the_recipe_names_tasks_in_the_order_of_their_rows_and_the_streams(
    tmp_path, make_settings, make_source, tasks, caplog, monkeypatch
):
    shares, colormaps = dict.fromkeys(tasks, 0.5), {"seg": "location"}
    monkeypatch.setattr(logging.getLogger("diffusers"), "propagate", True)
    run(make_settings, make_source, tmp_path, tasks=shares, colormaps=colormaps)
    assert "should be kept in float32" not in caplog.text
    recipe, index = (json.loads((tmp_path / "run" / name).read_text()) for name in ("run.json", "model_index.json"))
    assert list(recipe["tasks"]) == list(index["tasks"]) == list(tasks)
    assert recipe.pop("base")
    assert recipe == {
        "run": "multi",
        "clips": dict.fromkeys(tasks, 6),
        "data": "",
        "export": "pipeline",
        "task_condition": "embedding",
        "tasks": {"seg": "location", "depth": "spectral"},
        "streams": {"video": [], "dense": list(tasks)},
    }


@pytest.mark.parametrize("export", ["pipeline", "transformer"])
def test_the_base_run_is_a_plain_cogvideox(tmp_path, make_settings, make_source, export):
    pipeline = run(make_settings, make_source, tmp_path, export=export, tasks={})
    assert type(pipeline) is CheckedPipeline and issubclass(CheckedPipeline, CogVideoXPipeline)
    if export == "pipeline":  # any program reads it
        index = json.loads((tmp_path / "run" / "model_index.json").read_text())
        assert index["_class_name"] == "CogVideoXPipeline"
    recipe = json.loads((tmp_path / "run" / "run.json").read_text())
    assert (recipe["tasks"], recipe["streams"]) == ({}, {"video": []})
    assert pipeline.transformer.config.in_channels == 16
    latents = pipeline("a red ball", generator=torch.Generator().manual_seed(0), **CALL).frames
    assert latents.shape == (1, 3, 16, 16, 16)


def test_the_base_of_a_run_is_found_where_its_workflow_says_or_where_it_was_exported(
    tmp_path, make_settings, make_source, monkeypatch
):
    here, there = tmp_path / "here/base", tmp_path / "there/base"
    shutil.copytree(make_settings().base, here)
    name = places.name_of(str(here))

    def told(place) -> None:
        monkeypatch.setenv(places.VARIABLE, json.dumps({"places": {name: str(place)}, "records": None}))

    told(here)
    run(make_settings, make_source, tmp_path, export="transformer", base=name)
    monkeypatch.delenv(places.VARIABLE)
    assert load_run(tmp_path / "run").vae is not None, "outside the workflow, on the same machine"
    there.parent.mkdir()
    here.rename(there)
    with pytest.raises(ValueError, match="name that a workflow gave"):
        load_run(tmp_path / "run")
    told(there)
    assert load_run(tmp_path / "run").vae is not None


def test_runs_of_one_base_may_share_its_other_parts(tmp_path, make_settings, make_source):
    shared = {}
    for name, tasks in (("video", {}), ("seg", {"seg": 1.0})):
        run(make_settings, make_source, tmp_path / name, export="transformer", tasks=tasks)
    first, second = (load_run(tmp_path / name / "run", shared=shared) for name in ("video", "seg"))
    assert first.vae is second.vae and first.text_encoder is second.text_encoder
    assert first.transformer is not second.transformer and second.transformer.config.in_channels == 32
    assert load_run(tmp_path / "seg" / "run").vae is not first.vae


def test_a_whole_export_is_what_diffusers_would_save(tmp_path, make_settings, make_source):
    pipeline = run(make_settings, make_source, tmp_path, tasks={"seg": 1.0})
    assert pipeline.transformer.config.num_tasks == 0
    pipeline.save_pretrained(tmp_path / "again")
    indices = [json.loads((tmp_path / name / "model_index.json").read_text()) for name in ("run", "again")]
    for index in indices:
        index.pop("_name_or_path", None)
    assert indices[0] == indices[1]
    assert UDPDiffPipeline.from_pretrained(tmp_path / "run").config.tasks == {"seg": "pixelplanes"}


def test_tasks_as_text_need_no_embedding(tmp_path, make_settings, streams):
    from udpdiff.storage.dataset import LatentSource

    dense = {task: [streams[task]] for task in ("seg", "depth")}
    source = LatentSource([streams["video"]], dense, {task: [streams["plain"]] for task in dense})
    settings = make_settings(steps=1, task_condition="text")
    train(settings, source, tmp_path / "state", tmp_path / "run")
    pipeline = load_run(tmp_path / "run")
    assert pipeline.config.task_condition == "text"
    assert pipeline.transformer.config.num_tasks == 0


def test_the_average_is_exported(tmp_path, make_settings, make_source):
    pipeline = run(make_settings, make_source, tmp_path, tasks={}, ema_decay=0.9)
    average = read_whole(tmp_path / "state" / "checkpoint-1" / "average")
    weights = read_whole(tmp_path / "state" / "checkpoint-1" / "weights")
    got = pipeline.transformer.state_dict()["proj_out.weight"]
    assert torch.equal(got, average["proj_out.weight"])
    assert not torch.equal(got, weights["proj_out.weight"])


def test_lora_without_peft_is_refused_with_the_remedy(tmp_path, make_settings, make_source, monkeypatch):
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(ValueError, match=r"`peft`, which is not installed.*lora_rank to null"):
        run(make_settings, make_source, tmp_path, lora_rank=4)


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(ValueError, match="Train the run first"):
        load_run(tmp_path)
