"""What each kind of shard holds: its datasets, their types and axes, and the attributes it must carry.

Knows nothing about HDF5; `shards.py` reads and writes by these tables.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

Value = np.ndarray | bytes | str


# Of the layout of files and of every schema; raised with any change, for a data set must not mix versions.
VERSION = 2


@dataclass(frozen=True)
class DatasetSpec:
    """One dataset of a shard, a row per clip.

    Attributes:
        kind: "array", "bytes" (opaque, of any length) or "text".
        dtypes: numpy names allowed for an array.
        axes: Allowed axis lists; a number fixes a size, a name ties sizes.
        compression: "gzip", "lzf" or None.
        part_axes: An array with these axes is chunked and checked along its first one too, so that one part (a
            colouring) is read alone.
        coarse: An array uint16 (T, H, W) whose values a shard may keep in fewer bits, as many as its attribute
            `coarse_bits` says; see `coarse_values`.
    """

    kind: str
    dtypes: tuple[str, ...] = ()
    axes: tuple[str, ...] = ()
    compression: str | None = None
    part_axes: str | None = None
    coarse: bool = False

    def is_stacked(self, value: Value) -> bool:
        """Return whether a value has parts, along its first axis."""
        return self.part_axes is not None and value.ndim == len(self.part_axes.split())


@dataclass(frozen=True)
class Schema:
    """A named set of datasets and of the attributes that a shard must state.

    Attributes:
        summed: The dataset (T, H, W) whose sum over clips and frames is kept in the shard; None for none.
    """

    name: str
    datasets: Mapping[str, DatasetSpec]
    required_attrs: tuple[str, ...] = ()
    summed: str | None = None


_BYTES, _TEXT = DatasetSpec("bytes"), DatasetSpec("text")
# Integer labels shrink tenfold and more under gzip; float noise does not, so floats take the fast filter or none.
_LABELS = DatasetSpec("array", ("uint16",), ("T H W",), "gzip")
_FEATURES, _OTHER_FEATURES = (DatasetSpec("array", ("float64",), (axis,)) for axis in "DE")
_EMBEDDINGS = DatasetSpec("array", ("float16",), ("L D",), "lzf")

SCHEMAS: Mapping[str, Schema] = {
    schema.name: schema
    for schema in (
        Schema(
            "clips",
            {
                "video_mp4": _BYTES,
                "brief": _TEXT,
                "detailed": _TEXT,
                "source_id": _TEXT,
                # Digests of the file and of the table's record that a clip was made from; "" where there is none.
                "source_sha256": _TEXT,
                "record_sha256": _TEXT,
            },
            ("height", "width", "num_frames", "fps", "source"),
        ),
        Schema(
            "truth",
            {
                "entity_ids": _LABELS,
                "z": DatasetSpec("array", ("float32",), ("T H W",), "lzf"),
                "flow": DatasetSpec("array", ("float16",), ("S H W 2",), "lzf"),
                "normals": DatasetSpec("array", ("float16",), ("T H W 3",), "lzf"),
                "camera": DatasetSpec("array", ("float32",), ("T 4 4",)),
                "scene": _TEXT,
            },
        ),
        Schema("entities", {"entity_ids": _LABELS}),
        Schema("depth", {"depth": replace(_LABELS, coarse=True)}, summed="depth"),
        Schema(
            "latents",
            {"latents": DatasetSpec("array", ("float16", "float32"), ("F C h w", "K F C h w"), None, "K F C h w")},
            ("scaling_factor", "vae"),
        ),
        Schema("text", {"brief": _EMBEDDINGS, "detailed": _EMBEDDINGS}, ("text_style",)),
        # The dense stream of generated videos, as a video and as the task stores its prediction.
        Schema(
            "predictions",
            {
                "dense_mp4": _BYTES,
                "prediction": DatasetSpec("array", ("uint16", "int8"), ("T H W", "T H W 3"), "gzip", coarse=True),
                "prompt": _TEXT,
            },
            ("run", "task", "fps"),
        ),
        # Of one video, by the extractors that the attributes name; figures of single videos stand in the scores.
        Schema("features", {"video_features": _FEATURES}, ("names",)),
        Schema("two_features", {"video_features": _FEATURES, "kernel_features": _OTHER_FEATURES}, ("names",)),
        # Figures of single predictions against labels of their videos stand in the scores; there is nothing else.
        Schema("comparisons", {}, ("task", "judge")),
    )
}


def find_schema(name: str) -> Schema:
    """Return the schema of that name.

    Raises:
        ValueError: There is none.
    """
    if name not in SCHEMAS:
        raise ValueError(
            f"Unknown shard schema: got {name!r}, expected one of {sorted(SCHEMAS)}; add it to storage/schema.py."
        )
    return SCHEMAS[name]


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
