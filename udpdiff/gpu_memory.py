"""Records the most GPU memory that a job held, which Snakemake does not measure.

The record, `{"peak_gpu_gb": ...}` alone or with more, lies beside Snakemake's benchmark file of the job. Reading it imports
no torch.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

from udpdiff.storage.errors import StorageError
from udpdiff.storage.sealed import read_record, write_record

KEY = "peak_gpu_gb"


def on_gpu(device: Any) -> bool:
    """Return whether networks on a device, or on None for a GPU where there is one, compute on a GPU."""
    import torch

    return torch.cuda.is_available() and not str(device).startswith("cpu")


def peak_gpu_gb(device: Any) -> float | None:
    """Return the most that this process's tensors took at once on its GPU, in GB; None where it computes on none.

    What torch keeps in reserve and what CUDA itself takes come on top.
    """
    import torch

    return torch.cuda.max_memory_allocated(device) / 1e9 if on_gpu(device) else None


def write_peak(path: str | Path, device: Any) -> None:
    """Write the record of a job that is done; raises StorageError where it cannot be written."""
    write_record(path, {KEY: peak_gpu_gb(device)})


def recorded_peak(benchmark: Path) -> tuple[bool, float | None]:
    """Return whether the job of a benchmark file left a record, and what it says; a record that is damaged is none."""
    with suppress(FileNotFoundError, ValueError, StorageError):
        content = read_record(benchmark.with_suffix(".json"))
        if KEY in content:
            return True, content[KEY]
    return False, None
