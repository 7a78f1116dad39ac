"""Faults of our own files and disks, which are never the fault of a clip."""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

RESULTS = "results"


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
        if isinstance(error, OSError) and error.errno:  # the system's word, not the content's
            raise StorageError(
                f"{path}: cannot be read ({error}); mend the disk or the rights and start again."
            ) from error
        raise damaged(path, f"cannot be read ({error})") from error


def damaged(path: Path, what: str) -> StorageError:
    """Return the error for a file that does not hold what was written to it.

    Args:
        path: The file.
        what: What is wrong, as a clause.
    """
    quoted = shlex.quote(str(path))
    return StorageError(f"{path}: {what}. Remove the file and build it again: rm {quoted} && snakemake {quoted}")


def outdated(path: Path) -> StorageError:
    """Return the error for a file in a format that is no longer read."""
    folder = next((parent for parent in path.parents if parent.name == RESULTS), path)
    return StorageError(
        f"{path}: written by an earlier version; remove the folder `{RESULTS}` (rm -r {shlex.quote(str(folder))}) and"
        " build again."
    )


@contextmanager
def writing(path: Path, *errors: type[Exception]) -> Iterator[None]:
    """Turn a failing write (disk full, quota, lost mount) into a StorageError that names the file and its disk.

    Args:
        path: The file.
        errors: Further exceptions that the writing library raises for it.
    """
    try:
        yield
    except (OSError, *errors) as error:
        raise StorageError(
            f"{path}: cannot be written ({error}); {_disk(path)}. Make room or mend the disk and start again; what is"
            " finished is kept."
        ) from error


def _disk(path: Path) -> str:
    folder = next(parent for parent in path.absolute().parents if parent.is_dir())
    mount = next(parent for parent in (folder, *folder.parents) if os.path.ismount(parent))
    return f"the disk at {mount} has {shutil.disk_usage(folder).free / 2**20:.0f} MiB free"
