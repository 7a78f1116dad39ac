"""Files that one process at a time may hold; the kernel releases them however that process ends.

Knows nothing of what a lock is for.
"""

from __future__ import annotations

import fcntl
import os
import socket
from pathlib import Path


class Held(RuntimeError):
    """Another process holds the lock."""


class NoLocks(RuntimeError):
    """The file system offers no locks, as Lustre mounted without `flock` does."""


def holder() -> str:
    """Return a name of this process that no other on any machine has now; fit for a file's name."""
    return f"{os.getpid()}@{socket.gethostname()}"


def has_ended(name: str) -> bool:
    """Return whether `holder` named a process of this machine that is no more; of other machines nothing is known."""
    number, _, machine = name.partition("@")
    if machine != socket.gethostname() or not number.isdigit():
        return False
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return True
    except OSError:  # another user's
        pass
    return False


class Lock:
    """A lock on a file, held from `take` to `release` or to the end of the process.

    A lock is also kept through `os.exec*`, where `inherited` was asked for.

    Args:
        path: Of the file, made if it is missing; nothing else may be written to it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    def take(self, inherited: bool = False) -> None:
        """Take the lock, without waiting.

        Raises:
            Held: Another process has it; the message names that one.
            NoLocks: The file system has none.
            OSError: Who holds it cannot be written down; nobody does then.
        """
        while True:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
            try:
                self._lock(descriptor)
            except BaseException:
                os.close(descriptor)
                raise
            if self._is_current(descriptor):
                break
            os.close(descriptor)  # its former holder removed the file meanwhile
        try:
            os.truncate(descriptor, 0)
            os.pwrite(descriptor, holder().encode(), 0)
        except OSError:
            self.path.unlink(missing_ok=True)
            os.close(descriptor)
            raise
        os.set_inheritable(descriptor, inherited)
        self._descriptor = descriptor

    def release(self) -> None:
        """Remove the file and let others have it; without effect where the lock is not held."""
        if self._descriptor is not None:
            self.path.unlink(missing_ok=True)
            os.close(self._descriptor)
            self._descriptor = None

    def _lock(self, descriptor: int) -> None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            name = os.pread(descriptor, 200, 0).decode(errors="replace").strip() or "another process"
            raise Held(f"{self.path} is held by {name}") from None
        except OSError as error:
            raise NoLocks(f"{self.path.parent}: its file system has no locks (flock: {error.strerror})") from None

    def _is_current(self, descriptor: int) -> bool:
        try:
            return os.path.samestat(os.fstat(descriptor), os.stat(self.path))
        except FileNotFoundError:
            return False
