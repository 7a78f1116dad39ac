"""How fast a job with a network goes, and how much of its time the network takes."""

from __future__ import annotations

import platform
import resource
import sys
from contextlib import AbstractContextManager

import torch

from udpdiff.forward_clock import ForwardClock
from udpdiff.throughput import Throughput, write_throughput
from udpdiff.timing import timed

_CPU = torch.device("cpu")


class JobTiming:
    """Context manager around all work on clips, loading left out."""

    def __init__(self) -> None:
        self._forward = ForwardClock()
        self._seconds = {"labelling": 0.0}

    def __enter__(self) -> JobTiming:
        self._total = timed(self._seconds, "total", _CPU)
        self._total.__enter__()
        self._forward.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._forward.__exit__(*error)
        self._total.__exit__(None, None, None)

    def labelling(self) -> AbstractContextManager[None]:
        """A context around the work on one clip that returns arrays, so that no device is still busy with it after."""
        return timed(self._seconds, "labelling", _CPU)

    def write(self, path: str, stage: str, told: dict, size: dict[str, int], clips: int) -> None:
        """Write the record after the context has ended. told: the settings, `device` among them."""
        seconds = (self._forward.seconds, self._seconds["labelling"], self._seconds["total"])
        write_throughput(path, Throughput(stage, told, size, clips, *seconds, *_machine(told["device"])))


def _machine(device: str | None) -> tuple[str, float | None, float]:
    """The device by name, the most memory that tensors took on it and that this process took, in GB."""
    unit = 1e9 if sys.platform == "darwin" else 1e6  # bytes there, kilobytes elsewhere
    rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
    if torch.cuda.is_available() and not str(device).startswith("cpu"):
        return torch.cuda.get_device_name(device), torch.cuda.max_memory_allocated(device) / 1e9, rss
    return f"{platform.machine()} CPU, {torch.get_num_threads()} thread(s)", None, rss
