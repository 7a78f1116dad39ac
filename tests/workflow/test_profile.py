"""The cluster's profile: what every rule of the paper's scale asks SLURM for, all maps merged, as a dry run prints it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from udpdiff import checkpoints
from udpdiff.sources import panda70m_table

ROOT = Path(__file__).parents[2]
# Whoever imports these runs a network.
NETWORKS = (
    "udpdiff.model",
    "udpdiff.labelling",
    "udpdiff.training",
    "udpdiff.metrics.feature",
    "udpdiff.planning.through",
)
# Of those, what reads files alone.
LIGHT = ("from udpdiff.training.log import read_log", "from udpdiff.metrics.feature_shards import read_features")
FEW = "clips: {train: 4, evaluation: 4}\nlabels: {entities: {entityseg: {segmenter: cropformer}}}\nsource: {path: table.csv}\n"


def merged_resources(folder: Path, *arguments: str, more: str = "") -> dict[str, dict[str, str]]:
    """rule -> resource -> value, of one job of each rule, at the paper's scale with few clips."""
    (folder / "cropformer").symlink_to(checkpoints.resolve("mini:cropformer"))
    (folder / "table.csv").write_text(",".join(panda70m_table.COLUMNS) + "\n")
    (folder / "few.yaml").write_text(FEW + more)
    command = [
        sys.executable,
        "-m",
        "snakemake",
        "-n",
        "--directory",
        str(folder),
        "--configfile",
        str(folder / "few.yaml"),
    ]
    targets = ["all", "results/throughput.json"]
    done = subprocess.run([*command, *arguments, "--", *targets], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    found = {}
    for rule, block in re.findall(r"^(?:local)?rule (\w+):\n((?: {4}.*\n)+)", done.stdout, re.M):
        line = re.search(r"^ {4}resources: (.*)$", block, re.M).group(1)
        found[rule] = dict(pair.split("=", 1) for pair in line.split(", "))
    return found


@pytest.fixture(scope="module")
def asked(tmp_path_factory) -> dict[str, dict[str, str]]:
    return merged_resources(tmp_path_factory.mktemp("profile"), "--profile", "slurm")


def loads_a_model(rule: str) -> bool:
    script = "sample" if rule == "sample_video" else rule.replace("_run_", "_")
    script = ROOT / "scripts" / f"{script}.py"
    text = script.read_text() if script.exists() else ""
    for light in LIGHT:
        text = text.replace(light, "")
    return any(f"from {name}" in text for name in NETWORKS)


def test_a_rule_that_loads_a_model_gets_a_gpu_and_no_other_does(asked):
    loading = {rule for rule in asked if loads_a_model(rule)}
    assert {"segment_entities", "encode_latents", "train", "sample", "sample_video", "codec_quality"} <= loading
    assert {rule for rule in loading if int(asked[rule].get("gpu", 0)) < 1} == set(), "no GPU"
    assert {rule for rule in asked if int(asked[rule].get("gpu", 0))} == loading, "a GPU that nobody needs"


def test_every_rule_has_time_memory_and_cpus(asked):
    for rule, resources in asked.items():
        if rule not in ("all", "prefetch"):
            assert int(resources["runtime"]) >= 60 and int(resources["mem_mb"]) >= 8000, rule
            assert int(resources["cpus_per_task"]) >= 1, rule


def test_the_training_is_one_task_for_each_gpu_and_is_warned(asked):
    train = asked["train"]
    assert (train["gpu"], train["nodes"], train["mpi"], train["tasks"], train["tasks_per_gpu"]) == (
        "8",
        "1",
        "srun",
        "8",
        "0",
    )
    assert "--signal=TERM@300" in train["slurm_extra"]
    assert all("--open-mode=append" in asked[rule]["slurm_extra"] for rule in ("train", "estimate_depth")), (
        "logs of a requeued job"
    )


def test_two_nodes_and_one_gpu_as_the_profile_tells(tmp_path):
    """The commented lines of the profile, put in their place."""
    text = (ROOT / "slurm" / "config.yaml").read_text()
    two = re.search(
        r"# Two nodes, with `(gpus: 16)` and `(training: .*)` in your.*\n *# \{(.*?), \.\.\., (slurm_extra.*)\}$",
        text,
        re.M,
    )
    assert two, "the profile shows how"
    profile = yaml.safe_load(text)
    profile["set-resources"]["train"] |= yaml.safe_load(f"{{{two.group(3)}, {two.group(4)}}}")
    shutil.copytree(ROOT / "slurm", tmp_path / "mine")
    (tmp_path / "mine" / "config.yaml").write_text(yaml.safe_dump(profile))
    more = f"{two.group(1)}\n{two.group(2)}\n"
    train = merged_resources(tmp_path, "--profile", str(tmp_path / "mine"), more=more)["train"]
    assert (train["gpu"], train["nodes"], train["tasks"]) == ("16", "2", "16") and "--gpus-per-node=8" in train[
        "slurm_extra"
    ]


def test_a_training_asks_for_the_gpus_of_its_configuration(tmp_path):
    train = merged_resources(tmp_path, "--profile", "slurm", more="gpus: 1\ngpu: null\n")["train"]
    assert (train["gpu"], train["tasks"], train["mpi"]) == ("1", "2", "srun")


def test_retries_count_failures_and_bring_memory(tmp_path):
    text = (ROOT / "slurm" / "config.yaml").read_text()
    memory = yaml.safe_load(text)["set-resources"]["segment_entities"]["mem_mb"]
    assert [eval(memory, {"attempt": attempt}) for attempt in (1, 2)] == [64000, 128000]
    for path in [ROOT / "Snakefile", *(ROOT / "rules").glob("*.smk")]:
        assert "retries:" not in path.read_text(), "inside an allocation such retries run at once"
