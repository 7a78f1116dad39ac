"""Trackers get what the log gets, and a run without them is the same run."""

from __future__ import annotations

import importlib.util
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType, SimpleNamespace

import accelerate.tracking
import accelerate.utils
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from whole_tensors import read_whole

from udpdiff.storage.sealed import read_record
from udpdiff.training.log import read_log
from udpdiff.training.loop import train
from udpdiff.training.trackers import flat


def test_tensorboard_shows_what_the_log_says(tmp_path, make_settings, make_source):
    source = make_source("seg", "depth")
    for name, trackers in (("with", ("tensorboard",)), ("without", ())):
        settings = make_settings(trackers=trackers, validation_clips=2, validation_every_steps=4)
        train(settings, source, tmp_path / name, tmp_path / f"run-{name}", evaluation=source, cpu=True)
    shown = EventAccumulator(str(tmp_path / "with/udpdiff"))
    shown.Reload()
    log = read_log(tmp_path / "with/train.jsonl")
    for key in ("loss", "loss_dense", "learning_rate", "grad_norm"):
        logged = {entry["step"]: entry[key] for entry in log if key in entry}
        assert {event.step: event.value for event in shown.Scalars(key)} == pytest.approx(logged)
    (validation,) = shown.Scalars("validation/loss")
    assert validation.step == 4 and validation.value == pytest.approx(log[-1]["validation"]["loss"])
    assert not list((tmp_path / "without").glob("udpdiff*"))
    weights = [read_whole(tmp_path / name / "checkpoint-4/weights") for name in ("with", "without")]
    assert all((weights[0][name] == value).all() for name, value in weights[1].items())
    prints = [read_record(tmp_path / name / "provenance.json")["fingerprint"] for name in ("with", "without")]
    assert prints[0] == prints[1]


def test_a_tracker_that_is_not_installed_is_refused_with_the_remedy(tmp_path, make_settings, make_source, monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *a: None if name == "wandb" else found(name, *a))
    with pytest.raises(ValueError, match=r"training\.trackers: got 'wandb', which is not installed.*pip install wandb"):
        train(
            make_settings(trackers=("wandb",)),
            make_source("seg", "depth"),
            tmp_path / "state",
            tmp_path / "run",
            cpu=True,
        )


@pytest.mark.parametrize("name", ["wandb", "trackio"])
def test_the_others_get_project_run_and_log_by_accelerate(tmp_path, make_settings, make_source, monkeypatch, name):
    """The package stands in; the class that calls it is accelerate's own."""
    started, logged, package = [], [], ModuleType(name)
    package.__spec__ = ModuleSpec(name, None)
    package.init = lambda **given: started.append(given) or run
    package.config = SimpleNamespace(update=lambda values, **_: started.append(values))
    run = SimpleNamespace(log=lambda values, step: logged.append((step, values)), finish=lambda: logged.append("end"))
    monkeypatch.setitem(sys.modules, name, package)
    found = [accelerate.utils.LoggerType(name)]  # when accelerate was imported
    monkeypatch.setattr(accelerate.tracking, "_available_trackers", found)
    train(make_settings(trackers=(name,)), make_source("seg", "depth"), tmp_path / "state", tmp_path / "run", cpu=True)
    assert started[0] == {"project": "udpdiff", "name": "multi"} and started[1]["optimizer"] == "adamw"
    entries = read_log(tmp_path / "state/train.jsonl")
    assert [step for step, _ in logged[:-1]] == [entry["step"] for entry in entries] and logged[-1] == "end"
    assert [values["loss"] for _, values in logged[:-1]] == [entry["loss"] for entry in entries]


def test_entries_are_flat():
    entry = {
        "loss": 1.0,
        "loss_task": {"depth": 2.0},
        "loss_timestep": [3.0, None],
        "validation": {"loss_task": {"seg": 4.0}, "loss_video_clip": {"clip-001": 5.0}},
    }
    wanted = {"loss": 1.0, "loss_task/depth": 2.0, "loss_timestep/0": 3.0, "validation/loss_task/seg": 4.0}
    assert dict(flat(entry)) == wanted
