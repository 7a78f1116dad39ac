"""Seconds: every outermost forward call once, whatever the model; records of whole jobs, there and back."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from dataclasses import asdict, replace

import pytest
import torch

from udpdiff import timing
from udpdiff.storage.sealed import write_record
from udpdiff.timing import ForwardClock, JobTiming, Throughput, combined, read_throughputs, write_throughput

SIZE = {"num_frames": 9, "height": 64, "width": 64}
RECORD = Throughput("depth", {"labeller": {"model": "x"}}, SIZE, 100, 300.0, 340.0, 360.0, "A GPU", 8.0, 2.0)


class Passing(torch.nn.Module):
    """A forward call that takes as long as it should, by the test's clock."""

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
    monkeypatch.setattr(timing, "time", time)
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


def test_a_jobs_time_is_split_into_model_labelling_and_the_rest(time, tmp_path):
    model = Passing(time, 2.0)
    with JobTiming() as clock:
        time.now += 5  # reading
        with clock.labelling():
            model("clip")
            time.now += 1  # resizing
    time.now += 100  # loading the next model is no part of this job
    clock.write(tmp_path / "a/b/job.json", "depth", {"labeller": "x"}, "cpu", SIZE, 4)
    (record,) = read_throughputs(tmp_path / "a", tmp_path / "none.json")
    assert (record.model_seconds, record.labelling_seconds, record.total_seconds) == (2.0, 3.0, 8.0)
    assert (record.stage, record.job, record.size, record.clips) == ("depth", {"labeller": "x"}, SIZE, 4)
    assert record.clips_per_hour == 1800 and record.model_share == 0.25
    assert record.peak_gpu_gb is None and record.peak_rss_gb > 0.01 and "CPU" in record.device


def test_records_of_one_device_add_up():
    other = replace(RECORD, clips=150, device="a CPU", total_seconds=9000.0, peak_gpu_gb=None)
    summed = combined([RECORD, other, replace(RECORD, peak_gpu_gb=9.0)])
    assert (summed.device, summed.clips, summed.total_seconds, summed.peak_gpu_gb) == ("A GPU", 200, 720.0, 9.0)
    assert combined([other]).peak_gpu_gb is None and combined([]) is None
    assert combined([replace(RECORD, clips=0, total_seconds=0.0)]) is None, "no clips say nothing of speed"


def test_records_are_read_from_jobs_and_from_the_benchmark(tmp_path):
    write_throughput(tmp_path / "benchmarks/estimate_depth/depthcrafter/train/0.json", RECORD)
    write_record(tmp_path / "throughput.json", {"versions": {}, "labellers": [asdict(RECORD)]})
    assert read_throughputs(tmp_path / "benchmarks", tmp_path / "throughput.json") == [RECORD, RECORD]
    assert read_throughputs(tmp_path / "none", tmp_path / "none.json") == []


def test_cut_and_foreign_records_are_passed_over(tmp_path):
    folder = tmp_path / "benchmarks/estimate_depth"
    write_throughput(folder / "2.json", RECORD)
    (folder / "0.json").write_text((folder / "2.json").read_text()[:40])
    former = asdict(RECORD)
    (folder / "1.json").write_text(json.dumps({"settings": former.pop("job")} | former))
    (folder / "3.json").write_text("[]")
    assert read_throughputs(tmp_path / "benchmarks", tmp_path / "none.json") == [RECORD]


def test_reading_records_needs_no_torch():
    code = "import sys, udpdiff.timing; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "False"
