"""Stops a job on a signal or at its time limit; what is done by then is kept.

Knows nothing of what is interrupted.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from types import FrameType, TracebackType

EXIT_CODE = 75  # EX_TEMPFAIL of sysexits.h: "try again later"
SIGNALS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)  # a SLURM time limit, pre-emption, Ctrl-C
DEADLINE = "JOB_DEADLINE"  # environment variable: when the job should stop by itself, Unix seconds


class Interrupted(SystemExit):
    """The work stopped as asked and what is done is kept; uncaught, the process exits with code 75."""

    def __init__(self) -> None:
        super().__init__(EXIT_CODE)


class StopRequest:
    """Context manager that notes a signal instead of dying of it; afterwards the former handlers are back.

    A second SIGINT ends the work at once: it raises KeyboardInterrupt. Outside the main thread, where Python allows no
    handlers, no signal is noted. The clock counts all the same.

    Args:
        deadline: Unix seconds from which on a stop is asked for; None for what the environment says, if it does.
    """

    def __init__(self, deadline: float | None = None) -> None:
        self.deadline = read_deadline() if deadline is None else deadline
        self._signalled = self._by_ctrl_c = False
        self._former: dict[int, object] = {}

    @property
    def requested(self) -> bool:
        """Whether the work should stop now."""
        return self._signalled or (self.deadline is not None and time.time() >= self.deadline)

    def __enter__(self) -> StopRequest:
        if threading.current_thread() is threading.main_thread():
            self._former = {number: signal.signal(number, self._note) for number in heeded_signals()}
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for number, handler in self._former.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT:
            if self._by_ctrl_c:
                raise KeyboardInterrupt
            self._by_ctrl_c = True
        self._signalled = True


def heeded_signals() -> list[signal.Signals]:
    """Return the signals that ask this process to stop: a shell lets what it starts in the background ignore SIGINT."""
    ignored = signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    return [number for number in SIGNALS if number != signal.SIGINT or not ignored]


def read_deadline() -> float | None:
    """Return when this job should stop by itself, Unix seconds; None where nobody set a limit.

    Raises:
        ValueError: The environment variable is no number.
    """
    text = os.environ.get(DEADLINE)
    if not text:
        return None
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{DEADLINE}: got {text!r}, expected Unix seconds, as `date +%s` prints.") from None
