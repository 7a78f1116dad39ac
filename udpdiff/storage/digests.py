"""Digests of configurations, of one clip's content and of a whole shard, whatever a file's layout."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from udpdiff.storage.schema import Value


def digest(obj: Any) -> str:
    """Return the sha256 (hex) of a json-able object; keys are sorted, so equal objects give equal digests.

    Raises ValueError for what JSON cannot express exactly (arrays, paths, NaN).
    """
    return hashlib.sha256(canonical_json(obj).encode()).hexdigest()


def canonical_json(obj: Any) -> str:
    """Write a json-able object the one way: sorted keys, no blanks, no NaN; ValueError if it is not json-able."""
    try:
        return json.dumps(obj, sort_keys=True, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"Not json-able: {error}; expected only dicts, lists, text, finite numbers, booleans and null; "
            "convert arrays with .tolist(), numbers with float() or int(), paths with str()."
        ) from error


def clip_digest(clip_id: str, arrays: Mapping[str, Value], scores: Mapping[str, float]) -> str:
    """Return the sha256 (hex) of one clip: its id, its scores and every dataset with type and shape."""
    hasher = hashlib.sha256(json.dumps([clip_id, scores], sort_keys=True).encode())
    for name in sorted(arrays):
        value = arrays[name]
        if isinstance(value, np.ndarray):
            content = np.ascontiguousarray(value, dtype=value.dtype.newbyteorder("<"))
            kind = [content.dtype.str, list(content.shape)]
        else:
            content = value.encode() if isinstance(value, str) else value
            kind = [type(value).__name__, [len(content)]]
        hasher.update(json.dumps([name, *kind]).encode())
        hasher.update(content)
    return hasher.hexdigest()


def shard_digest(header: Mapping[str, Any], clip_digests: Sequence[str], rejected: Sequence[str]) -> str:
    """Return the sha256 (hex) of a shard: its header, its clips' digests in order and the rejected clips."""
    return hashlib.sha256(json.dumps([header, clip_digests, rejected], sort_keys=True).encode()).hexdigest()
