"""One process at a time in a training folder."""

from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class FolderLocked(RuntimeError):
    """Another process trains in this folder."""


@contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Hold `folder/lock` while the body runs; the kernel releases it however the process ends.

    Raises FolderLocked when another process holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "lock", "a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise FolderLocked(
                f"{folder} is in use by {file.read().strip() or 'another process'}."
                " Wait for it to end, or stop it with SIGTERM: it then saves a checkpoint."
            ) from None
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}")
        file.flush()
        yield
