"""The memory of a job's GPU: what is recorded where there is none, what is read of it, and what torch counts where there is one."""

from __future__ import annotations

import json

import pytest
import torch

from udpdiff.gpu_memory import on_gpu, peak_gpu_gb, recorded_peak, write_peak
from udpdiff.planning.costs import read_jobs, seconds_per_rule


def test_on_a_cpu_the_record_says_that_no_gpu_was_used(tmp_path):
    write_peak(tmp_path / "0.json", "cpu")
    assert json.loads((tmp_path / "0.json").read_text())["peak_gpu_gb"] is None
    assert recorded_peak(tmp_path / "0.tsv") == (True, None) and not on_gpu("cpu")


def test_what_is_no_record_says_nothing(tmp_path):
    assert recorded_peak(tmp_path / "missing.tsv") == (False, None)
    for text in ("[1]", "{}", "no json", '{"peak_gpu_gb": 9}'):  # the last one without its digest
        (tmp_path / "0.json").write_text(text)
        assert recorded_peak(tmp_path / "0.tsv") == (False, None), text


def test_the_cost_of_a_rule_has_the_largest_of_its_jobs(tmp_path, monkeypatch):
    for rule, number, gigabytes in (("sample", 0, 3.0), ("sample", 1, 5.0), ("depth", 0, None), ("rest", 0, "none")):
        benchmark = tmp_path / f"{rule}/{number}.tsv"
        benchmark.parent.mkdir(exist_ok=True)
        benchmark.write_text("s\tmax_rss\n1.0\t1024\n")
        if gigabytes != "none":
            monkeypatch.setattr("udpdiff.gpu_memory.peak_gpu_gb", lambda device, found=gigabytes: found)
            write_peak(benchmark.with_suffix(".json"), None)
    rows = {rule: (row["gpu_told"], row["peak_gpu_gb"]) for rule, row in seconds_per_rule(read_jobs(tmp_path)).items()}
    assert rows == {"sample": (True, 5.0), "depth": (True, None), "rest": (False, None)}


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU is at hand")
def test_on_a_gpu_the_peak_stays_after_the_tensors_are_gone():
    torch.zeros(64, 1024, 1024, device="cuda")
    assert peak_gpu_gb("cuda") >= 64 * 1024 * 1024 * 4 / 1e9
