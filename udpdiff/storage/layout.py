"""Where things stand inside a shard's HDF5 file; functions on an open file, one row per clip.

    /header            text (json): schema, version, attrs
    /clip_ids          text (N,)      written last of a row: a row without it does not count
    /scores            text (N,)      json
    /digests           text (N,)      sha256 of the clip's content
    /rejected          text (R,)      json: clip_id, reason, scores
    /data/{name}       (N, ...)       chunked per clip; bytes as variable-length uint8
    attribute sha256   of the whole content, set when the shard is complete

Nothing is pickled. Knows nothing about temporary names and renaming; that is `shards.py`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from udpdiff.storage.digests import canonical_json, shard_digest
from udpdiff.storage.schema import DatasetSpec, Schema, Value

_TEXT = h5py.string_dtype()
_ROW_LISTS = ("scores", "digests", "clip_ids")


def create_file(path: Path, schema: Schema, attrs: Mapping[str, Any]) -> h5py.File:
    """Create an empty shard file, replacing what is there, and return it open for writing."""
    file = h5py.File(path, "w", locking="best-effort")
    file.create_dataset("header", data=header_json(schema, attrs), dtype=_TEXT)
    for name in (*_ROW_LISTS, "rejected"):
        file.create_dataset(name, shape=(0,), maxshape=(None,), dtype=_TEXT, chunks=(64,))
    file.create_group("data")
    file.flush()
    return file


def header_json(schema: Schema, attrs: Mapping[str, Any]) -> str:
    """Return the header text: schema, version and attributes; equal for equal content."""
    return canonical_json({"schema": schema.name, "version": schema.version, "attrs": attrs})


def append_clip(
    file: h5py.File, schema: Schema, clip_id: str, arrays: Mapping[str, Value], scores: str, content_digest: str
) -> None:
    """Write one checked clip after the last complete row and flush; its id, written last, makes the row count."""
    row = len(file["clip_ids"])
    for name, spec in schema.datasets.items():
        dataset = file["data"].get(name)
        if dataset is None:
            dataset = _create_dataset(file, name, spec, arrays[name])
        _write_row(dataset, row, _stored(spec, arrays[name]))
    for name, text in zip(_ROW_LISTS, (scores, content_digest, clip_id), strict=True):
        _write_row(file[name], row, text)
    file.flush()


def append_rejected(file: h5py.File, entry: str) -> None:
    """Write one rejected clip (json text) and flush."""
    _write_row(file["rejected"], len(file["rejected"]), entry)
    file.flush()


def finish_file(file: h5py.File) -> None:
    """Cut off what a failed `append_clip` left behind and set the digest that marks the shard complete."""
    rows = len(file["clip_ids"])
    for dataset in (*file["data"].values(), *(file[name] for name in _ROW_LISTS)):
        dataset.resize(rows, axis=0)
    file.attrs["sha256"] = shard_digest(read_header(file), read_texts(file, "digests"), read_texts(file, "rejected"))


def read_header(file: h5py.File) -> dict[str, Any]:
    """Return {"schema", "version", "attrs"}."""
    return json.loads(file["header"].asstr()[()])


def read_texts(file: h5py.File, name: str) -> list[str]:
    """Return one of the text lists: clip_ids, scores, digests or rejected."""
    return file[name].asstr()[:].tolist()


def read_value(file: h5py.File, spec: DatasetSpec, name: str, row: int, part: int | None = None) -> Value:
    """Read one dataset of one clip, or one part along its first axis."""
    dataset = file["data"][name]
    if spec.kind == "text":
        return dataset.asstr()[row]
    if spec.kind == "bytes":
        return dataset[row].tobytes()
    return dataset[row] if part is None else dataset[row, part]


def row_shapes(file: h5py.File) -> dict[str, tuple[int, ...]]:
    """Return the shape of a row of each dataset written so far; () for text and bytes."""
    return {name: dataset.shape[1:] for name, dataset in file["data"].items()}


def read_clip(file: h5py.File, schema: Schema, row: int) -> dict[str, Value]:
    """Read all datasets of one clip."""
    return {name: read_value(file, spec, name, row) for name, spec in schema.datasets.items()}


def _create_dataset(file: h5py.File, name: str, spec: DatasetSpec, value: Value) -> h5py.Dataset:
    group = file["data"]
    if spec.kind != "array":
        dtype = _TEXT if spec.kind == "text" else h5py.vlen_dtype(np.uint8)
        return group.create_dataset(name, shape=(0,), maxshape=(None,), dtype=dtype, chunks=(64,))
    by_part = spec.part_axes is not None and value.ndim == len(spec.part_axes.split())
    chunks = (1, 1, *value.shape[1:]) if by_part else (1, *value.shape)
    dtype = value.dtype.newbyteorder("<")
    filters = {"compression": spec.compression, "shuffle": True} if spec.compression else {}
    shape = (0, *value.shape)
    return group.create_dataset(name, shape=shape, maxshape=(None, *value.shape), dtype=dtype, chunks=chunks, **filters)


def _stored(spec: DatasetSpec, value: Value) -> Value:
    return np.frombuffer(value, np.uint8) if spec.kind == "bytes" else value


def _write_row(dataset: h5py.Dataset, row: int, value: Value | Sequence[int]) -> None:
    if len(dataset) <= row:
        dataset.resize(row + 1, axis=0)
    dataset[row] = value
