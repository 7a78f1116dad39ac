"""Puts garbage collection off while a script imports its libraries, so that jobs start sooner.

Python's collector looks through all that there is whenever that has grown by a quarter, which is a fifth of the processor
time of importing torch, diffusers and transformers. What is done afterwards is collected as always.
"""

from __future__ import annotations

import atexit
import gc
import sys

MANY = 200_000  # more objects than any module makes, so that few looks are taken while importing, at the newest alone


def import_without_collections() -> None:
    """Put collections off until the script that `python -m` starts has imported all it needs, that is, has its `main`.

    For the `__init__` of the script's package. Does nothing where the package is imported by anything else. What is there when
    `main` exists is not looked through again before the end: a process that goes on collects less.
    """
    if sys.argv[0] != "-m":  # what Python calls a module until it has found it
        return
    usual = gc.get_threshold()

    def look(phase: str, _: dict[str, int]) -> None:
        # After a collection, so that what `main` has thrown away by then is not kept with the rest.
        if phase == "stop" and hasattr(sys.modules["__main__"], "main"):
            gc.callbacks.remove(look)
            gc.set_threshold(*usual)
            gc.freeze()

    def end() -> None:
        if look in gc.callbacks:
            gc.callbacks.remove(look)
        gc.disable()  # of Python's two looks at the very end one is enough
        gc.unfreeze()  # and none too few: libraries take what is still there for leaks, and say so

    gc.callbacks.append(look)
    atexit.register(end)
    gc.set_threshold(MANY, *usual[1:])
