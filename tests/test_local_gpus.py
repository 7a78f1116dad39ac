"""GPUs are lent to one job at a time; the lists of devices are made up, the locks and processes are real."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from udpdiff.launching.local_gpus import lock_folder, named_gpus, take_gpus, visible_gpus
from udpdiff.locking import NoLocks

ROOT = Path(__file__).parents[1]
LISTING = """GPU 0: NVIDIA A100-SXM4-80GB (UUID: GPU-11aa)
  MIG 3g.40gb     Device  0: (UUID: MIG-22bb)
  MIG 3g.40gb     Device  1: (UUID: MIG-33cc)
GPU 1: NVIDIA A100-SXM4-80GB (UUID: GPU-44dd)
"""


def test_gpus_are_those_set_or_those_there(tmp_path):
    assert visible_gpus({"CUDA_VISIBLE_DEVICES": "0, GPU-1"}) == ["0", "GPU-1"]
    assert visible_gpus({"CUDA_VISIBLE_DEVICES": ""}) == visible_gpus({"CUDA_VISIBLE_DEVICES": "-1"}) == []
    assert visible_gpus({"PATH": str(tmp_path)}) == [], "no nvidia-smi, no GPU"
    assert named_gpus(LISTING) == ["MIG-22bb", "MIG-33cc", "GPU-44dd"]


def test_a_gpu_is_free_again_when_its_job_ends_however(tmp_path):
    first, second = take_gpus(["0", "1", "2"], 2, tmp_path), take_gpus(["0", "1", "2"], 1, tmp_path)
    assert [lock.path.name for lock in first + second] == ["0", "1", "2"]
    first[1].release()
    assert [lock.path.name for lock in take_gpus(["0", "1", "2"], 1, tmp_path)] == ["1"]
    holder = subprocess.Popen(
        [sys.executable, "-c", f"""
import os, sys
from pathlib import Path
from udpdiff.launching.local_gpus import take_gpus
locks = take_gpus(["7"], 1, Path({str(tmp_path)!r}))
os.execv(sys.executable, [sys.executable, "-c", "print('held', flush=True); import time; time.sleep(60)"])
"""],
        stdout=subprocess.PIPE, text=True, cwd=ROOT,
    )  # fmt: skip
    assert holder.stdout.readline() == "held\n", "the lock is kept through exec"
    begun = time.monotonic()
    holder.kill()
    assert [lock.path.name for lock in take_gpus(["7"], 1, tmp_path, poll_seconds=0.05)] == ["7"]
    assert time.monotonic() - begun < 20
    holder.wait()


def test_more_than_there_are_takes_all(tmp_path):
    assert [lock.path.name for lock in take_gpus(["0"], 8, tmp_path)] == ["0"]


def test_a_file_system_without_locks_says_so(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr("fcntl.flock", refuse)
    with pytest.raises(NoLocks, match=r"no locks \(flock: Function not implemented\).*TMPDIR"):
        take_gpus(["0"], 1, tmp_path)


def test_allocations_of_a_cluster_do_not_share_names():
    assert lock_folder({"SLURM_JOB_ID": "7"}) != lock_folder({})


WORKFLOW = """
rule all:
    input: expand("{i}.txt", i=range(4))

rule work:
    output: "{i}.txt"
    resources: gpu=1
    shell: "python -m scripts.launch --gpus {resources.gpu} -- work {output}"
"""
WORK = """
import os, sys, time
begun = time.time(); time.sleep(1.0)
open(sys.argv[1], "w").write(f"{os.environ['CUDA_VISIBLE_DEVICES']} {begun} {time.time()}")
"""


def test_snakemake_gives_each_job_its_own_device(tmp_path):
    (tmp_path / "Snakefile").write_text(WORKFLOW)
    (tmp_path / "work.py").write_text(WORK)
    python = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": "0,1", "TMPDIR": str(tmp_path), "PATH": python}
    environment |= {"PYTHONPATH": f"{ROOT}:{tmp_path}"}
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "--cores", "8", "--resources", "gpu=2"],
        cwd=tmp_path, env=environment, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    rows = [(tmp_path / f"{index}.txt").read_text().split() for index in range(4)]
    assert {gpu for gpu, *_ in rows} == {"0", "1"}
    for gpu in ("0", "1"):
        times = sorted((float(begun), float(ended)) for name, begun, ended in rows if name == gpu)
        assert all(ended <= begun for (_, ended), (begun, _) in itertools.pairwise(times)), "one at a time"
