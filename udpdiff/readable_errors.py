"""How a script ends on an error: with a paragraph where the user can mend it, with a traceback where it is a fault of ours.

The two are told apart by who raised the error. A `raise` of this project is a sentence that somebody wrote for the user (got,
expected, what to do); anything that a library or the interpreter raised was not foreseen. `python -X dev` shows every
traceback.
"""

from __future__ import annotations

import dis
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import TracebackType

PROJECT = Path(__file__).resolve().parents[1]
ROOMS = tuple(str(PROJECT / name) + "/" for name in ("udpdiff", "scripts"))
RAISE = dis.opmap["RAISE_VARARGS"]


def install(beneath: bool = True, tracebacks: bool = False) -> None:
    """Make uncaught errors of this process end it in this way.

    Args:
        beneath: With a line for each error that led to one: for logs. At a terminal the sentence alone is told.
        tracebacks: With the traceback of every error, foreseen or not.
    """
    sys.excepthook = partial(_report, beneath=beneath, tracebacks=tracebacks or sys.flags.dev_mode)


def foreseen(error: BaseException) -> bool:
    """Return whether a `raise` statement of this project made the error; an `assert` does not count."""
    trace = error.__traceback__
    if trace is None or isinstance(error, AssertionError):
        return False
    while trace.tb_next:
        trace = trace.tb_next
    code = trace.tb_frame.f_code
    return code.co_filename.startswith(ROOMS) and code.co_code[trace.tb_lasti] == RAISE


def paragraph(error: BaseException) -> str:
    """Return what a user is told: a line for each error beneath, for the log, and last the sentence about all of it."""
    beneath = [f"beneath: {type(cause).__name__}: {_one_line(cause)}" for cause in _causes(error)]
    return "\n".join([*reversed(beneath), _sentence(error)])


def _sentence(error: BaseException) -> str:
    return str(error) or type(error).__name__


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The errors that led to this one, the nearest first, as a traceback would show them."""
    seen = {id(error)}
    while True:
        cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        if cause is None or id(cause) in seen:
            return
        yield cause
        seen.add(id(cause))
        error = cause


def _one_line(error: BaseException, longest: int = 500) -> str:
    return " ".join(str(error).split())[:longest]


def _report(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None, *, beneath: bool, tracebacks: bool
) -> None:
    if issubclass(kind, KeyboardInterrupt):
        print("Stopped from the keyboard; files that were written whole are kept.", file=sys.stderr)
    elif foreseen(error) and not tracebacks:
        print(paragraph(error) if beneath else _sentence(error), file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, trace)
