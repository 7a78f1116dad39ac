"""Says when a CPU only emulates bfloat16, which may be many times slower than float32."""

from __future__ import annotations

import time
import warnings

_SIDE, _TRIES = 256, 5
_TOLERATED = 1.5


def warn_of_slow_bfloat16(key: str, remedy: str) -> None:
    """Warns when products of bfloat16 matrices take this CPU longer than float32 ones, naming the key to change.

    There is no public way to ask for the instructions, so a few products are timed; they take milliseconds.
    """
    import torch

    slower = _fastest(torch.bfloat16) / _fastest(torch.float32)
    if slower > _TOLERATED:
        warnings.warn(
            f"{key}: bfloat16 is {slower:.0f} times slower than float32 on this CPU. Set it to {remedy}.", stacklevel=2
        )


def _fastest(dtype) -> float:
    import torch

    matrix = torch.ones(_SIDE, _SIDE, dtype=dtype)
    matrix @ matrix
    seconds = []
    for _ in range(_TRIES):
        start = time.perf_counter()
        matrix @ matrix
        seconds.append(time.perf_counter() - start)
    return min(seconds)
