"""One process of a training, as tests start several of them: forked from a process that has imported everything once."""

from __future__ import annotations

import multiprocessing
import os
import socket
import sys
import time
from pathlib import Path
from typing import Any


def run_processes(count: int, folder: Path, job: dict[str, Any]) -> tuple[list[int], str]:
    """Train with so many processes; return their exit codes and what they said, together.

    Args:
        count: How many.
        folder: For what they say.
        job: `settings` and `source` as arguments, `state`, `run`, `sharded` (what the parameters must be) and
            `slow_export` (seconds), `dies_after` (steps done when every process dies; -1 for never) and `deadline` (Unix seconds or None).
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["udpdiff.training.loop", __name__])
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    outputs = [folder / f"said-{rank}.txt" for rank in range(count)]
    processes = [
        context.Process(target=_train, args=(rank, count, port, str(output), job))
        for rank, output in enumerate(outputs)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(timeout=120)
        process.kill()
        process.join()
    return [process.exitcode for process in processes], "".join(output.read_text() for output in outputs)


def _train(rank: int, count: int, port: int, output: str, job: dict[str, Any]) -> None:
    with open(output, "w") as said:
        os.dup2(said.fileno(), 2)
    sys.stderr = os.fdopen(2, "w", buffering=1)
    if count > 1:
        os.environ |= {"RANK": str(rank), "WORLD_SIZE": str(count), "LOCAL_RANK": str(rank)}
        os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "OMP_NUM_THREADS": "1"}
    if job["deadline"]:
        os.environ["JOB_DEADLINE"] = str(job["deadline"])
    import torch
    from torch.distributed.tensor import DTensor

    from udpdiff.storage.dataset import LatentSource
    from udpdiff.training import loop
    from udpdiff.training.network import is_sharded
    from udpdiff.training.settings import TrainingSettings
    from udpdiff.training.step import Stepper

    torch.set_num_threads(1)
    step = Stepper.step

    def watched(self, batch):
        sharded = all(isinstance(each, DTensor) for each in self.trained.values())
        assert sharded == job["sharded"] == is_sharded(self.transformer), "parameters are not as the test expects them"
        # Plain data parallelism would hold every gradient twice.
        assert count == 1 or sharded or self.model.gradient_as_bucket_view, (
            "parameters are not as the test expects them"
        )
        if self.steps_done == job["dies_after"]:
            raise SystemExit(3)
        return step(self, batch)

    Stepper.step = watched
    export = loop.export_run

    def slow(*arguments):
        time.sleep(job["slow_export"])
        export(*arguments)

    loop.export_run = slow
    settings = TrainingSettings(**job["settings"])
    loop.train(settings, LatentSource(*job["source"]), job["state"], job["run"], cpu=True)
    if not os.path.isdir(job["run"]):
        print("ended without the model", file=sys.stderr)
