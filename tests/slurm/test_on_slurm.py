"""The workflow on a real SLURM through its own profile: everything once, and trainings that are interrupted.

An interruption is no failure: Snakemake's log tells of none, and the weights are those of the run that was left alone.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest
from cluster import Cluster
from on_slurm import Snakemake, edited_profile, steps_done, wait_for
from safetensors.torch import load_file

from udpdiff.storage.shards import ShardReader

RUN, HERE = "results/runs/base", Path(__file__).parent
WHOLE_SECONDS = 1800  # beside other tests; alone it takes 500


SHARD = """
import sys, time, numpy as np
from udpdiff.storage.shards import ShardWriter
with ShardWriter(sys.argv[1], "entities", {"seed": 1}, resume=True) as writer:
    print("taken over", len(writer.done), flush=True)
    for number in range(45):
        if f"clip{number}" not in writer.done:
            writer.add(f"clip{number}", {"entity_ids": np.full((4, 64, 64), number, np.uint16)})
            time.sleep(1)
"""
STUBBORN = """
import signal, sys, time
stopped = []
signal.signal(signal.SIGTERM, lambda *_: stopped.append(1))
open(sys.argv[1], "w").close()
while not stopped:
    time.sleep(0.1)
sys.exit(75)
"""


def submit_launched(cluster: Cluster, folder: Path, code: str, minutes: int, words: str, argument: Path) -> str:
    """Submit a rule's command alone, as Snakemake's plugin would. Returns the job's number."""
    (folder / "work.py").write_text(code)
    # Snakemake's jobstep removes all variables of SLURM but the job's number and some names.
    command = f"env -u SLURM_PROCID {sys.executable} -m scripts.launch {words} -- work {argument}"
    return cluster.call(
        "sbatch", "--parsable", "--comment=rule_work", "--gpus=1", "-t", str(minutes), "-o", f"{folder}/log",
        "--open-mode=append", f"--export=ALL,PYTHONPATH={HERE.parents[1]}:{folder}", f"--wrap={command}",
    ).strip()  # fmt: skip


def ended(cluster: Cluster, job: str) -> str | None:
    state = cluster.call("squeue", "-h", f"--job={job}", "--states=all", "-o", "%T").strip()
    return state if state in ("COMPLETED", "CANCELLED", "FAILED", "TIMEOUT") else None


@pytest.fixture(scope="module")
def whole(cluster, tmp_path_factory) -> Path:
    """A folder with everything made, each rule as jobs of SLURM."""
    folder = tmp_path_factory.mktemp("whole")
    profile = edited_profile(folder / "profile")
    snakemake = Snakemake(folder / "work", profile, "all")
    try:
        assert "Error in rule" not in snakemake.finish(WHOLE_SECONDS)
    finally:
        snakemake.stop()
    return folder / "work"


@pytest.fixture(scope="module")
def training(whole, tmp_path_factory):
    """Starts the training of `base` anew, in a copy of the folder. Ends what is left of it."""
    started: list[Snakemake] = []

    def start(variables: dict[str, str] | None = None, **profile) -> Snakemake:
        folder = tmp_path_factory.mktemp("training")
        shutil.copytree(whole, folder / "work")
        for path in (RUN, "results/training/base"):
            shutil.rmtree(folder / "work" / path)
        edited = edited_profile(folder / "profile", **profile)
        started.append(Snakemake(folder / "work", edited, RUN, **(variables or {})))
        return started[-1]

    yield start
    for snakemake in started:
        snakemake.stop()


@pytest.fixture(scope="module")
def interrupted(cluster, training) -> dict[str, tuple[Snakemake, str]]:
    """Trainings on their way with their jobs: one lost its node, one was told to stop, one has an hour's save to do in
    the two minutes of its job."""
    lost = training()
    lost_job = lost.job_id(cluster)
    node = wait_for(lambda: cluster.call("squeue", "-h", f"--job={lost_job}", "-o", "%N").strip(), "its node")
    other = f"--exclude={node}"
    slow_disk = {
        "SLOW_SAVE": str(lost.folder.parent / "slow"),
        "PYTHONPATH": f"{HERE}:{os.environ.get('PYTHONPATH', '')}",
    }
    limited = training(slow_disk, runtime=2, slurm_extra=other)
    warned = training(slurm_extra=other)

    wait_for(lambda: steps_done(lost.folder) >= 10, "steps of the training whose node is lost")
    cluster.lose_node(node)
    warned_job, limited_job = warned.job_id(cluster), limited.job_id(cluster)
    wait_for(lambda: steps_done(warned.folder) >= 3, "steps of the training that is warned")
    cluster.call("scancel", "--signal=TERM", warned_job)
    wait_for(lambda: cluster.call("squeue", "-h", f"--job={lost_job}", "-o", "%T").strip() == "RUNNING", "another node")
    cluster.bring_back(node)
    return {"lost": (lost, lost_job), "warned": (warned, warned_job), "limited": (limited, limited_job)}


@pytest.fixture(scope="module")
def shard_job(cluster, interrupted, tmp_path_factory) -> tuple[Path, str]:
    """A shard that takes 45 s, in a job of a minute, which ends 20 s before its time; and the job.

    It begins when the lost node is back: where a node is set down while one of its jobs goes back into the queue, SLURM 22
    starts that job elsewhere without its GPUs, and `srun` fails with "Invalid generic resource (gres) specification".
    """
    folder = tmp_path_factory.mktemp("shard")
    shard = folder / "0.h5"
    return shard, submit_launched(cluster, folder, SHARD, 1, f"--resumes {shard}", shard)


def weights(work: Path) -> dict:
    """What a run learnt, by name."""
    return load_file(work / RUN / "transformer" / "diffusion_pytorch_model.safetensors")


def largest_difference(one: dict, other: dict) -> float:
    assert one.keys() == other.keys()
    return max((one[name] - other[name]).abs().max().item() for name in one)


def restarts(cluster: Cluster, job: str) -> int:
    return int(cluster.call("scontrol", "show", "job", "-o", job).split("Restarts=")[1].split()[0])


def test_everything_runs_through_the_profile(whole, cluster, record_property):
    record_property("process tracking of SLURM", cluster.process_tracking)
    assert (whole / "results/report/index.html").stat().st_size > 20_000
    assert (whole / "results/table1.csv").exists()


@pytest.mark.usefixtures("shard_job")  # begins here, for its minute passes beside this test's
def test_two_processes_on_one_node_and_on_two(interrupted, whole, training):
    """One process for each GPU, wherever the GPUs are, trains as one process does."""
    together = training(gpu=2, tasks=2)
    apart = training(gpu=2, tasks=2, nodes=2, slurm_extra="--gpus-per-node=1")
    assert "Error in rule" not in together.finish() + apart.finish()
    assert largest_difference(weights(together.folder), weights(apart.folder)) == 0.0
    assert 0.0 < largest_difference(weights(together.folder), weights(whole)) < 1e-4, "other sums, so other last bits"


def test_a_shard_goes_on_after_its_time(cluster, shard_job):
    shard, job = shard_job
    said = shard.with_name("log")
    assert wait_for(lambda: ended(cluster, job), "its end") == "COMPLETED", said.read_text()
    taken_over = [int(line.split()[-1]) for line in said.read_text().splitlines() if "taken" in line]
    assert restarts(cluster, job) >= 1 and taken_over[0] == 0 < taken_over[-1] < 45
    assert ShardReader(shard).clip_ids == [f"clip{number}" for number in range(45)]


def test_a_cancelled_job_stays_cancelled(cluster, tmp_path):
    """Snakemake cancels its jobs on Ctrl-C; none of them may come back."""
    job = submit_launched(cluster, tmp_path, STUBBORN, 5, f"--distributed --resumes {tmp_path}", tmp_path / "ready")
    wait_for((tmp_path / "ready").exists, "the job's start")
    cluster.call("scancel", job)
    state = wait_for(lambda: ended(cluster, job), "its end")
    assert state == "CANCELLED" and restarts(cluster, job) == 0, (tmp_path / "log").read_text()


@pytest.mark.parametrize("how", ["lost", "warned", "limited"])
def test_an_interrupted_training_goes_on(cluster, whole, interrupted, how):
    snakemake, job = interrupted[how]
    said = snakemake.finish()
    assert restarts(cluster, job) >= 1, "it was interrupted at all"
    assert "Error in rule" not in said and "Trying to restart" not in said, said
    assert largest_difference(weights(snakemake.folder), weights(whole)) == 0.0


def test_the_limited_job_was_saving_when_its_time_was_over(interrupted):
    assert (interrupted["lost"][0].folder.parent / "slow").exists()
