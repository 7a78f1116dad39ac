"""Shards: HDF5 files with a row per clip, written and read one clip at a time, whole or not at all.

A shard grows under a hidden name beside its place and takes its own name only when complete and on disk, so that a kill
at any moment leaves no half file in sight. What is read is compared with the digest it was written with. Knows nothing
about what clips mean; `schema.py` says what a shard holds.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from udpdiff.storage import layout
from udpdiff.storage.digests import digest, value_digest
from udpdiff.storage.errors import damaged, outdated, reading
from udpdiff.storage.schema import VERSION, Schema, Value, find_schema
from udpdiff.storage.shard_writer import ShardWriter

__all__ = ["ShardReader", "ShardWriter", "digest"]

_TEXT_ROWS = 64  # that are read at once


class ShardReader:
    """A complete shard; may be used as a context manager, pickled, and used on both sides of a fork.

    The header and the lists are read and checked at once; each process opens the file on its first read. Every row, and
    each part of a stacked one, is checked against its digest when it is first read.

    Args:
        path: Of the shard.

    Attributes:
        schema: Name.
        attrs: Dict.
        sha256: Digest (hex) of the content; equal content gives equal digests, whatever the file's bytes.
        names: Its datasets.
        clip_ids: In order.
        scores: By clip id.
        rejected: List of {"clip_id", "reason", "scores"}.

    Raises:
        FileNotFoundError: There is none.
        StorageError: It is damaged, incomplete, or of an earlier version.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._file: h5py.File | None = None
        self._pid = -1
        with _open_for_reading(self.path) as file, reading(self.path):
            if "sha256" not in file.attrs or "header" not in file:
                raise damaged(self.path, "an HDF5 file that is no complete shard")
            header = layout.read_header(file)
            if header["version"] != VERSION:
                raise outdated(self.path)
            self.sha256: str = file.attrs["sha256"]
            if layout.content_digest(file) != self.sha256:
                raise damaged(self.path, "its lists are not what was written (sha256)")
            self._schema: Schema = find_schema(header["schema"])
            self.schema: str = self._schema.name
            self.attrs: dict[str, Any] = header["attrs"]
            self.clip_ids = layout.read_texts(file, "clip_ids")
            scores = map(json.loads, layout.read_texts(file, "scores"))
            self.scores: dict[str, dict[str, float]] = dict(zip(self.clip_ids, scores, strict=True))
            self.rejected: list[dict[str, Any]] = [json.loads(entry) for entry in layout.read_texts(file, "rejected")]
        self.names = list(self._schema.datasets)
        self._rows = {clip_id: row for row, clip_id in enumerate(self.clip_ids)}
        self._verified: dict[str, np.ndarray] = {}  # dataset -> bool (clips, parts)
        self._parsed: tuple[int, dict[str, list[str]]] = (-1, {})  # row -> its digests by dataset, of the last one read

    def __len__(self) -> int:
        return len(self.clip_ids)

    def read(self, clip_id: str, name: str, part: int | None = None) -> Value:
        """Return one dataset of the clip with this id; see `read_at`."""
        if clip_id not in self._rows:
            listed = next((entry for entry in self.rejected if entry["clip_id"] == clip_id), None)
            why = f"it was rejected ({listed['reason']})" if listed else "it is in another shard"
            raise ValueError(f"{self.path}: got clip id {clip_id!r}, expected one of clip_ids; {why}.")
        return self.read_at(self._rows[clip_id], name, part)

    def read_at(self, index: int, name: str, part: int | None = None) -> Value:
        """Return one dataset of the clip at `index`; of stacked colourings only number `part`, if given.

        Raises:
            ValueError: The shard has no such index, name or part.
            StorageError: It is not what was written.
        """
        if not 0 <= index < len(self):
            raise ValueError(f"{self.path}: got index {index}, expected 0 to {len(self) - 1}; see len(shard).")
        if name not in self._schema.datasets:
            raise ValueError(f"{self.path}: got dataset {name!r}, expected one of {self.names}; see shard.names.")
        self._open_file()
        spec, dataset = self._schema.datasets[name], self._datasets[name]
        stacked = spec.part_axes is not None and dataset.ndim - 1 == len(spec.part_axes.split())
        if part is not None and not (stacked and 0 <= part < dataset.shape[1]):
            raise ValueError(
                f"{self.path}: got part {part} of {name!r}, expected one of its stack {dataset.shape[1:]}."
            )
        with reading(self.path):
            value = layout.read_value(dataset, spec, index, part)
        parts = {part: value} if part is not None else dict(enumerate(value)) if stacked else {0: value}
        self._check(index, name, parts)
        return value

    def items(self, names: Sequence[str] | None = None) -> Iterator[tuple[str, dict[str, Value]]]:
        """Yield (clip_id, {name: value}) one clip at a time, for all datasets or the named ones.

        Texts, which are short, are read some rows at once: a call of h5py takes longer than a hundred of them.
        """
        wanted = self.names if names is None else names
        short = [
            name for name in wanted if name in self._schema.datasets and self._schema.datasets[name].kind == "text"
        ]
        for first in range(0, len(self), _TEXT_ROWS):
            rows = range(first, min(first + _TEXT_ROWS, len(self)))
            texts = {name: self._texts(name, rows) for name in short}
            for row in rows:
                found = {
                    name: texts[name][row - first] if name in texts else self.read_at(row, name) for name in wanted
                }
                for name in short:
                    self._check(row, name, {0: found[name]})
                yield self.clip_ids[row], found

    def _texts(self, name: str, rows: range) -> list[str]:
        self._open_file()
        with reading(self.path):
            return layout.read_text_rows(self._datasets[name], rows)

    def mean(self) -> tuple[np.ndarray, int]:
        """Return the mean of the stored labels over clips and frames, as it was kept while they were written.

        Returns:
            The mean, float64 (H, W), in stored units, and how many frames it is of; 0 and 0 for a shard without clips.

        Raises:
            ValueError: The schema keeps none.
        """
        if self._schema.summed is None:
            raise ValueError(f"{self.path}: a shard of {self.schema!r} keeps no mean; those of depth do.")
        total, frames = layout.read_sum(self._open_file())
        return total / max(frames, 1), frames

    def verify(self) -> None:
        """Read everything and compare it with the digests.

        Raises:
            StorageError: It is not what was written; the message names the clip.
        """
        self._verified.clear()
        for _ in self.items():
            pass

    def close(self) -> None:
        """Close the file; the next read opens it again."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def __enter__(self) -> ShardReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_file": None, "_pid": -1, "_datasets": {}, "_digests": []}

    def _check(self, index: int, name: str, parts: Mapping[int, Value]) -> None:
        checked = self._verified.get(name)
        if checked is not None and checked[index, list(parts)].all():
            return
        parsed = self._parsed
        if parsed[0] != index:
            parsed = self._parsed = index, json.loads(self._digests[index])["data"]  # other threads may read other rows
        expected = parsed[1][name]
        for number, value in parts.items():
            if value_digest(value) != expected[number]:
                raise damaged(self.path, f"{name!r} of clip {self.clip_ids[index]!r} is not what was written (sha256)")
        self._verified.setdefault(name, np.zeros((len(self), len(expected)), bool))[index, list(parts)] = True

    def _open_file(self) -> h5py.File:
        # After a fork parent and child would share one file position, so each process opens the file itself.
        if self._pid != os.getpid():
            self.close()
            self._file, self._pid = None, os.getpid()
        if self._file is None:
            self._file = _open_for_reading(self.path)
            with reading(self.path):
                # Held, for looking a dataset up by its name takes longer than reading a small row.
                self._datasets = dict(self._file["data"].items())
                self._digests = layout.read_texts(self._file, "digests")
        return self._file


def _open_for_reading(path: Path) -> h5py.File:
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such shard; build it first.")
    with reading(path):
        # Complete shards never change, and locks fail on some network file systems.
        file = h5py.File(path, "r", locking=False)
        if elsewhere := layout.values_elsewhere(file):
            file.close()
            raise damaged(path, f"{elsewhere[0]!r} has its values elsewhere, which no shard of ours has")
        return file
