"""Reads the archives of an exported data set, without any library but numpy: what docs/data.md shows.

>>> from udpdiff.panda_dense.loader import samples
>>> for clip in samples("results/panda_dense/train/0.tar"):
...     clip["json"]["detailed"], clip["mp4"], clip["entities"], clip["depth"]
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np


def _array(data: bytes) -> np.ndarray:
    return next(iter(np.load(io.BytesIO(data), allow_pickle=False).values()))


def samples(archive: str | Path) -> Iterator[dict[str, Any]]:
    """Yield each clip: `mp4` bytes, `entities` and `depth` uint16 (T, H, W), `json` a dict; one in memory at a time."""
    read = {"mp4": bytes, "json": json.loads, "npz": _array}
    with tarfile.open(archive) as tar:
        clip: dict[str, Any] = {}
        for entry in tar:
            _, kind, *ending = entry.name.split(".")
            clip[kind] = read[ending[0] if ending else kind](tar.extractfile(entry).read())
            if kind == "json":  # the last of a clip
                yield clip
                clip = {}
