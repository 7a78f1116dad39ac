"""The learning rate in the log is the one of the step that the entry is about."""

from __future__ import annotations

import pytest

from udpdiff.training.log import read_log
from udpdiff.training.loop import train


def test_entries_name_the_rate_of_their_own_step(tmp_path, make_settings, make_source):
    settings = make_settings(tasks={}, steps=3, warmup_steps=4, learning_rate=1e-3, log_every_steps=1)
    train(settings, make_source(), tmp_path / "state", tmp_path / "run")
    entries = read_log(tmp_path / "state" / "train.jsonl")
    assert [entry["step"] for entry in entries] == [1, 2, 3]
    assert [entry["learning_rate"] for entry in entries] == pytest.approx([2.5e-4, 5e-4, 7.5e-4])
    assert entries[-1]["seconds_left"] == 0
    assert entries[0]["seconds_left"] == pytest.approx(2 / entries[0]["steps_per_second"], rel=0.01, abs=0.06)
