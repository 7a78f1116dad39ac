"""The workflow as it is used: dry runs in a fresh folder, and one small real run of everything."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from figure_files import check_record

from udpdiff.storage.shards import ShardReader
from udpdiff.video_io import decode_mp4

ROOT = Path(__file__).parents[2]
SMOKE = ROOT / "tests" / "smoke.yaml"


def snakemake(folder: Path, *arguments: str, config: Path = SMOKE, **variables: str) -> subprocess.CompletedProcess:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    return subprocess.run(
        [sys.executable, "-m", "snakemake", "--directory", str(folder), "--configfile", str(config), *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=environment | variables,
    )


def planned(done: subprocess.CompletedProcess) -> dict[str, int]:
    """rule -> number of jobs, from the table of a dry run; empty when there is nothing to do."""
    assert done.returncode == 0, done.stderr + done.stdout
    return {rule: int(count) for rule, count in re.findall(r"^(\w+) +(\d+)$", done.stdout, re.M) if rule != "total"}


def test_the_run_is_one_of_an_installation_without_extras(forked_jobs):
    code = (
        "import importlib.util as i; print([name for name in ('peft', 'bitsandbytes', 'torch') if i.find_spec(name)])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=os.environ | forked_jobs)
    assert done.stdout == "['torch']\n", done.stderr


def test_dry_run_of_everything(tmp_path):
    jobs = planned(snakemake(tmp_path, "-n", "--quiet", "rules"))
    assert jobs["train"] == 12 and jobs["sample"] + jobs["sample_video"] == 15 and jobs["fill_table"] == 9
    assert jobs["render_scenes"] == 3, "two shards of training clips and one for evaluation"


def test_one_table_needs_only_its_runs(tmp_path):
    jobs = planned(snakemake(tmp_path, "-n", "--quiet", "rules", "--", "results/table7.csv"))
    assert jobs["train"] == 3 and jobs["sample"] == 3 and jobs["fill_table"] == 1
    assert "render_report" not in jobs and "codec_quality" not in jobs


def test_labels_need_no_model(tmp_path):
    jobs = planned(snakemake(tmp_path, "-n", "--quiet", "rules", "--", "show_labels", "panda_dense"))
    assert jobs["show_labels"] == jobs["describe_data_set"] == 1 and jobs["export_clips"] == 3
    assert not {"train", "take_model", "encode_latents", "sample", "extract_features", "render_report"} & set(jobs)


def test_a_table_of_labellings_needs_the_labels_of_each(tmp_path):
    jobs = planned(snakemake(tmp_path, "-n", "--quiet", "rules", "--", "results/table9.csv"))
    assert jobs["train"] == 3 and jobs["segment_entities"] == 9 and jobs["fill_table"] == 1


def test_bad_configuration_is_refused_in_one_readable_message(tmp_path):
    bad = tmp_path / "bad.yaml"
    bad.write_text("training: {stepz: 3}\nclips: {num_frames: 12}\n")
    done = snakemake(tmp_path, "-n", config=bad)
    told = done.stdout + done.stderr
    assert done.returncode != 0 and "training.stepz: unknown key; did you mean 'steps'" in told
    assert "Traceback" not in told


def test_plan_of_the_mini_scale(tmp_path):
    done = snakemake(tmp_path, "--cores", "1", "--", "plan")
    assert done.returncode == 0, done.stderr
    told = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert any("12 train and 6 evaluation clips of 9 frames, 64 x 64" in line for line in told)
    (labelled,) = [line.split() for line in told if line.startswith("entities/entityseg ")]
    assert labelled[:3] == ["entities/entityseg", "3", "18"] and float(labelled[3]) > 0, "reckoned from the default run"
    assert not list(tmp_path.glob("results/clips")), "a plan makes nothing"


def test_throughput_needs_one_shard_of_clips(tmp_path):
    jobs = planned(snakemake(tmp_path, "-n", "--quiet", "rules", "--", "results/throughput.json"))
    assert jobs == {"render_scenes": 1, "measure_throughput": 1}


@pytest.fixture(scope="module")
def finished(tmp_path_factory, forked_jobs):
    """A small run of everything, in a folder of its own."""
    folder = tmp_path_factory.mktemp("smoke")
    done = snakemake(folder, "--cores", "2", **forked_jobs)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-6000:]
    return folder, done


def test_the_data_set_and_the_papers_figures_come_as_files_and_into_snakemakes_report(finished, forked_jobs):
    folder = finished[0]
    done = snakemake(folder, "--cores", "2", "--", "show_labels", "panda_dense", "paper_figures", **forked_jobs)
    assert done.returncode == 0, done.stderr[-3000:]
    assert (folder / "results/labels/data_set.html").is_file() and "The labels: " in done.stdout + done.stderr
    assert f"The data set's card: {folder / 'results/panda_dense/README.md'}" in done.stdout + done.stderr
    assert re.search(r"\| train \| 2 \| \d+ \|", (folder / "results/panda_dense/README.md").read_text())
    assert {path.name for path in (folder / "results/figures").glob("*.png")} == {f"figure{n}.png" for n in (3, 4, 5)}
    targets = ["all", "panda_dense", "paper_figures"]
    done = snakemake(folder, "--cores", "1", "--report", str(folder / "report.zip"), "--", *targets)
    assert done.returncode == 0, done.stderr[-3000:]
    names = [name.rpartition("/")[2] for name in zipfile.ZipFile(folder / "report.zip").namelist()]
    assert {"table1.csv", "table9.csv", "index.html", "README.md", "figure3.png", "report.html"} <= set(names)


def test_everything_ends_in_a_report(finished):
    folder, done = finished
    assert "The report: " in done.stdout + done.stderr and "all: everything that it asks for is there" in done.stderr
    assert "(not counted: sample): reckoned from the default run" in done.stderr, (
        "of the time, with other steps of sampling"
    )
    assert max(map(len, done.stderr.splitlines())) < 500, "nobody reads longer lines"
    assert (folder / "results/report/index.html").stat().st_size > 20_000
    assert "depth by `mini:depthcrafter`" in (folder / "results/runs/depth/README.md").read_text()
    figures = json.loads((folder / "results/quality.json").read_text())
    for key in ("labels.entity_miou", "codec.vae_entity_miou", "generated.depth_delta1", "cost.total_seconds"):
        assert key in figures
    assert figures["codec.pixelplanes_exact_share"] == 1.0
    timed = {path.relative_to(folder / "benchmarks").parts[0] for path in (folder / "benchmarks").rglob("*.tsv")}
    assert {"segment_entities", "estimate_depth", "extract_features", "train", "sample"} <= timed
    assert {f"cost.{rule}_seconds" for rule in timed} <= set(figures)
    if not torch.cuda.is_available():
        assert "CPU, 1 thread(s)" in (folder / "results/table4.csv").read_text()
    for number in range(1, 10):
        header = (folder / f"results/table{number}.csv").read_text().splitlines()[0]
        assert "_ours" in header and "_paper" in header and "n_videos" in header


def test_every_file_of_figures_says_what_it_rests_on(finished):
    results = finished[0] / "results"
    files = [*results.glob("metrics/**/*.json"), *results.glob("table*.json")]
    files += [results / "verdicts.json", results / "quality.json"]
    assert {path.name for path in files} >= {"labels.json", "codec.json", "runtime.json", "against_base.json"}
    for path in files:
        check_record(path)


def test_entities_are_judged_for_all_runs_and_models(finished):
    def measured(run):
        return json.loads((finished[0] / f"results/metrics/{run}/seg/quality.json").read_text())["metrics"]

    assert all("entity_tube_iou" in measured(name) for name in ("multi", "seg", "udpdiff"))


def test_a_finished_run_plans_with_its_own_speeds(finished):
    done = snakemake(finished[0], "--cores", "1", "--", "plan")
    rows = {line.split()[0]: line.split() for line in done.stdout.splitlines() if line.strip()}
    for name in ("entities/entityseg", "depth/depthcrafter"):
        assert all(float(column) > 0 for column in rows[name][3:5]), "speed and disk are those of the shards"


def test_second_run_has_nothing_to_do(finished):
    assert planned(snakemake(finished[0], "-n", "--quiet", "rules")) == {}


def test_new_learning_rate_of_one_run_retrains_it_alone(finished):
    folder, _ = finished
    settings = yaml.safe_load(SMOKE.read_text())
    settings["runs"]["multi_30_70"] = {"training": {"learning_rate": 1.0e-5}}
    other = folder / "other.yaml"
    other.write_text(yaml.safe_dump(settings))
    jobs = planned(snakemake(folder, "-n", "--quiet", "rules", config=other))
    assert jobs["train"] == jobs["fill_table"] == 1
    assert jobs["sample"] == jobs["evaluate_samples"] == 1, "of its two tasks, the one that a table shows"
    assert not {"encode_latents", "encode_text", "write_captions", "render_scenes"} & set(jobs)


def test_runs_on_one_seed_meet_the_same_video_noise(finished):
    """Base and widened runs share the noise of their videos: barely trained from one base, they stay alike."""
    videos = {}
    for run, task in (("base", "video"), ("depth", "depth")):
        with ShardReader(finished[0] / f"results/samples/{run}/{task}/0.clips.h5") as shard:
            videos[run] = np.stack([decode_mp4(data["video_mp4"]) for _, data in shard.items(["video_mp4"])])
            videos[run] = videos[run].astype(float)
    gap = np.abs(videos["base"] - videos["depth"]).mean()
    shuffled = np.abs(videos["base"] - videos["depth"][::-1]).mean()
    assert gap < 0.5 * shuffled
