"""Provenance: what differs from the default, which checkpoints with which licences, jobs on one axis."""

from __future__ import annotations

from dataclasses import replace

import pytest
import yaml
from small_results import ROOT, small_inputs, small_job, write_training

from udpdiff import checkpoints
from udpdiff.checkpoints.licences import OWN
from udpdiff.config.parsing import parse
from udpdiff.planning.costs import JobCost
from udpdiff.report import timeline as axis
from udpdiff.report.pages.provenance import provenance
from udpdiff.report.settings import differing
from udpdiff.report.used_checkpoints import used_checkpoints
from udpdiff.storage.sealed import write_record

DEFAULT = parse(yaml.safe_load((ROOT / "config.yaml").read_text()))


def test_differences_by_hand():
    first = {"a": 1, "b": {"c": [1, 2], "d": None}, "gone": {"x": 1, "y": 2}}
    second = {"b": {"c": [1, 3], "d": None, "e": "new"}, "a": 1.0}
    found = [(each.key, each.first, each.second) for each in differing(first, second)]
    assert found == [("b.c", "[1, 2]", "[1, 3]"), ("b.e", None, "new"), ("gone", "{x: 1, y: 2}", None)]


@pytest.fixture
def results(tmp_path, monkeypatch):
    folder = tmp_path / "results"
    folder.mkdir()
    write_training(folder)
    monkeypatch.setattr("small_results.summary_paths", lambda job, results: [])
    return folder


def test_the_page_says_what_differs_and_by_whom_runs_were_made(results):
    inputs = small_inputs(small_job(clips={"height": 48}), results)
    inputs.default, inputs.costs = DEFAULT, [JobCost("train", "base", 50.0, 20.0, 1.0)]
    found = provenance(inputs, results / "media")
    changed = {each.key: (each.first, each.second) for each in found.differences}
    assert changed["clips.height"] == ("64", "48") and changed["runs.seg_grid8"][1] is None
    assert "seed" not in changed and found.config["clips"]["height"] == 48
    assert [(run.run, run.commit, run.uncommitted) for run in found.runs] == [("base", "c0ffee", True), ("multi", "facade", True)]  # fmt: skip
    assert found.runs[0].versions == {"torch": "9.9"} and found.runs[1].settings["tasks"] == "seg 0.5, depth 0.5"
    assert [node.rule for node in found.rules.nodes if node.note != "not measured"] == ["train"]
    assert [(row.rule, row.jobs, row.seconds, row.peak_gpu_gb) for row in found.costs] == [("train", 1, 20.0, None)]
    inputs.default = None
    assert provenance(inputs, results / "media").differences is None
    inputs.default = inputs.config
    assert provenance(inputs, results / "media").differences == []


def test_checkpoints_have_licences_and_what_pins_them(results):
    job = small_job(metrics={"image_encoder": "openai/clip-vit-base-patch32@v1", "video_encoder": "i3d:/a/file.pt#" + "ab" * 32})  # fmt: skip
    record = {"reference": "openai/clip-vit-base-patch32@v1", "commit": "f00d" * 10, "files": []}
    (results / "checkpoints").mkdir()
    write_record(results / "checkpoints/openai--clip-vit-base-patch32@v1.json", record)
    found = {each.reference: each for each in used_checkpoints(small_inputs(job, results))}
    own = found["mini:cogvideox"]
    assert own.licence == OWN and len(own.files) == 3 and own.keys == ["model.base"]
    assert own.files["vae/diffusion_pytorch_model.safetensors"] == checkpoints.shipped_digests("mini:cogvideox")["vae/diffusion_pytorch_model.safetensors"]  # fmt: skip
    hub = found["openai/clip-vit-base-patch32@v1"]
    assert (hub.licence, hub.commit, hub.files) == ("MIT", "f00d" * 10, {})
    assert found["i3d:/a/file.pt#" + "ab" * 32].files == {"i3d:/a/file.pt": "ab" * 32}
    assert found["mini:depth_anything"].keys == [f"labels.depth.{name}.checkpoint" for name in ("depth_anything", "pumping")]  # fmt: skip


def test_pauses_are_cut_out_of_the_axis():
    jobs = [JobCost("a", "0", 1010.0, 10.0, 1.0), JobCost("b", "0", 1015.0, 10.0, 2.0), JobCost("a", "1", 5020.0, 5.0, 3.0)]  # fmt: skip
    found = axis.timeline([*jobs, JobCost("a", "instant", 1.0, 0.0, 0.0)])
    assert (found.seconds, found.cuts) == (20.0, [15.0])
    rows = {row.rule: [(job.start, job.seconds) for job in row.jobs] for row in found.rows}
    assert rows == {"a": [(0.0, 10.0), (15.0, 5.0)], "b": [(5.0, 10.0)]}
    assert found.rows[0].jobs[1].text == "a 1: 5.0 s, 3.00 GB"
    # Both run from 5 to 10 s; the pause is no time at all, and the end of one job is the start of the next.
    assert [(step.start, step.gb) for step in found.memory] == [(0, 1), (5, 3), (10, 2), (15, 3), (20, 0)]
    assert axis.timeline([]).rows == axis.timeline([]).memory == found.gpu_memory == []
    gpus = axis.timeline([replace(job, peak_gpu_gb=4.0) for job in jobs[1:]] + jobs[:1])
    assert [(step.start, step.gb) for step in gpus.gpu_memory] == [(5, 4), (15, 4), (20, 0)]
    assert gpus.rows[1].jobs[0].text == "b 0: 10.0 s, 2.00 GB, GPU 4.00 GB"


def test_a_training_says_in_its_log_what_it_took_of_its_gpu(results, monkeypatch):
    inputs = small_inputs(small_job(), results)
    inputs._finished = [JobCost("train", "base", 1.0, 1.0, 1.0), JobCost("train", "multi", 1.0, 1.0, 1.0)]
    assert [(job.gpu_told, job.peak_gpu_gb) for job in inputs.costs] == [(True, None)] * 2, "there were no GPUs"
    logged = {"base": [{"step": 1, "peak_gpu_gb": 3.5}, {"step": 2, "peak_gpu_gb": 2.5}], "multi": []}
    later = small_inputs(small_job(), results)
    later._finished = inputs._finished
    monkeypatch.setattr(later, "training_log", logged.get)
    assert [job.peak_gpu_gb for job in later.costs] == [3.5, None]


def test_many_jobs_are_drawn_together(monkeypatch):
    monkeypatch.setattr(axis, "MOST_JOBS", 2)
    found = axis.timeline([JobCost("a", str(index), 10.0 * index + 5, 5.0, index) for index in range(4)])
    assert [job.text for job in found.rows[0].jobs] == ["a 0 and 1 more: 15.0 s, 1.00 GB", "a 2 and 1 more: 15.0 s, 3.00 GB"]  # fmt: skip
