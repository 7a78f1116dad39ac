"""The check for NaN and infinities, which a network gives where its dtype is too narrow, and the error that it raises.

Half of such values would pass for results: a video without any finite value is stored as a black one, a mask as an empty one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch

_REMEDIES = {
    "float16": 'It overflows above 65504: take "bfloat16" or "float32".',
    "bfloat16": 'Take "float32"; where such values come up there too, the weights hold or grow them.',
}
_NO_WIDER = "No wider one is offered, so the weights or what they were given hold or grow such values: get them again."


class NotFinite(ValueError):
    """A network gave infinities or NaN.

    Args:
        what: The values, in words, plural.
        dtype: That the network computes in.
        key: What sets it: a key of the configuration, or an argument.

    Attributes:
        can_be_mended: A key of the configuration sets the dtype, and a wider one is to be had.
    """

    def __init__(self, what: str, dtype: torch.dtype | str, key: str = "dtype") -> None:
        self.what, self.dtype = what, str(dtype).removeprefix("torch.")
        self.can_be_mended = "." in key and self.dtype in _REMEDIES
        remedy = _REMEDIES.get(self.dtype, _NO_WIDER)
        super().__init__(
            f"{key}: got {self.dtype!r}, in which {what} are not finite, expected finite numbers. {remedy}"
        )


def check_finite(values: torch.Tensor | np.ndarray, what: str, dtype: torch.dtype | str, key: str = "dtype") -> None:
    """Raise NotFinite, whose arguments the last three are, unless all values are finite."""
    finite = np.isfinite(values) if isinstance(values, np.ndarray) else values.isfinite()
    if not finite.all():
        raise NotFinite(what, dtype, key)


@contextmanager
def dtype_key(key: str) -> Iterator[None]:
    """A context in which NotFinite names this key: networks do not know what set their dtype."""
    try:
        yield
    except NotFinite as error:
        raise NotFinite(error.what, error.dtype, key) from error


def as_float16(values: np.ndarray, what: str) -> np.ndarray:
    """Return values as they are stored, float16; ValueError where that holds them no more."""
    with np.errstate(over="ignore"):
        stored = values.astype(np.float16)
    if not np.isfinite(stored).all():
        raise ValueError(
            f"Got {what} of up to {np.abs(values).max():.3g}, expected at most 65504, which is what is stored of them"
            " (float16). Take a checkpoint that gives the usual ones, of about 1."
        )
    return stored
