"""Seconds spent inside networks, whichever they are: the share of a job that no overlapping can remove.

Counts every outermost forward call of a torch module, so that it needs to know nothing of the model that runs.
"""

from __future__ import annotations

import threading
import time
from collections import deque

import torch
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook


class ForwardClock:
    """Context manager that adds up the forward calls of the thread that entered it.

    On CUDA a call lasts from when the device reaches its first kernel to when it leaves its last, taken by events in the
    stream, so that measuring makes nothing wait. `seconds` waits for the device once.
    """

    def __init__(self) -> None:
        self._seconds = 0.0
        self._depth = 0
        self._start: float | torch.cuda.Event = 0.0
        self._pending: deque[tuple[torch.cuda.Event, torch.cuda.Event]] = deque()

    def __enter__(self) -> ForwardClock:
        self._thread = threading.get_ident()
        self._handles = [
            register_module_forward_pre_hook(self._entered),
            register_module_forward_hook(self._left, always_call=True),  # after an exception as well
        ]
        return self

    def __exit__(self, *_: object) -> None:
        for handle in self._handles:
            handle.remove()

    @property
    def seconds(self) -> float:
        """Seconds inside forward calls that have returned."""
        if self._pending:
            self._pending[-1][1].synchronize()
            self._count_finished()
        return self._seconds

    def _entered(self, module: torch.nn.Module, inputs: tuple) -> None:
        if threading.get_ident() != self._thread:
            return
        self._depth += 1
        if self._depth == 1:
            self._start = _event(module) or time.perf_counter()

    def _left(self, module: torch.nn.Module, inputs: tuple, output: object) -> None:
        if threading.get_ident() != self._thread:
            return
        self._depth -= 1
        if self._depth:
            return
        if isinstance(self._start, float):
            self._seconds += time.perf_counter() - self._start
        else:
            self._pending.append((self._start, _event(module)))
            self._count_finished()

    def _count_finished(self) -> None:
        while self._pending and self._pending[0][1].query():
            start, end = self._pending.popleft()
            self._seconds += start.elapsed_time(end) / 1000


def _event(module: torch.nn.Module) -> torch.cuda.Event | None:
    """An event at the end of what the module's device has to do so far; None for a module that is not on CUDA."""
    weight = next(module.parameters(), None)
    if weight is None or weight.device.type != "cuda":
        return None
    event = torch.cuda.Event(enable_timing=True)
    event.record(torch.cuda.current_stream(weight.device))
    return event
