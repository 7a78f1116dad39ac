"""A process that builds a network and measures how much memory of its own that took at most."""

from __future__ import annotations

import os
import re
import threading
from pathlib import Path


def own_bytes() -> int:
    """Memory of this process alone, without pages of files."""
    return 1024 * int(re.search(r"RssAnon:\s+(\d+)", Path("/proc/self/status").read_text()).group(1))


def grown_bytes(
    rank: int, processes: int, port: int, folder: str, output: str, precision: str = "no", checkpoints: str = ""
) -> None:
    """Build the widened network of a base as a process of several; write the largest growth, bytes.

    With checkpoints, the network of the first one, as it is exported.
    """
    if processes > 1:
        os.environ |= {"RANK": str(rank), "WORLD_SIZE": str(processes), "LOCAL_RANK": str(rank)}
        os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "OMP_NUM_THREADS": "1"}
    import torch

    from udpdiff.training.export import trained_transformer
    from udpdiff.training.network import shard_over_processes, starting_transformer
    from udpdiff.training.processes import start_processes
    from udpdiff.training.settings import TrainingSettings

    torch.set_num_threads(1)
    settings = TrainingSettings("multi", folder, 1, {"seg": 0.5, "depth": 0.5}, 1, 2, 1e-3, mixed_precision=precision)
    accelerator = start_processes("no", cpu=True)
    shard = shard_over_processes("no", accelerator.device) if processes > 1 else None
    before, peak, done = own_bytes(), [0], threading.Event()

    def watch() -> None:
        while not done.wait(0.002):
            peak[0] = max(peak[0], own_bytes())

    watcher = threading.Thread(target=watch)
    watcher.start()
    if checkpoints:
        trained_transformer(settings, folder, Path(checkpoints), 1)
    else:
        starting_transformer(settings, folder, accelerator.device, shard)
    done.set()
    watcher.join()
    Path(output).write_text(str(peak[0] - before))
