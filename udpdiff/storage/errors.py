"""Faults of our own files and disks, which are never the fault of a clip."""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from errno import EDQUOT, EFBIG, EINVAL, EIO, ENOSPC, EROFS
from pathlib import Path

RESULTS = "results"
# What the system says of a disk, whoever writes to it: full, over quota, over a limit, broken, read-only.
_OF_THE_DISK = {ENOSPC, EDQUOT, EFBIG, EIO, EROFS}
_FULL = {ENOSPC, EDQUOT, EFBIG}


class StorageError(RuntimeError):
    """A file of ours that is damaged, of an earlier version, or that cannot be written; always stops the job."""


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn whatever a damaged file of ours makes a library raise into a StorageError that names it.

    Args:
        path: The file.
    """
    try:
        yield
    except (StorageError, FileNotFoundError, MemoryError):
        raise
    except Exception as error:  # torn structures raise nearly anything
        # The system's word, not the content's: seeking to where a damaged number says is an invalid argument.
        if isinstance(error, OSError) and error.errno not in (None, EINVAL):
            raise StorageError(
                f"{path}: cannot be read ({error}); mend the disk or the rights and start again."
            ) from error
        words = " ".join(str(error).split())  # libraries may say it in several lines
        raise damaged(path, f"cannot be read ({words})") from error


def damaged(path: Path, what: str, made: Path | None = None) -> StorageError:
    """Return the error for a file that does not hold what was written to it.

    Args:
        path: The file.
        what: What is wrong, as a clause.
        made: What a rule makes: the file, by default, or the folder that it is in.
    """
    made = made or path
    kind, remove = ("folder", "rm -r") if made.is_dir() else ("file", "rm")
    quoted = shlex.quote(str(made))
    return StorageError(
        f"{path}: {what}. Remove the {kind} and build it again: {remove} {quoted} && snakemake {quoted}"
    )


def outdated(path: Path) -> StorageError:
    """Return the error for a file in a format that is no longer read."""
    folder = next((parent for parent in path.parents if parent.name == RESULTS), path)
    return StorageError(
        f"{path}: written by an earlier version; remove the folder `{RESULTS}` (rm -r {shlex.quote(str(folder))}) and"
        " build again."
    )


@contextmanager
def writing(path: Path, *errors: type[Exception]) -> Iterator[None]:
    """Turn a failing write (disk full, quota, lost mount, no rights) into a StorageError that names the file.

    Of a full disk, and of its room, it speaks only where the system, or a library that quotes it, says so.

    Args:
        path: The file.
        errors: Further exceptions that the writing library raises for it.
    """
    try:
        yield
    except (OSError, *errors) as error:
        remedy = f"; {_disk(path)}. Make room" if _is_full(error) else ". Mend the place, its rights or its disk"
        raise StorageError(
            f"{path}: cannot be written ({error}){remedy} and start again; what is finished is kept."
        ) from error


def is_of_the_disk(error: BaseException | None) -> bool:
    """Return whether an error, or one that it came of, tells of a disk that is full or broken; never a clip's fault."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in _OF_THE_DISK:
            return True
        error = error.__cause__ or error.__context__
    return False


def _is_full(error: Exception) -> bool:
    """Libraries raise errors of their own, without a number, but in the system's words."""
    return getattr(error, "errno", None) in _FULL or any(os.strerror(number) in str(error) for number in _FULL)


def _disk(path: Path) -> str:
    folder = next(parent for parent in path.absolute().parents if parent.is_dir())
    mount = next(parent for parent in (folder, *folder.parents) if os.path.ismount(parent))
    return f"the disk at {mount} has {shutil.disk_usage(folder).free / 2**20:.0f} MiB free"
