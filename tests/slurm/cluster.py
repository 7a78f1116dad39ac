"""A real SLURM on this machine: two virtual nodes, gn1 and gn2, with four pretended GPUs each; for root alone.

Processes are tracked by cgroups, as real clusters do, where the kernel lets us; otherwise by their parents.
"""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import time
from pathlib import Path

SYSTEM_CONFIG = Path("/etc/slurm")  # where Snakemake's jobstep looks, for it removes SLURM_CONF from the environment
PROGRAMS = ("slurmctld", "slurmd", "munged", "sbatch", "srun")
NODES, GPUS = ("gn1", "gn2"), 4
CGROUP_FREEZER = Path("/sys/fs/cgroup/freezer")
START_SECONDS = 60


def why_not() -> str | None:
    """Return the reason why no SLURM can be started here; None if one can."""
    missing = [name for name in PROGRAMS if shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin") is None]
    if missing:
        return f"not installed: {', '.join(missing)} (Debian: slurm-wlm slurm-wlm-basic-plugins slurm-client munge)"
    if os.getuid() != 0:
        return "SLURM's daemons and pretended GPUs need root"
    if (SYSTEM_CONFIG / "slurm.conf").exists():
        return f"{SYSTEM_CONFIG}/slurm.conf exists: this machine belongs to a SLURM of its own"
    return None


class Cluster:
    """Context manager: SLURM runs while the body does.

    Args:
        folder: For state, logs and devices.

    Attributes:
        process_tracking: `cgroup` or `linuxproc`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.process_tracking = "cgroup" if _freezes() else "linuxproc"
        self._daemons: dict[str, subprocess.Popen] = {}

    def __enter__(self) -> Cluster:
        for name in ("state", *NODES):
            (self.folder / name).mkdir(parents=True)
        for number in range(GPUS):
            # A plain file would do for SLURM's count, and leave CUDA_VISIBLE_DEVICES unset.
            subprocess.run(["mknod", str(self.folder / f"gpu{number}"), "c", "1", "3"], check=True)
        SYSTEM_CONFIG.mkdir(exist_ok=True)
        for name, text in self._configuration().items():
            (SYSTEM_CONFIG / name).write_text(text)
        try:
            self._start_munge()
            self._start("slurmctld", "-D", "-i")
            for node in NODES:
                self.start_node(node)
            self._wait(lambda: self.call("sinfo", "-h", "-o", "%t").split() == ["idle"], "both nodes to be idle")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if "slurmctld" in self._daemons:
            self._end_jobs()
        for daemon in reversed(self._daemons.values()):
            daemon.terminate()
        for daemon in self._daemons.values():
            try:
                daemon.wait(timeout=15)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
        for name in self._configuration():
            (SYSTEM_CONFIG / name).unlink(missing_ok=True)

    def _end_jobs(self) -> None:
        """Cancel all jobs; daemons that go before them would leave their processes behind."""
        subprocess.run(["scancel", "--user=root"], capture_output=True)
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until:
            left = subprocess.run(["squeue", "-h"], capture_output=True, text=True)
            if left.returncode or not left.stdout.strip():
                return
            time.sleep(0.5)

    def call(self, *command: str) -> str:
        """Run one of SLURM's commands. Returns what it prints."""
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout

    def start_node(self, node: str) -> None:
        """Start a node's daemon."""
        self._start(f"slurmd-{node}", "-D", "-N", node, program="slurmd")

    def lose_node(self, node: str) -> None:
        """Set a node down, as an administrator does with one that died; its jobs are put back into the queue."""
        self.call("scontrol", "update", f"NodeName={node}", "State=DOWN", "Reason=test")

    def bring_back(self, node: str) -> None:
        """Set a node up again."""
        self.call("scontrol", "update", f"NodeName={node}", "State=RESUME")

    def logs(self) -> str:
        """Return the ends of all daemons' logs."""
        return "\n".join(f"== {path.name}\n{path.read_text()[-3000:]}" for path in self.folder.glob("*.log"))

    def _start_munge(self) -> None:
        key = self.folder / "munge.key"
        key.write_bytes(secrets.token_bytes(1024))
        key.chmod(0o400)
        options = {
            "key-file": "munge.key",
            "socket": "munge.socket",
            "pid-file": "munge.pid",
            "seed-file": "munge.seed",
        }
        words = [f"--{option}={self.folder / name}" for option, name in options.items()]
        self._start("munged", "--foreground", "--force", f"--log-file={self.folder}/munge-own.log", *words)
        self._wait((self.folder / "munge.socket").exists, "munge's socket")

    def _start(self, name: str, *words: str, program: str | None = None) -> None:
        path = shutil.which(program or name, path=f"{os.environ['PATH']}:/usr/sbin")
        with open(self.folder / f"{name}.log", "ab") as log:
            # A session of its own, so that a job of this SLURM never shares a process group with the tests.
            self._daemons[name] = subprocess.Popen(
                [path, *words], stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True
            )

    def _wait(self, ready, what: str) -> None:
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until:
            dead = [name for name, daemon in self._daemons.items() if daemon.poll() is not None]
            assert not dead, f"{dead} ended\n{self.logs()}"
            try:
                if ready():
                    return
            except AssertionError:
                pass
            time.sleep(0.2)
        raise AssertionError(f"waited {START_SECONDS} s for {what}\n{self.logs()}")

    def _configuration(self) -> dict[str, str]:
        nodes = "\n".join(
            f"NodeName={node} NodeHostname={socket.gethostname()} NodeAddr=127.0.0.1 Port={17001 + index} CPUs=64"
            f" RealMemory=2000000 Gres=gpu:{GPUS} State=UNKNOWN"
            for index, node in enumerate(NODES)
        )
        gres = "".join(f"NodeName={node} Name=gpu File={self.folder}/gpu[0-{GPUS - 1}]\n" for node in NODES)
        cgroup = "CgroupPlugin=cgroup/v1\nCgroupMountpoint=/sys/fs/cgroup\nCgroupAutomount=no\n"
        return {
            "slurm.conf": f"""
ClusterName=udpdiff
SlurmctldHost={socket.gethostname()}(127.0.0.1)
SlurmctldPort=16817
SlurmUser=root
SlurmdUser=root
StateSaveLocation={self.folder}/state
SlurmdSpoolDir={self.folder}/%n
SlurmctldPidFile={self.folder}/slurmctld.pid
SlurmdPidFile={self.folder}/slurmd-%n.pid
AuthInfo=socket={self.folder}/munge.socket,cred_expire=15
ProctrackType=proctrack/{self.process_tracking}
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
GresTypes=gpu
MpiDefault=none
SlurmdParameters=config_overrides
SwitchType=switch/none
ReturnToService=0
MinJobAge=3600
JobFileAppend=1
KillWait=5
SchedulerParameters=sched_interval=2,batch_sched_delay=0,sched_min_interval=0,bf_interval=2
{nodes}
PartitionName=all Nodes={",".join(NODES)} Default=YES MaxTime=INFINITE State=UP
""",
            "gres.conf": gres,
            "cgroup.conf": cgroup if self.process_tracking == "cgroup" else "",
        }


def _freezes() -> bool:
    """Return whether this process may make cgroups of the kind that SLURM 22 tracks processes by."""
    probe = CGROUP_FREEZER / f"udpdiff-{os.getpid()}"
    try:
        probe.mkdir()
        found = (probe / "freezer.state").exists()
        probe.rmdir()
    except OSError:
        return False
    return found
