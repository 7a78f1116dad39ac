"""Stopping when asked: a signal is noted, the clock counts, and who asked before is asked again afterwards."""

from __future__ import annotations

import os
import signal
import time

import pytest

from udpdiff.interruption import DEADLINE, EXIT_CODE, Interrupted, StopRequest


def test_a_signal_is_noted_and_the_former_handler_comes_back():
    former = signal.getsignal(signal.SIGUSR1)
    with StopRequest() as stop:
        assert not stop.requested
        os.kill(os.getpid(), signal.SIGUSR1)
        assert stop.requested
    assert signal.getsignal(signal.SIGUSR1) == former


def test_a_deadline_asks_by_itself(monkeypatch):
    monkeypatch.setenv(DEADLINE, str(time.time() + 0.2))
    with StopRequest() as stop:
        assert not stop.requested
        time.sleep(0.3)
        assert stop.requested


def test_a_deadline_that_is_no_time_is_refused(monkeypatch):
    monkeypatch.setenv(DEADLINE, "soon")
    with pytest.raises(ValueError, match="JOB_DEADLINE: got 'soon', expected Unix seconds"):
        StopRequest()


def test_interrupted_work_exits_with_75():
    assert Interrupted().code == EXIT_CODE == 75
