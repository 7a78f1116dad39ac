"""A training that is given its time in slices: it stops by the clock, goes on, and says when that leads nowhere."""

from __future__ import annotations

import json
import time
from types import SimpleNamespace

import pytest

from udpdiff.interruption import Interrupted
from udpdiff.storage.sealed import read_record, write_record
from udpdiff.training import state
from udpdiff.training.checkpoint import checkpoint_steps
from udpdiff.training.loop import train
from udpdiff.training.state import NoProgress


@pytest.fixture
def slice_of(monkeypatch, tmp_path, make_settings, make_source):
    """Trains until `seconds` from now, which a training without a single step may be given."""

    def run(seconds: float | None, **changes) -> None:
        monkeypatch.delenv("JOB_DEADLINE", raising=False)
        if seconds is not None:
            monkeypatch.setenv("JOB_DEADLINE", str(time.time() + seconds))
        train(
            make_settings(**{"tasks": {}, "steps": 3, **changes}), make_source(), tmp_path / "state", tmp_path / "run"
        )

    return run


def test_a_slice_ends_by_the_clock_after_a_whole_step(tmp_path, slice_of, capsys):
    for step in (1, 2):
        with pytest.raises(Interrupted):
            slice_of(-1)
        assert checkpoint_steps(tmp_path / "state")[-1] == step
        assert capsys.readouterr().err.strip().endswith(f"multi: asked to stop; saved step {step} of 3, goes on")
    slice_of(-1)  # the last step is the end, whatever the clock says
    assert (tmp_path / "run").is_dir()


def test_two_slices_without_a_step_are_a_failure_and_the_next_start_tries_again(tmp_path, slice_of, stop_after):
    for _ in range(2):  # killed at the limit before the first step was saved
        with stop_after(0):
            slice_of(0.0)
    with pytest.raises(NoProgress, match=r"no further than step 0 in two time slices.*checkpoint_every_steps"):
        slice_of(60)
    slice_of(60)
    assert (tmp_path / "run").is_dir()


@pytest.mark.parametrize("killed", [False, True])
def test_two_crashes_long_before_the_limit_are_not_blamed_on_it(tmp_path, monkeypatch, slice_of, stop_after, killed):
    for _ in range(2):
        with stop_after(0):
            slice_of(60)
    record = read_record(tmp_path / "state" / "provenance.json")
    assert all(session["ended"] < session["deadline"] and not session["interrupted"] for session in record["sessions"])
    if killed:  # nobody noted the end; the second began at once
        for session in record["sessions"]:
            del session["ended"]
        write_record(tmp_path / "state" / "provenance.json", record)
    later = time.time() + 1000
    monkeypatch.setattr(state, "time", SimpleNamespace(time=lambda: later))
    slice_of(2000)
    assert (tmp_path / "run").is_dir()


def test_a_person_who_stops_it_twice_is_no_failure(tmp_path, slice_of, stop_after):
    for _ in range(3):
        with stop_after(0):
            slice_of(None)
    slice_of(None)
    sessions = json.loads((tmp_path / "state" / "provenance.json").read_text())["sessions"]
    assert [session["first_step"] for session in sessions] == [0, 0, 0, 0]


def test_a_completed_training_keeps_its_result_alone(tmp_path, slice_of):
    slice_of(None, keep_optimizer=False, checkpoint_every_steps=1)
    assert checkpoint_steps(tmp_path / "state") == [3]
    assert sorted(path.name for path in (tmp_path / "state" / "checkpoint-3").iterdir()) == ["state.json", "weights"]
    (tmp_path / "run").rename(tmp_path / "lost")
    slice_of(None, keep_optimizer=False)  # exported again, from what is kept
    assert (tmp_path / "run").is_dir()
    with pytest.raises(ValueError, match="complete after 3, and the optimizer's state"):
        slice_of(None, keep_optimizer=False, steps=5)
