"""What is started where, as which rank and until when: the pure part, against texts as SLURM writes them."""

from __future__ import annotations

import subprocess
from datetime import datetime

import pytest

from udpdiff.launching.commands import (
    Allocation,
    Request,
    bash_words,
    first_node,
    joint_exit_code,
    plain_command,
    rank_environment,
    srun_command,
)

JOB = (
    "JobId=42 JobName=0b5e UserId=me(1) JobState=RUNNING Reason=None Dependency=(null) Requeue=1 Restarts=0"
    " TimeLimit={limit} StartTime=2026-05-01T10:00:00 EndTime={end} NodeList=gn[1-2] NumNodes=2 NumCPUs=128 NumTasks=16"
    " CPUs/Task=8 TRES=cpu=128,mem=1T,gres/gpu=16 Comment={comment} WorkDir=/home/me"
)


def job(limit="1-00:00:00", end="2026-05-02T10:00:00", comment="rule_train_wildcards_multi") -> Allocation:
    return Allocation.parse(JOB.format(limit=limit, end=end, comment=comment))


def at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def test_an_allocation_is_read_from_what_slurm_prints():
    found = job()
    assert (found.job_id, found.state, found.nodes, found.cpus) == ("42", "RUNNING", 2, 128)
    assert found.end == at("2026-05-02T10:00:00") and found.limit_seconds == 24 * 3600 and found.by_snakemake
    assert found.deadline == found.end - 900, "no more than a quarter of an hour is given away"
    assert found.deadline < found.last_moment < found.end
    assert not job(comment="my_notebook").by_snakemake, "such a job may hold much more than one rule"


def test_a_short_job_keeps_time_to_save_and_an_unlimited_one_has_no_deadline():
    short = job(limit="00:02:00", end="2026-05-01T10:02:00")
    assert short.deadline == short.end - 30
    endless = job(limit="UNLIMITED", end="Unknown")
    assert endless.deadline is endless.last_moment is endless.limit_seconds is None


def test_what_is_no_job_is_refused():
    with pytest.raises(ValueError, match=r"Invalid job id.*scontrol show job"):
        Allocation.parse("slurm_load_jobs error: Invalid job id specified")


def test_every_rank_is_a_task_of_its_own():
    command = srun_command("python", Request("scripts.train", ("--state", "s"), 16, 2, distributed=True), job())
    for option in ("--nodes=2", "--ntasks=16", "--ntasks-per-node=8", "--cpus-per-task=8", "--gpus-per-node=8"):
        assert option in command
    assert command[-8:] == ["python", "-m", "scripts.launch", "--rank", "--", "scripts.train", "--state", "s"]


def test_a_single_process_is_the_task_itself_and_has_the_whole_node():
    command = srun_command("python", Request("scripts.sample", ("--run", "r")), job())
    assert "--ntasks=1" in command and "--cpus-per-task=64" in command
    assert command[-5:] == plain_command("python", Request("scripts.sample", ("--run", "r")))
    two = Request("scripts.sample", (), gpus=2)
    assert two.ranks == 1 and "--gpus-per-node=2" in srun_command("python", two, job())


def test_bash_expands_shards(tmp_path):
    paths = [f"results/latents/{stream}/train/{shard}.h5" for stream in ("video", "text-plain") for shard in range(12)]
    words = bash_words(paths)
    assert words == ["results/latents/video/train/{0..11}.h5", "results/latents/text-plain/train/{0..11}.h5"]
    echoed = subprocess.run(["bash", "-c", f"echo {' '.join(words)}"], capture_output=True, text=True)
    assert echoed.stdout.split() == paths
    with pytest.raises(ValueError, match=r"a/2\.h5, expected a/1\.h5"):
        bash_words(["a/0.h5", "a/2.h5"])


def test_gpus_are_spread_evenly():
    with pytest.raises(ValueError, match=r"gpu=3 on nodes=2.*multiple of 2"):
        Request("scripts.train", (), 3, 2, distributed=True)


def test_ranks_are_named_as_torchrun_names_them():
    slurm = {"SLURM_PROCID": "9", "SLURM_NTASKS": "16", "SLURM_LOCALID": "1", "SLURM_NNODES": "2"}
    assert rank_environment(slurm, "gn1", 29000) == {
        "RANK": "9",
        "WORLD_SIZE": "16",
        "LOCAL_RANK": "1",
        "LOCAL_WORLD_SIZE": "8",
        "MASTER_ADDR": "gn1",
        "MASTER_PORT": "29000",
    }
    with pytest.raises(ValueError, match=r"SLURM_PROCID, SLURM_NTASKS.*srun"):
        rank_environment({"SLURM_LOCALID": "0"}, "gn1", 29000)


@pytest.mark.parametrize(
    "nodelist, first",
    [
        ("gn1", "gn1"),
        ("gn[1-2]", "gn1"),
        ("gpu[003-007,011],login", "gpu003"),
        ("a-1,b[2-3]", "a-1"),
        ("rack[1-2]node[04-05]", "rack1node04"),
        ("node[7,9]-ib", "node7-ib"),
    ],
)
def test_first_node_of_a_list(nodelist, first):
    assert first_node(nodelist) == first


@pytest.mark.parametrize(
    "codes, joint",
    [
        ([0, 0], 0),
        ([75, 75], 75),
        ([75, -15], 75),  # torchrun ends the others once one is gone
        ([75, 1], 1),
        ([-9, 0], 137),
        ([-15, 1], 1),
    ],
)
def test_joint_exit_code(codes, joint):
    assert joint_exit_code(codes, stopped=75) == joint
