"""Lends each job on this machine free GPUs of its own, by locked files, where no cluster does it.

Knows nothing of torch: what there is comes from CUDA_VISIBLE_DEVICES or `nvidia-smi`.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from udpdiff.locking import Held, Lock, NoLocks


def visible_gpus(environment: Mapping[str, str]) -> list[str]:
    """Return the GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them: indices or UUIDs.

    A list that is set already is kept to; parts of a card that is split (MIG) stand in its place.
    """
    listed = environment.get("CUDA_VISIBLE_DEVICES")
    if listed is not None:
        return [name.strip() for name in listed.split(",") if name.strip() not in ("", "-1", "NoDevFiles")]
    if shutil.which("nvidia-smi", path=environment.get("PATH")) is None:
        return []
    done = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True)
    return named_gpus(done.stdout) if done.returncode == 0 else []


def named_gpus(listing: str) -> list[str]:
    """Return the UUIDs of what `nvidia-smi -L` prints: of cards, and of the parts of one that is split."""
    cards: list[list[str]] = []
    for uuid in re.findall(r"UUID: ([\w-]+)\)", listing):
        if uuid.startswith("MIG-") and cards:
            cards[-1].append(uuid)
        else:
            cards.append([uuid])
    return [name for card, *parts in cards for name in (parts or [card])]


def lock_folder(environment: Mapping[str, str]) -> Path:
    """Return where GPUs of this machine are locked, by one user and, in an allocation of a cluster, within that one."""
    allocation = environment.get("SLURM_JOB_ID", "local")
    return Path(tempfile.gettempdir()) / f"udpdiff-gpus-{os.getuid()}-{allocation}"


def take_gpus(gpus: Sequence[str], count: int, folder: Path, poll_seconds: float = 1.0) -> list[Lock]:
    """Take `count` free ones of `gpus`, at most all of them, and wait where too few are free.

    Returns:
        Their locks, which outlive `os.exec*`; `path.name` is the name of the GPU.

    Raises:
        NoLocks: `folder` lies on a file system without locks.
    """
    folder.mkdir(parents=True, exist_ok=True)
    count, warned = min(count, len(gpus)), False
    while True:
        taken: list[Lock] = []
        for gpu in gpus:
            if len(taken) == count:
                return taken
            lock = Lock(folder / gpu)
            try:
                lock.take(inherited=True)
            except Held:
                continue
            except NoLocks as error:
                raise NoLocks(
                    f"GPUs cannot be lent to jobs one by one: {error}. Set TMPDIR to a local folder."
                ) from None
            taken.append(lock)
        if len(taken) == count:
            return taken
        for lock in taken:  # all or none, so that two jobs never wait for each other's
            lock.release()
        if not warned:
            print(f"waiting for {count} of the GPUs {', '.join(gpus)}", file=sys.stderr, flush=True)
            warned = True
        time.sleep(poll_seconds)
