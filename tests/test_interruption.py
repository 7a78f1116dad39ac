"""Stopping when asked: a signal is noted, the clock counts, and who asked before is asked again afterwards."""

from __future__ import annotations

import os
import signal
import time

import pytest

from udpdiff.interruption import DEADLINE, EXIT_CODE, SIGNALS, Interrupted, StopRequest


@pytest.fixture
def ctrl_c():
    """Python's own answer to SIGINT, which the tests may have been started without, in the background."""
    former = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, former)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_is_noted_and_the_former_handler_comes_back(ctrl_c, number):
    former = signal.getsignal(number)
    with StopRequest() as stop:
        assert not stop.requested
        os.kill(os.getpid(), number)
        assert stop.requested
    assert signal.getsignal(number) == former


def test_a_second_ctrl_c_ends_the_work_at_once(ctrl_c):
    with StopRequest() as stop:
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.requested
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_what_runs_in_the_background_of_a_shell_goes_on_ignoring_ctrl_c(ctrl_c):
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with StopRequest() as stop:
        os.kill(os.getpid(), signal.SIGINT)
        assert not stop.requested


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
