"""Where things stand inside a shard's HDF5 file; functions on an open file, one row per clip.

    /header            text (json): schema, version, attrs
    /clip_ids          text (N,)      written last of a row: a row without it does not count
    /scores            text (N,)      json
    /digests           text (N,)      json: sha256 of the clip and of every stored value, see `digests.clip_digests`
    /rejected          text (R,)      json: clip_id, reason, scores
    /rejected_sha256   text (R,)      of each of these; what a writer that was stopped left is checked by it
    /data/{name}       (N, ...)       chunked per clip; bytes as variable-length uint8, and so values in few bits, whose
                                      shape and bits are attributes
    /sum               uint64 (H, W)  sum of the labels over clips and frames, where the schema asks for it;
                                      attribute frames: how many
    attribute sha256   of the whole content, set when the shard is complete

Nothing is pickled. Knows nothing about temporary names and renaming; that is `shards.py`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import h5py
import numpy as np

from udpdiff.storage import coarse_values
from udpdiff.storage.coarse_values import COARSE_BITS
from udpdiff.storage.digests import canonical_json, shard_digest, value_digest
from udpdiff.storage.schema import VERSION, DatasetSpec, Schema, Value
from udpdiff.storage.staging import StagingFile

_TEXT = h5py.string_dtype()
_ROW_LISTS = ("scores", "digests", "clip_ids")
_SUM = "sum"
# Of depth at 480 x 720, level 4 takes 1.3 times as long for 3 % less; of entity ids 1.8 times, but they take little anyway.
_GZIP_LEVEL = 1


def create_file(stored: StagingFile, schema: Schema, attrs: Mapping[str, Any]) -> h5py.File:
    """Lay out an empty shard in a new file, and return it open for writing."""
    file = h5py.File(stored, "w")
    file.create_dataset("header", data=header_json(schema, attrs), dtype=_TEXT)
    for name in (*_ROW_LISTS, "rejected", "rejected_sha256"):
        file.create_dataset(name, shape=(0,), maxshape=(None,), dtype=_TEXT, chunks=(64,))
    file.create_group("data")
    file.flush()
    return file


def header_json(schema: Schema, attrs: Mapping[str, Any]) -> str:
    """Return the header text: schema, version and attributes; equal for equal content."""
    return canonical_json({"schema": schema.name, "version": VERSION, "attrs": attrs})


class Datasets:
    """The datasets of an open shard by name, each opened once, which takes longer than writing a small row.

    Args:
        file: Of the shard.
    """

    def __init__(self, file: h5py.File) -> None:
        self._file = file
        self._open: dict[str, h5py.Dataset] = {}
        self._row_types: dict[str, tuple[tuple[int, ...], np.dtype]] = {}

    def __getitem__(self, name: str) -> h5py.Dataset:
        if name not in self._open:
            self._open[name] = self._file[name]
        return self._open[name]

    def row_types(self, schema: Schema) -> dict[str, tuple[tuple[int, ...], np.dtype]]:
        """Return shape and type of a row of each dataset, as the first clip had them; empty before it."""
        if not self._row_types and len(self["clip_ids"]):
            self._row_types = {name: _row_type(self[f"data/{name}"], spec) for name, spec in schema.datasets.items()}
        return self._row_types


def append_clip(
    file: h5py.File,
    datasets: Datasets,
    schema: Schema,
    clip_id: str,
    arrays: Mapping[str, Value],
    scores: str,
    digests: str,
) -> None:
    """Write one checked clip after the last complete row and flush; its id, written last, makes the row count."""
    row = len(datasets["clip_ids"])
    for name, spec in schema.datasets.items():
        if not row and name not in file["data"]:
            bits = read_header(file)["attrs"].get(COARSE_BITS) if spec.coarse else None
            _create_dataset(file, name, spec, arrays[name], bits)
        dataset = datasets[f"data/{name}"]
        _write_row(dataset, row, _stored(dataset, spec, arrays[name]))
    for name, text in zip(_ROW_LISTS, (scores, digests, clip_id), strict=True):
        _write_row(datasets[name], row, text)
    file.flush()


def append_rejected(file: h5py.File, entry: str) -> None:
    """Write one rejected clip (json text) and flush."""
    row = len(file["rejected"])
    _write_row(file["rejected_sha256"], row, value_digest(entry))
    _write_row(file["rejected"], row, entry)
    file.flush()


def finish_file(file: h5py.File, total: np.ndarray | None, frames: int) -> None:
    """Write the sum, if there is one, and set the digest that marks the shard complete.

    Raises:
        ValueError: A clip is listed twice, or as stored and as rejected.
    """
    names = read_texts(file, "clip_ids") + [json.loads(entry)["clip_id"] for entry in read_texts(file, "rejected")]
    if len(set(names)) < len(names):
        raise ValueError(f"Listed twice in one shard: {sorted({name for name in names if names.count(name) > 1})[:5]}.")
    if total is not None:
        file.create_dataset(_SUM, data=total.astype("<u8")).attrs["frames"] = frames
    file.attrs["sha256"] = content_digest(file)


def values_elsewhere(file: h5py.File) -> list[str]:
    """Return the names in a file that lead to values outside it or to another name, which HDF5 would follow to any file.

    What we write has none: links are hard, and values stand in the file itself.
    """
    groups = [file, *([file["data"]] if isinstance(file.get("data", getlink=True), h5py.HardLink) else [])]
    return [name for group in groups for name in group if _leads_elsewhere(group, name)]


def content_digest(file: h5py.File) -> str:
    """Return the sha256 (hex) of the content, taken of the lists and of the digests in them."""
    clips = list(zip(*(read_texts(file, name) for name in ("clip_ids", "scores", "digests")), strict=True))
    total = [value_digest(file[_SUM][:]), int(file[_SUM].attrs["frames"])] if _SUM in file else None
    return shard_digest(read_header(file), clips, read_texts(file, "rejected"), total)


def read_sum(file: h5py.File) -> tuple[np.ndarray, int]:
    """Return the sum of the labels, uint64 (H, W), and of how many frames; (0, 0) where there are none."""
    return (file[_SUM][:], int(file[_SUM].attrs["frames"])) if _SUM in file else (np.zeros((), np.uint64), 0)


def read_header(file: h5py.File) -> dict[str, Any]:
    """Return {"schema", "version", "attrs"}."""
    return json.loads(file["header"].asstr()[()])


def read_texts(file: h5py.File, name: str) -> list[str]:
    """Return one of the text lists: clip_ids, scores, digests or rejected."""
    return file[name].asstr()[:].tolist()


def read_text(file: h5py.File, name: str, row: int) -> str:
    """Return one entry of a text list."""
    return file[name].asstr()[row]


def read_text_rows(dataset: h5py.Dataset, rows: range) -> list[str]:
    """Read some following rows of a dataset of text."""
    return dataset.asstr()[rows.start : rows.stop].tolist()


def read_value(dataset: h5py.Dataset, spec: DatasetSpec, row: int, part: int | None = None) -> Value:
    """Read one dataset of one clip, or one part along its first axis."""
    if spec.kind == "text":
        return dataset.asstr()[row]
    if spec.kind == "bytes":
        return dataset[row].tobytes()
    if bits := _coarse_bits(dataset, spec):
        return coarse_values.decode(dataset[row].tobytes(), bits)
    return dataset[row] if part is None else dataset[row, part]


def read_clip(file: h5py.File, schema: Schema, row: int) -> dict[str, Value]:
    """Read all datasets of one clip."""
    return {name: read_value(file["data"][name], spec, row) for name, spec in schema.datasets.items()}


def _leads_elsewhere(group: h5py.Group, name: str) -> bool:
    if not isinstance(group.get(name, getlink=True), h5py.HardLink):
        return True
    item = group[name]
    return isinstance(item, h5py.Dataset) and bool(item.external or item.is_virtual)


def _row_type(dataset: h5py.Dataset, spec: DatasetSpec) -> tuple[tuple[int, ...], np.dtype]:
    if _coarse_bits(dataset, spec):
        return tuple(dataset.attrs["shape"]), np.dtype("<u2")
    return dataset.shape[1:], dataset.dtype


def _coarse_bits(dataset: h5py.Dataset, spec: DatasetSpec) -> int:
    """In how many bits values are kept; 0 where they are kept as they are."""
    return int(dataset.attrs.get(COARSE_BITS, 0)) if spec.coarse else 0


def _create_dataset(file: h5py.File, name: str, spec: DatasetSpec, value: Value, bits: int | None) -> h5py.Dataset:
    group = file["data"]
    if spec.kind != "array" or bits:
        dtype = _TEXT if spec.kind == "text" else h5py.vlen_dtype(np.uint8)
        dataset = group.create_dataset(name, shape=(0,), maxshape=(None,), dtype=dtype, chunks=(64,))
        if bits:
            dataset.attrs[COARSE_BITS], dataset.attrs["shape"] = bits, value.shape
        return dataset
    chunks = (1, 1, *value.shape[1:]) if spec.is_stacked(value) else (1, *value.shape)
    dtype = value.dtype.newbyteorder("<")
    filters = {"compression": spec.compression, "shuffle": True} if spec.compression else {}
    if spec.compression == "gzip":
        filters["compression_opts"] = _GZIP_LEVEL
    shape = (0, *value.shape)
    return group.create_dataset(name, shape=shape, maxshape=(None, *value.shape), dtype=dtype, chunks=chunks, **filters)


def _stored(dataset: h5py.Dataset, spec: DatasetSpec, value: Value) -> Value:
    if bits := _coarse_bits(dataset, spec):
        return np.frombuffer(coarse_values.encode(value, bits), np.uint8)
    return np.frombuffer(value, np.uint8) if spec.kind == "bytes" else value


def _write_row(dataset: h5py.Dataset, row: int, value: Value | Sequence[int]) -> None:
    if len(dataset) <= row:
        dataset.resize(row + 1, axis=0)
    dataset[row] = value
