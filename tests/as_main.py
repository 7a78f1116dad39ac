"""A script run as `python -m` does, in a process that was forked for it and ends with it."""

from __future__ import annotations

import contextlib
import os
import runpy
import sys
from collections.abc import Sequence
from typing import NoReturn


def run_as_main(module: str, arguments: Sequence[str]) -> NoReturn:
    """Run a module with these arguments, and end this process with its exit code."""
    sys.argv = [module, *arguments]
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
        code = 0
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
        if isinstance(error.code, str):
            print(error.code, file=sys.stderr)
    except BaseException:
        sys.excepthook(*sys.exc_info())
        code = 1
    with contextlib.suppress(OSError):  # of a disk that is full
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)
