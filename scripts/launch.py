"""Starts the processes of a job that loads a model, where it runs: plainly, by torchrun, or as tasks of srun.

On a machine of one's own it finds free GPUs first. In a job of SLURM it watches the time, and puts the job back into the
queue when it was stopped. Usage: python -m scripts.launch [--gpus N ...] -- scripts.NAME ARGUMENTS
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from udpdiff.interruption import DEADLINE, EXIT_CODE
from udpdiff.launching import commands as launching
from udpdiff.launching import local_gpus, slurm_job
from udpdiff.launching.stops import Stops
from udpdiff.storage.errors import writing

SAVE_SECONDS = 1800


def main(words: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gpus", type=int, default=1, help="of the whole job")
    parser.add_argument("--nodes", type=int, default=1, help="machines that it takes")
    parser.add_argument("--distributed", action="store_true", help="one process for each GPU")
    parser.add_argument("--resumes", type=Path, nargs="+", help="what it goes on from: shards, a folder of checkpoints")
    parser.add_argument("--delay", type=float, default=0.0, metavar="MINUTES", help="to wait before the start")
    parser.add_argument("--rank", action="store_true", help="internal: this is one of the tasks that srun started")
    parser.add_argument("--torchrun", type=int, metavar="N", help="internal: start N processes here")
    split = list(words).index("--") if "--" in words else len(words)
    arguments, command = parser.parse_args(words[:split]), words[split + 1 :]
    if not command:
        parser.error("expected -- and the script to start")
    request = launching.Request(command[0], tuple(command[1:]), arguments.gpus, arguments.nodes, arguments.distributed)
    time.sleep(60 * arguments.delay)
    if arguments.rank:
        command, variables = _rank(request)
    elif arguments.torchrun:
        sys.exit(_torchrun(request, arguments.torchrun))
    elif "SLURM_JOB_ID" in os.environ:
        sys.exit(_run_in_job(request, Stops(arguments.resumes) if arguments.resumes else None))
    else:
        command, variables = _here(request)
    os.execve(command[0], command, {**os.environ, **variables})


def _rank(request: launching.Request) -> tuple[list[str], dict[str, str]]:
    """Return the command of one task of srun and its variables."""
    one_node = os.environ.get("SLURM_NNODES", "1") == "1"
    address = "127.0.0.1" if one_node else _reachable(os.environ["SLURM_STEP_NODELIST"])
    variables = launching.rank_environment(os.environ, address, int(os.environ["MASTER_PORT"]))
    return launching.plain_command(sys.executable, request), variables


def _reachable(nodelist: str) -> str:
    """Return the first node's name, or where the network does not know it, the address that srun gave its tasks."""
    node = launching.first_node(nodelist)
    try:
        socket.gethostbyname(node)
    except OSError:
        return os.environ["SLURM_LAUNCH_NODE_IPADDR"]
    return node


def _run_in_job(request: launching.Request, stops: Stops | None) -> int:
    job_id = os.environ["SLURM_JOB_ID"]
    allocation = slurm_job.ask_slurm(job_id)
    environment = dict(os.environ)
    if allocation and allocation.deadline:
        environment[DEADLINE] = str(allocation.deadline)
    if request.nodes > 1 and allocation is None:
        print("launch: SLURM does not answer, so processes on several nodes cannot be started", file=sys.stderr)
        return 1
    if slurm_job.in_batch_step(os.environ) and allocation:
        environment["MASTER_PORT"] = str(_free_port())
        command, stop = launching.srun_command(sys.executable, request, allocation), signal.SIGUSR1
    else:
        (command, variables), stop = _here(request), signal.SIGTERM
        environment |= variables
    code, stopped = slurm_job.run_watched(command, environment, allocation and allocation.last_moment, stop)
    if stopped and stops:
        return slurm_job.after_stop(job_id, stops)
    if stops and code == 0:
        stops.forget()
    return code


def _here(request: launching.Request) -> tuple[list[str], dict[str, str]]:
    """Return the command of a job on this machine, which has its GPUs to itself, and its variables."""
    gpus = [] if _wants_cpu() else local_gpus.visible_gpus(os.environ)
    if not gpus or not request.gpus:
        return launching.plain_command(sys.executable, request), {}
    folder = local_gpus.lock_folder(os.environ)
    with writing(folder):
        locks = local_gpus.take_gpus(gpus, request.gpus, folder)
    variables = {"CUDA_VISIBLE_DEVICES": ",".join(lock.path.name for lock in locks)}
    if request.distributed and len(locks) > 1:
        return launching.torchrun_command(sys.executable, request, len(locks)), variables
    return launching.plain_command(sys.executable, request), variables


def _wants_cpu() -> bool:
    return json.loads(os.environ.get("EXECUTION", "{}")).get("device") == "cpu"


def _torchrun(request: launching.Request, processes: int) -> int:
    """Start the ranks by torchrun. Returns their joint exit code, which torchrun's own command does not tell."""
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.run import parse_args, run

    # A checkpoint takes its time; torchrun kills what is not gone this long after the signal that it passed on.
    os.environ.setdefault("TORCH_ELASTIC_SHUTDOWN_TIMEOUT", str(SAVE_SECONDS))
    os.environ.setdefault("TORCHELASTIC_SIGNALS_TO_HANDLE", "SIGTERM,SIGINT,SIGHUP,SIGQUIT,SIGUSR1")
    try:
        run(parse_args(launching.torchrun_arguments(request, processes)))
    except SignalException:
        return EXIT_CODE
    except ChildFailedError as error:
        codes = [failure.exitcode for failure in error.failures.values()]
        return launching.joint_exit_code(codes, EXIT_CODE)
    return 0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("", 0))
        return probe.getsockname()[1]


if __name__ == "__main__":
    main(sys.argv[1:])
