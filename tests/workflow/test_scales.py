"""Every scale as its users start it: presets, files of their own, `--config`, the cluster's profile; dry runs and plans."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from udpdiff import checkpoints
from udpdiff.sources import panda70m_table

ROOT = Path(__file__).parents[2]
SCALES = {"paper": "480 x 720", "one_gpu": "480 x 720", "rehearsal": "64 x 64"}
LAB = "source: {path: table.csv}\nlabels: {entities: {entityseg: {segmenter: cropformer}}}\n"
PAPER = "udpdiff at the scale of presets/paper.yaml: 300000 training"


@pytest.fixture
def lab(tmp_path) -> Path:
    """A folder with what only a user can give, and a file that names it."""
    folder = tmp_path / "lab"
    folder.mkdir()
    (folder / "cropformer").symlink_to(checkpoints.resolve("mini:cropformer"))
    (folder / "table.csv").write_text(",".join(panda70m_table.COLUMNS) + "\n")
    (folder / "lab.yaml").write_text(LAB)
    return folder


def snakemake(folder: Path, *arguments, cwd: Path = ROOT) -> tuple[int, str]:
    """Exit status and all that is said. Results would lie in a folder beside the caller's."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", ROOT / "Snakefile", "--directory", folder / "work"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    done = subprocess.run(
        [*map(str, command), *map(str, arguments)], capture_output=True, text=True, cwd=cwd, env=environment
    )
    return done.returncode, done.stdout + done.stderr


def dry_run(folder: Path, *arguments, cwd: Path = ROOT) -> str:
    """What a dry run for one shard of labels says of a configuration that is fit."""
    target = "results/entities/entityseg/train/0.h5"
    status, told = snakemake(
        folder, "--profile", ROOT / "slurm", "-n", "--quiet", "rules", *arguments, "--", target, cwd=cwd
    )
    assert status == 0, told
    return told


def test_the_profile_runs_the_papers_scale_and_the_first_message_names_all_that_is_missing(tmp_path):
    status, told = snakemake(tmp_path, "--profile", "slurm", "-n", "--quiet", "--", "all")
    assert status != 0 and PAPER in told
    for key in ("source.path: got null", "labels.entities.entityseg.segmenter: got null"):
        assert key in told
    assert "panda70m_training_full.zip" in told and "cropformer_checkpoint" in told and "--configfile FILE" in told
    # stderr, which comes last here, has one line, of the start.
    said = [line for line in told.splitlines() if line and not line.startswith("Using profile")]
    assert said[-1].endswith("the preset stays as it is.") and said[-4].endswith("These values only you can give:")


def test_a_users_file_keeps_the_profiles_preset(lab, tmp_path):
    told = dry_run(tmp_path, "--configfile", lab / "lab.yaml")
    assert PAPER in told and "download_clips" in told


def test_a_users_file_is_found_from_where_one_stands_and_its_paths_beside_it(lab, tmp_path):
    assert PAPER in dry_run(tmp_path, "--configfile", "lab.yaml", cwd=lab)


def test_of_two_files_the_second_wins(lab, tmp_path):
    (tmp_path / "more.yaml").write_text("clips: {train: 1000}\n")
    told = dry_run(tmp_path, "--configfile", lab / "lab.yaml", tmp_path / "more.yaml")
    assert "presets/paper.yaml: 1000 training" in told


def test_values_may_come_by_config_with_the_preset(lab, tmp_path):
    given = ["--config", "preset=paper", "seed=8", f"source={{'path': '{lab}/table.csv'}}",
             f"labels={{'entities': {{'entityseg': {{'segmenter': '{lab}/cropformer'}}}}}}"]  # fmt: skip
    assert PAPER in dry_run(tmp_path, *given)


def test_paths_by_config_are_relative_to_the_work_directory(lab, tmp_path):
    shutil.copytree(lab, tmp_path / "work")
    given = ["--config", "preset=paper", "source={'path': 'table.csv'}",
             "labels={'entities': {'entityseg': {'segmenter': './cropformer'}}}"]  # fmt: skip
    assert PAPER in dry_run(tmp_path, *given)


def test_a_file_on_the_command_line_replaces_a_profiles_file_and_keeps_its_preset(lab, tmp_path):
    profile = tmp_path / "mine"
    shutil.copytree(ROOT / "slurm", profile)
    text = (profile / "config.yaml").read_text()
    (tmp_path / "theirs.yaml").write_text("clips: {train: 2000}\n")
    (profile / "config.yaml").write_text(f"{text}\nconfigfile: [{tmp_path}/theirs.yaml]\n")
    arguments = ["--profile", profile, "-n", "--quiet"]
    status, told = snakemake(tmp_path, *arguments, "--", "all")
    assert status != 0 and "presets/paper.yaml: 2000 training" in told
    status, told = snakemake(
        tmp_path, *arguments, "--configfile", lab / "lab.yaml", "--", "results/captions/train/0.parquet"
    )
    assert status == 0 and PAPER in told, told


def test_a_preset_may_stand_in_a_users_file(lab, tmp_path):
    (lab / "lab.yaml").write_text(LAB + "preset: paper\n")
    status, told = snakemake(
        tmp_path, "-n", "--quiet", "--configfile", lab / "lab.yaml", "--", "results/captions/train/0.parquet"
    )
    assert status == 0 and PAPER in told, told


def test_two_presets_are_refused(lab, tmp_path):
    (lab / "lab.yaml").write_text(LAB + "preset: one_gpu\n")
    status, told = snakemake(tmp_path, "--profile", "slurm", "-n", "--configfile", lab / "lab.yaml", "--", "all")
    assert status != 0 and "names 'one_gpu'" in told and "--config preset=one_gpu" in told
    status, told = snakemake(
        tmp_path, "--profile", "slurm", "-n", "--quiet", "--configfile", lab / "lab.yaml", "--config", "preset=one_gpu",
        "--", "results/captions/train/0.parquet",
    )  # fmt: skip
    assert status == 0 and "presets/one_gpu.yaml" in told, told


def test_an_unknown_preset_is_refused_with_those_there_are(tmp_path):
    status, told = snakemake(tmp_path, "-n", "--config", "preset=papier", "--", "all")
    assert status != 0 and "preset: got 'papier'; allowed: hours, one_gpu, paper, rehearsal" in told
    assert "Traceback" not in told


def test_the_mini_scale_reaches_no_cluster_by_accident(tmp_path):
    lost = ["--config", "seed=8"]  # which replaces the profile's list
    status, told = snakemake(tmp_path, "--profile", "slurm", "-n", "--quiet", *lost, "--", "all")
    assert status != 0 and "source.kind: got scenes" in told and "--config preset=paper KEY=VALUE" in told
    # Cores given besides do not make it a local run.
    status, told = snakemake(tmp_path, "--profile", "slurm", "--cores", "2", "-n", "--quiet", *lost, "--", "all")
    assert status != 0 and "source.kind: got scenes" in told


@pytest.mark.parametrize(
    "arguments",
    [
        ["--profile", "slurm", "--config", "preset=rehearsal"],
        ["--profile", "slurm", "--executor", "local", "--config", "seed=8"],
        ["--cores", "2", "--jobs", "4"],
    ],
)
def test_scenes_run_locally_and_as_a_rehearsal(tmp_path, arguments):
    status, told = snakemake(tmp_path, *arguments, "-n", "--quiet", "rules", "--", "all")
    jobs = dict(re.findall(r"^(\w+) +(\d+)$", told, re.M))
    assert status == 0 and jobs["train"] == "11", told


def test_what_cannot_fit_is_refused_before_any_job_and_planned_all_the_same(lab, tmp_path):
    small = ["--cores", "1", "--config", "preset=paper", "gpu=rtx4090", "gpus=1", "gpu_price=0.5"]
    small += ["--configfile", lab / "lab.yaml"]
    status, told = snakemake(tmp_path, *small, "-n", "--", "results/table1.csv")
    assert status != 0 and "training: train/base needs" in told and "rtx4090 leaves 23.8 of its 25.3 GB" in told
    assert "labels.captions.captioner: captions needs" in told and "rule train" not in told
    status, told = snakemake(tmp_path, *small, "--", "plan")
    assert (
        status == 0
        and "Does not fit: train/base needs" in told
        and "1 x RTX 4090 24 GB, 0.5 a GPU-hour" in " ".join(told.split())
    )


@pytest.mark.parametrize("preset", SCALES)
def test_a_plan_of_each_scale_needs_nothing_from_the_user(tmp_path, preset):
    status, told = snakemake(
        tmp_path, "--profile", "slurm", "--executor", "local", "--cores", "1", "--config", f"preset={preset}",
        "--", "plan",
    )  # fmt: skip
    assert status == 0, told
    assert f"presets/{preset}.yaml" in told and SCALES[preset] in told
    rows = {line.split()[0]: line for line in told.splitlines() if line.strip()}
    if preset == "paper":
        assert "300,000 train and 1,024 evaluation clips of 49 frames, 480 x 720" in told
        assert "301,024" in rows["depth/depthcrafter"] and "cited [" in rows["depth/depthcrafter"]
        assert ">169" in rows["entities/entityseg"], "300,000 x 49 frames at 24.2 a second, at least"
