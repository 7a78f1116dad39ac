"""The clock of forward calls: every outermost call once, whatever the model, and nothing else."""

from __future__ import annotations

import threading

import pytest
import torch

from udpdiff.forward_clock import ForwardClock
from udpdiff.model import forward_clock


class Passing(torch.nn.Module):
    """A forward call that takes as long as it is told, by the test's clock."""

    def __init__(self, time, seconds, inside=None):
        super().__init__()
        self.time, self.seconds, self.inside = time, seconds, inside

    def forward(self, value):
        self.time.now += self.seconds
        if value == "bad":
            raise ValueError(value)
        return self.inside(value) if self.inside else value


class Time:
    now = 0.0

    def perf_counter(self):
        return self.now


@pytest.fixture
def time(monkeypatch):
    time = Time()
    monkeypatch.setattr(forward_clock, "time", time)
    return time


def test_outermost_calls_count_once(time):
    model = Passing(time, 1.0, inside=Passing(time, 2.0))
    with ForwardClock() as clock:
        time.now += 10  # decoding, say
        model("one")
        model("two")
        time.now += 10
        assert clock.seconds == 6.0
    model("after the end")
    assert clock.seconds == 6.0


def test_a_call_that_fails_counts_and_leaves_the_clock_in_order(time):
    model = Passing(time, 1.0, inside=Passing(time, 2.0))
    with ForwardClock() as clock:
        with pytest.raises(ValueError, match="bad"):
            model("bad")
        time.now += 10
        model("good")
    assert clock.seconds == 4.0


def test_other_threads_do_not_count(time):
    with ForwardClock() as clock:
        thread = threading.Thread(target=Passing(time, 5.0), args=("elsewhere",))
        thread.start()
        thread.join()
        Passing(time, 1.0)("here")
    assert clock.seconds == 1.0


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_on_a_gpu_the_work_counts_not_its_queueing():
    small, large = (torch.nn.Linear(side, side, device="cuda") for side in (64, 8192))
    seconds = {}
    for layer in (large, small, large):  # the first call loads what the device needs
        values = torch.zeros(layer.in_features, layer.in_features, device="cuda")
        with ForwardClock() as clock:
            layer(values)
        seconds[layer] = clock.seconds
    assert seconds[large] > 3 * seconds[small] > 0
