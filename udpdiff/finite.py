"""Values that are not finite: what a network gives where its dtype is too narrow, and what nothing may be made of.

Half of them would pass for results: a video without any finite value is stored as a black one, a mask as an empty one.
"""

from __future__ import annotations

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
        key: What sets it, of the configuration or an argument.
    """

    def __init__(self, what: str, dtype: torch.dtype | str, key: str = "dtype") -> None:
        self.what, self.dtype = what, str(dtype).removeprefix("torch.")
        remedy = _REMEDIES.get(self.dtype, _NO_WIDER)
        super().__init__(
            f"{key}: got {self.dtype!r}, in which {what} are not finite, expected finite numbers. {remedy}"
        )

    def under(self, key: str) -> NotFinite:
        """Return the same error for someone who sets the dtype by another key."""
        return NotFinite(self.what, self.dtype, key)


def check_finite(values: torch.Tensor | np.ndarray, what: str, dtype: torch.dtype | str, key: str = "dtype") -> None:
    """Raise NotFinite, whose arguments the last three are, unless all values are finite."""
    finite = np.isfinite(values) if isinstance(values, np.ndarray) else values.isfinite()
    if not finite.all():
        raise NotFinite(what, dtype, key)
