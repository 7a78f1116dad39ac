"""The commands of planning and report, as rules run them."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from small_results import measure_labels, small_job, summary_paths, write_results

from scripts import measure_throughput, plan, render_report, show_labels
from udpdiff.jobs import Execution, MeasureThroughput
from udpdiff.storage.sealed import write_record
from udpdiff.timing import Throughput, read_throughputs

ROOT = Path(__file__).parents[2]

PAGES = ("index", "samples", "tables", "data_set", "training", "goals", "provenance")
RECORD = Throughput("depth", {}, {}, 2, 1.0, 2.0, 4.0, "a CPU", None, 1.5)


def run(monkeypatch, script, **options) -> None:
    words = [
        word
        for name, value in options.items()
        for word in (f"--{name}", *(value if isinstance(value, list) else [value]))
    ]
    monkeypatch.setattr(sys, "argv", [script.__name__, *map(str, words)])
    script.main()


def test_render_report_writes_pages_and_figures(tmp_path, monkeypatch):
    results, job = tmp_path / "results", small_job()
    write_results(results)
    measured = measure_labels(results, job)
    outputs = {"quality": results / "quality.json", "page": results / "report/index.html"}
    inputs = {"measured": [measured], "summaries": summary_paths(job, results), "benchmarks": tmp_path / "benchmarks"}
    inputs |= {"default": ROOT / "config.yaml", "verdicts": results / "verdicts.json"}
    write_record(inputs["verdicts"], {"scale": {"words": "Small."}, "seeds": {"words": "One."}, "claims": []})
    run(monkeypatch, render_report, job=job.dump(), results=results, **inputs, **outputs)
    assert json.loads(outputs["quality"].read_text())["labels.entity_miou"] == 1
    report = results / "report"
    assert {path.name for path in report.iterdir()} == {f"{name}.html" for name in PAGES} | {"data", "media"}
    assert list((report / "media").iterdir()) and "steps on 3 clips" in outputs["page"].read_text()


def test_labels_are_shown_without_a_model(tmp_path, monkeypatch):
    results, job = tmp_path / "results", small_job()
    write_results(results)
    for models in ("runs", "samples"):
        shutil.rmtree(results / models)
    job = job.model_copy(update={"shown": (), "tables": ()})
    inputs = {"summaries": summary_paths(job, results), "benchmarks": tmp_path / "benchmarks"}
    page = results / "labels/data_set.html"
    run(monkeypatch, show_labels, job=job.dump(), results=results, default=ROOT / "config.yaml", page=page, **inputs)
    assert {path.name for path in page.parent.iterdir()} == {"data_set.html", "provenance.html", "data", "media"}
    assert list((page.parent / "media").iterdir()) and 'href="index.html"' not in page.read_text()
    shown = json.loads((page.parent / "data/provenance.json").read_text())
    assert shown["runs"] == [] and "render_report" not in [node["rule"] for node in shown["rules"]["nodes"]]


def test_plan_prints_every_stage(tmp_path, monkeypatch, capsys):
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    config["source"]["kind"] = "panda70m"
    folders = {"results": tmp_path / "results", "benchmarks": tmp_path / "benchmarks"}
    run(monkeypatch, plan, config=json.dumps(config), **folders)
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert any(line.startswith("mini: 144 train and 40 evaluation clips of 9 frames, 64 x 64;") for line in lines)
    assert any(line.startswith("download_clips 2 184 - ") for line in lines), "a source that is not named yet"
    assert not list(tmp_path.iterdir()), "a plan makes nothing"


def test_measure_throughput_keeps_records_that_a_plan_reads(tmp_path, monkeypatch, capsys):
    job, seen = MeasureThroughput(labellers={}), []

    def measure(*arguments):
        seen.append(arguments)
        yield "depth/one", RECORD

    monkeypatch.setattr(measure_throughput, "measure_labellers", measure)
    path, clips = tmp_path / "throughput.json", tmp_path / "clips.h5"
    execution = Execution(device="cpu")
    run(
        monkeypatch,
        measure_throughput,
        job=job.dump(),
        execution=execution.dump(),
        clips=clips,
        throughput=path,
        count=3,
    )
    assert seen == [(job, execution, clips, 3)]
    assert read_throughputs(tmp_path / "none", path) == [RECORD]
    assert "depth/one: 2 clips, 1,800 an hour" in capsys.readouterr().out
    assert {"commit", "versions", "hardware"} <= set(json.loads(path.read_text()))


@pytest.mark.parametrize("module", ["scripts.plan", "scripts.render_report", "scripts.measure_throughput"])
def test_commands_say_how_they_are_used(module):
    done = subprocess.run([sys.executable, "-m", module, "--help"], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0 and "usage" in done.stdout
