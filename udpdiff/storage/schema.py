"""What each kind of shard holds: its datasets, their types and axes, and the attributes it must carry.

Knows nothing about HDF5; `shards.py` reads and writes by these tables.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

Value = np.ndarray | bytes | str


@dataclass(frozen=True)
class DatasetSpec:
    """One dataset of a shard, a row per clip.

    kind: "array", "bytes" (opaque, of any length) or "text".
    dtypes: numpy names allowed for an array. axes: allowed axis lists; a number fixes a size, a name ties sizes.
    compression: "gzip", "lzf" or None. part_axes: an array with these axes is chunked along its first one too, so that
    one part (a colouring) is read alone.
    """

    kind: str
    dtypes: tuple[str, ...] = ()
    axes: tuple[str, ...] = ()
    compression: str | None = None
    part_axes: str | None = None


@dataclass(frozen=True)
class Schema:
    """A named, versioned set of datasets and of the attributes that a shard must state."""

    name: str
    version: int
    datasets: Mapping[str, DatasetSpec]
    required_attrs: tuple[str, ...] = ()


_BYTES, _TEXT = DatasetSpec("bytes"), DatasetSpec("text")
# Integer labels shrink tenfold and more under gzip; float noise does not, so floats take the fast filter or none.
_LABELS = DatasetSpec("array", ("uint16",), ("T H W",), "gzip")

SCHEMAS: Mapping[str, Schema] = {
    schema.name: schema
    for schema in (
        Schema(
            "clips",
            2,
            {
                "video_mp4": _BYTES,
                "brief": _TEXT,
                "detailed": _TEXT,
                "source_id": _TEXT,
                "source_sha256": _TEXT,
                "record_sha256": _TEXT,
            },
            ("height", "width", "num_frames", "fps", "source"),
        ),
        Schema(
            "truth",
            1,
            {
                "entity_ids": _LABELS,
                "z": DatasetSpec("array", ("float32",), ("T H W",), "lzf"),
                "flow": DatasetSpec("array", ("float16",), ("S H W 2",), "lzf"),
                "normals": DatasetSpec("array", ("float16",), ("T H W 3",), "lzf"),
                "camera": DatasetSpec("array", ("float32",), ("T 4 4",)),
                "scene": _TEXT,
            },
        ),
        Schema("entities", 1, {"entity_ids": _LABELS}),
        Schema("depth", 1, {"depth": _LABELS}),
        Schema(
            "latents",
            1,
            {"latents": DatasetSpec("array", ("float16", "float32"), ("F C h w", "K F C h w"), None, "K F C h w")},
            ("scaling_factor", "vae"),
        ),
        Schema(
            "text",
            1,
            {
                "brief": DatasetSpec("array", ("float16",), ("L D",), "lzf"),
                "detailed": DatasetSpec("array", ("float16",), ("L D",), "lzf"),
            },
            ("text_style",),
        ),
        Schema(
            "predictions",
            2,
            {
                "dense_mp4": _BYTES,
                "prediction": DatasetSpec("array", ("uint16", "int8"), ("T H W", "T H W 3"), "gzip"),
                "prompt": _TEXT,
            },
            ("run", "task", "fps"),
        ),
    )
}


def find_schema(name: str, version: int | None = None) -> Schema:
    """Return the schema called `name`; ValueError if there is none, or if a file states another `version`."""
    if name not in SCHEMAS:
        raise ValueError(
            f"Unknown shard schema: got {name!r}, expected one of {sorted(SCHEMAS)}; add it to storage/schema.py."
        )
    schema = SCHEMAS[name]
    if version is not None and version != schema.version:
        raise ValueError(
            f"Schema version of {name!r}: got {version}, expected {schema.version}; "
            "build the shard again with this version of udpdiff, or read it with the version that wrote it."
        )
    return schema


def check_attrs(schema: Schema, attrs: Mapping[str, Any]) -> None:
    """Raise ValueError when `attrs` lacks something that shards of this schema must state."""
    missing = [name for name in schema.required_attrs if name not in attrs]
    if missing:
        raise ValueError(
            f"Attributes of a {schema.name!r} shard: got {sorted(attrs)}, expected also {missing}; pass them in attrs=."
        )


def check_clip(schema: Schema, clip_id: str, arrays: Mapping[str, Value]) -> None:
    """Raise ValueError unless `arrays` are exactly the schema's datasets, of the right types and axes."""
    if set(arrays) != set(schema.datasets):
        unknown, missing = sorted(set(arrays) - set(schema.datasets)), sorted(set(schema.datasets) - set(arrays))
        raise ValueError(
            f"Datasets of clip {clip_id!r}: got {sorted(arrays)}, expected {sorted(schema.datasets)} for schema "
            f"{schema.name!r}; remove {unknown} and add {missing}."
        )
    sizes: dict[str, int] = {}
    for name, spec in schema.datasets.items():
        _check_value(f"{name!r} of clip {clip_id!r}", spec, arrays[name], sizes)


def _check_value(where: str, spec: DatasetSpec, value: Value, sizes: dict[str, int]) -> None:
    expected_type = {"array": np.ndarray, "bytes": bytes, "text": str}[spec.kind]
    if not isinstance(value, expected_type):
        raise ValueError(f"{where}: got {type(value).__name__}, expected {expected_type.__name__}; convert it first.")
    if spec.kind == "text":
        check_text(where, value)
    if spec.kind != "array":
        return
    if value.dtype.name not in spec.dtypes:
        expected = " or ".join(spec.dtypes)
        raise ValueError(f"{where}: got dtype {value.dtype}, expected {expected}; convert it with .astype first.")
    axes = next((axes.split() for axes in spec.axes if len(axes.split()) == value.ndim), None)
    if axes is None or 0 in value.shape:
        expected = " or ".join(f"({axes})" for axes in spec.axes)
        raise ValueError(f"{where}: got shape {value.shape}, expected {expected}, none empty; reshape the array.")
    for axis, size in zip(axes, value.shape, strict=True):
        wanted = int(axis) if axis.isdigit() else sizes.setdefault(axis, size)
        if size != wanted:
            raise ValueError(
                f"{where}: got shape {value.shape}, expected {wanted} along {axis} of ({' '.join(axes)}) as in the "
                "schema and the clip's other datasets; check how the array was cut."
            )


def check_text(where: str, text: str) -> None:
    """Raise ValueError unless HDF5 can hold the text: no NUL characters and no lone surrogates."""
    if "\0" in text or any("\ud800" <= letter <= "\udfff" for letter in text):
        raise ValueError(
            f"{where}: got {text[:60]!r}, expected text without NUL and lone surrogates; strip them first."
        )
