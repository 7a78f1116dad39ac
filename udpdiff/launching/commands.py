"""How the processes of a job are started: by which command, as which ranks, and until when.

Pure functions: `scripts.launch` acts on what they say. Every process finds torchrun's names in its environment (RANK,
WORLD_SIZE, LOCAL_RANK, MASTER_ADDR, MASTER_PORT), whatever started it; a single process finds none of them.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

# SLURM stops a job that is past its limit at any moment of the following minute; a step that dies leaves others behind.
STRAGGLER_SECONDS = 120
LAST_SECONDS = 20  # of a job, too few to begin anything
MARGIN_SHARE, SHORTEST_MARGIN, LONGEST_MARGIN = 0.1, 30.0, 900.0


@dataclass(frozen=True)
class Request:
    """What a rule asks for.

    Attributes:
        module: The script, as `python -m` takes it.
        arguments: Of the script.
        gpus: All that the job gets, on all nodes together.
        nodes: Machines.
        distributed: One process for each GPU; otherwise one process has them all.
    """

    module: str
    arguments: tuple[str, ...]
    gpus: int = 1
    nodes: int = 1
    distributed: bool = False

    def __post_init__(self) -> None:
        if self.gpus % self.nodes and self.distributed:
            raise ValueError(
                f"Got gpu={self.gpus} on nodes={self.nodes}, expected as many GPUs on every node: a multiple of"
                f" {self.nodes}; set the rule's resources so."
            )

    @property
    def ranks(self) -> int:
        """Processes of the job, at least one."""
        return max(self.gpus, 1) if self.distributed else 1


@dataclass(frozen=True)
class Allocation:
    """What SLURM says of the job that this process runs in.

    Attributes:
        job_id: Of SLURM.
        state: `RUNNING` unless SLURM is about to end it.
        end: When its time is over, Unix seconds; None without a limit.
        limit_seconds: Of its time; None without one.
        nodes: How many.
        cpus: On all nodes.
        by_snakemake: It was submitted for one rule, so that requeueing it runs nothing else again.
    """

    job_id: str
    state: str
    end: float | None
    limit_seconds: float | None
    nodes: int
    cpus: int
    by_snakemake: bool

    @classmethod
    def parse(cls, text: str) -> Allocation:
        """Return what `scontrol show job ID` prints, in one line or many.

        Raises:
            ValueError: It is not about a job.
        """
        fields = dict(re.findall(r"(\w+)=(\S*)", text))
        if "JobId" not in fields:
            raise ValueError(f"Got {text[:200]!r}, expected what `scontrol show job` prints.")
        start, end = _moment(fields.get("StartTime")), _moment(fields.get("EndTime"))
        limited = fields.get("TimeLimit", "UNLIMITED") != "UNLIMITED" and end is not None
        return cls(
            job_id=fields["JobId"],
            state=fields.get("JobState", ""),
            end=end if limited else None,
            limit_seconds=end - start if limited and start is not None else None,
            nodes=int(fields.get("NumNodes", "1").split("-")[0]),
            cpus=int(fields.get("NumCPUs", "1").split("-")[0]),
            by_snakemake=fields.get("Comment", "").startswith("rule_"),
        )

    @property
    def deadline(self) -> float | None:
        """When a job should have begun to save, Unix seconds: a tenth of its time before the end, 30 s to 15 min."""
        if self.end is None:
            return None
        margin = MARGIN_SHARE * (self.limit_seconds or 0.0)
        return self.end - min(max(margin, SHORTEST_MARGIN), LONGEST_MARGIN)

    @property
    def last_moment(self) -> float | None:
        """When a job that did not stop by itself must give way, Unix seconds."""
        return None if self.end is None else self.end - LAST_SECONDS


def _moment(text: str | None) -> float | None:
    try:
        return datetime.fromisoformat(text or "").timestamp()
    except ValueError:  # Unknown, N/A
        return None


def plain_command(python: str, request: Request) -> list[str]:
    """Return the command of one process."""
    return [python, "-m", request.module, *request.arguments]


def torchrun_command(python: str, request: Request, processes: int) -> list[str]:
    """Return the command that starts `processes` on this machine by torchrun."""
    return [python, "-m", "scripts.launch", f"--torchrun={processes}", "--", request.module, *request.arguments]


def torchrun_arguments(request: Request, processes: int) -> list[str]:
    """Return what torchrun is told, to start `processes` on this machine."""
    return ["--standalone", f"--nproc-per-node={processes}", "-m", request.module, *request.arguments]


def srun_command(python: str, request: Request, allocation: Allocation) -> list[str]:
    """Return the command that starts the request's ranks as the tasks of one step of SLURM.

    Each task is the process itself, for under cgroup process tracking a signal reaches tasks alone, not their children.
    A task sees all GPUs of its node and takes the one of its LOCAL_RANK.
    """
    nodes = request.nodes if request.distributed else 1
    ranks_per_node = request.ranks // nodes
    cpus = max(1, allocation.cpus // max(allocation.nodes, 1) // ranks_per_node)
    command = [
        "srun",
        f"--nodes={nodes}",
        f"--ntasks={request.ranks}",
        f"--ntasks-per-node={ranks_per_node}",
        f"--cpus-per-task={cpus}",
        "--input=none",
        f"--wait={STRAGGLER_SECONDS}",
    ]
    if request.gpus:
        command.append(f"--gpus-per-node={request.gpus // nodes}")
    if request.ranks > 1:
        return [*command, python, "-m", "scripts.launch", "--rank", "--", request.module, *request.arguments]
    return [*command, *plain_command(python, request)]


def rank_environment(slurm: Mapping[str, str], address: str, port: int) -> dict[str, str]:
    """Return torchrun's variables for a task of srun.

    Args:
        slurm: The task's environment.
        address: Of the first node.
        port: Free there; the same in all tasks.

    Raises:
        ValueError: This is no task of srun.
    """
    missing = [name for name in ("SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID") if name not in slurm]
    if missing:
        raise ValueError(f"Got an environment without {', '.join(missing)}, expected a task that srun started.")
    return {
        "RANK": slurm["SLURM_PROCID"],
        "WORLD_SIZE": slurm["SLURM_NTASKS"],
        "LOCAL_RANK": slurm["SLURM_LOCALID"],
        "LOCAL_WORLD_SIZE": str(int(slurm["SLURM_NTASKS"]) // int(slurm.get("SLURM_NNODES", "1"))),
        "MASTER_ADDR": address,
        "MASTER_PORT": str(port),
    }


def first_node(nodelist: str) -> str:
    """Return the first name of a list as SLURM writes it: `gpu[003-007,011],login` gives `gpu003`."""
    first = re.sub(r"\[(\w+)[^\]]*\]", r"\1", nodelist)
    return first.split(",")[0]


def bash_words(paths: Sequence[str]) -> list[str]:
    """Return shards FOLDER/0.h5, FOLDER/1.h5, ... as FOLDER/{0..N}.h5, which bash expands: one word for each folder.

    A rule's command is one argument of bash, and Linux takes none above 128 KiB; so it cannot hold thousands of paths.

    Raises:
        ValueError: The shards of a folder are not numbered from 0, each once and in order.
    """
    counts: dict[tuple[str, str], int] = {}
    for path in paths:
        folder, _, name = path.rpartition("/")
        number, _, ending = name.partition(".")
        count = counts.get((folder, ending), 0)
        if number != str(count):
            raise ValueError(f"Got {path}, expected {folder}/{count}.{ending}: shards numbered from 0, in order.")
        counts[folder, ending] = count + 1
    return [
        f"{shlex.quote(folder)}/{{0..{count - 1}}}.{shlex.quote(ending)}" for (folder, ending), count in counts.items()
    ]


def joint_exit_code(codes: Sequence[int], stopped: int) -> int:
    """Return what a job of several processes exits with: `stopped` if they all did or were ended for it, else the first
    failure. Codes below zero are signals."""
    bad = [code for code in codes if code not in (0, stopped)]
    if not bad:
        return stopped if stopped in codes else 0
    if stopped in codes and all(code < 0 for code in bad):
        return stopped
    return next((code for code in bad if code > 0), 128 - bad[0])
