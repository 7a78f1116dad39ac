"""Digests of configurations, of every stored value, of one clip and of a whole shard, whatever a file's layout.

Measured on one core (0.4 to 0.8 GB/s): of a clip of 49 frames of 480 x 720 pixels, the check adds 80 ms to 180 for
reading labels, and 4 ms to 1 for reading latents; once per reader.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from udpdiff.storage.schema import Schema, Value


def digest(obj: Any) -> str:
    """Return the sha256 (hex) of a json-able object; keys are sorted, so equal objects give equal digests.

    Raises:
        ValueError: JSON cannot express it exactly (arrays, paths, NaN).
    """
    return hashlib.sha256(canonical_json(obj).encode()).hexdigest()


def canonical_json(obj: Any) -> str:
    """Return a json-able object written the one way: sorted keys, no blanks, no NaN.

    Raises:
        ValueError: It is not json-able.
    """
    try:
        return json.dumps(obj, sort_keys=True, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"Not json-able: {error}; expected only dicts, lists, text, finite numbers, booleans and null; "
            "convert arrays with .tolist(), numbers with float() or int(), paths with str()."
        ) from error


def value_digest(value: Value) -> str:
    """Return the sha256 (hex) of one stored value, with its type and shape."""
    if isinstance(value, np.ndarray):
        content = np.ascontiguousarray(value, dtype=value.dtype.newbyteorder("<"))
        kind = [content.dtype.str, list(content.shape)]
    else:
        content = value.encode() if isinstance(value, str) else value
        kind = [type(value).__name__, [len(content)]]
    hasher = hashlib.sha256(json.dumps(kind).encode())
    hasher.update(content)
    return hasher.hexdigest()


def clip_digests(schema: Schema, clip_id: str, arrays: Mapping[str, Value], scores: Mapping[str, float]) -> str:
    """Return the digests of one clip as canonical JSON, which stands beside it in its shard.

    `data`: dataset -> digests, one per part of a stacked dataset, else one. `clip`: of these, the id and the scores.
    """
    parts = {
        name: list(arrays[name]) if spec.is_stacked(arrays[name]) else [arrays[name]]
        for name, spec in schema.datasets.items()
    }
    data = {name: [value_digest(part) for part in values] for name, values in parts.items()}
    # Not `digest`: a score may be NaN.
    clip = hashlib.sha256(json.dumps([clip_id, dict(scores), data], sort_keys=True).encode()).hexdigest()
    return canonical_json({"clip": clip, "data": data})


def shard_digest(
    header: Mapping[str, Any], clips: Sequence[tuple[str, str, str]], rejected: Sequence[str], total: Any
) -> str:
    """Return the sha256 (hex) of a shard.

    Args:
        header: Schema, version and attributes.
        clips: Id, scores (JSON) and digests (JSON) of each clip, in order.
        rejected: The rejected clips (JSON), in order.
        total: Json-able: what tells the sum of its labels, for a schema that keeps one.
    """
    return digest([header, [list(clip) for clip in clips], list(rejected), total])
