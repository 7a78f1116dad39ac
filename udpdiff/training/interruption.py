"""Being asked to stop: SIGTERM and SIGUSR1 (a SLURM time limit, pre-emption) end a training after its current step."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType

EXIT_CODE = 75  # EX_TEMPFAIL of sysexits.h: "try again later"
SIGNALS = (signal.SIGTERM, signal.SIGUSR1)


class TrainingInterrupted(SystemExit):
    """The training saved a checkpoint and stopped as asked; uncaught, the process exits with code 75."""

    def __init__(self, step: int) -> None:
        super().__init__(EXIT_CODE)
        self.step = step


class StopRequest:
    """Context manager that notes a signal instead of dying of it; afterwards the former handlers are back.

    Outside the main thread, where Python allows no handlers, it notes nothing.
    """

    def __init__(self) -> None:
        self.requested = False
        self._former: dict[int, object] = {}

    def __enter__(self) -> StopRequest:
        if threading.current_thread() is threading.main_thread():
            self._former = {number: signal.signal(number, self._note) for number in SIGNALS}
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for number, handler in self._former.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.requested = True
