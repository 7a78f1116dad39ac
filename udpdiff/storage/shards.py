"""Shards: HDF5 files with a row per clip, written and read one clip at a time, whole or not at all.

A shard grows under a hidden name beside its place and takes its own name only when complete and on disk, so that a kill
at any moment leaves no half file in sight. Knows nothing about what clips mean; `schema.py` says what a shard holds.
"""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import h5py
import numpy as np

from udpdiff.storage import layout
from udpdiff.storage.digests import clip_digest, digest, shard_digest
from udpdiff.storage.folders import fsync
from udpdiff.storage.schema import Schema, Value, check_attrs, check_clip, check_text, find_schema

__all__ = ["ShardReader", "ShardWriter", "digest"]


class ShardWriter:
    """Context manager that writes one shard; memory stays at one clip.

    path: where the shard will stand. schema: a name of `SCHEMAS`. attrs: json-able facts about how it was made.
    resume: take over the finished clips of a writer that was stopped, if its schema and attrs were the same, and keep
    this one's on an exception too; without it an exception leaves nothing behind. `done` holds the finished ids, added
    ones (`added` of them) and rejected ones.
    Raises ValueError for an unknown schema, attrs that are not json-able or lack what the schema requires.
    """

    def __init__(
        self, path: str | Path, schema: str, attrs: Mapping[str, Any] | None = None, resume: bool = False
    ) -> None:
        self.path = Path(path)
        self.schema = find_schema(schema)
        self.attrs = dict(attrs or {})
        self.resume = resume
        self.done: set[str] = set()
        self.added = 0
        self._staging = self.path.with_name(f".{self.path.name}.partial")
        self._file: h5py.File | None = None
        check_attrs(self.schema, self.attrs)
        self._header = layout.header_json(self.schema, self.attrs)

    def __enter__(self) -> ShardWriter:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if self.resume and self._staging.exists():
            self._file = self._take_over()
        else:
            self._file = layout.create_file(self._staging, self.schema, self.attrs)
        return self

    def add(self, clip_id: str, arrays: Mapping[str, Value], scores: Mapping[str, float] | None = None) -> None:
        """Write one clip: all datasets of the schema, and figures about it.

        Raises ValueError for an id already there, unknown or missing datasets, or shapes unlike the first clip's.
        """
        file = self._open_file()
        self._check_new(clip_id)
        check_clip(self.schema, clip_id, arrays)
        for name, shape in layout.row_shapes(file).items():
            got = getattr(arrays[name], "shape", ())
            if got != shape:
                raise ValueError(
                    f"{name!r} of clip {clip_id!r}: got shape {got}, expected {shape} as in the shard's first clip; "
                    "resize the clip or write it to another shard."
                )
        self._append(file, clip_id, arrays, _numbers(scores))

    def unfinished(self, clip_ids: Sequence[str], size: int) -> list[list[str]]:
        """Batches of `size` clips, without those that are finished as a whole.

        Batches are of equal clips after a restart too, for how clips are batched may show in the last bits of a result;
        so a batch may hold clips that are in `done`.
        """
        batches = [list(clip_ids[start : start + size]) for start in range(0, len(clip_ids), size)]
        return [batch for batch in batches if not self.done.issuperset(batch)]

    def reject(self, clip_id: str, reason: str, scores: Mapping[str, float] | None = None) -> None:
        """List a clip as left out, with the reason; ValueError for an id already there."""
        file = self._open_file()
        self._check_new(clip_id)
        check_text(f"The reason of clip {clip_id!r}", reason)
        entry = {"clip_id": clip_id, "reason": reason, "scores": _numbers(scores)}
        layout.append_rejected(file, json.dumps(entry))
        self.done.add(clip_id)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        file, self._file = self._open_file(), None
        complete = False
        try:
            if kind is None:
                layout.finish_file(file)
                complete = True
        finally:
            file.close()
            if not complete and not self.resume:
                self._staging.unlink(missing_ok=True)
        if complete:
            fsync(self._staging)
            os.replace(self._staging, self.path)
            fsync(self.path.parent)

    def _append(self, file: h5py.File, clip_id: str, arrays: Mapping[str, Value], scores: dict[str, float]) -> None:
        layout.append_clip(file, self.schema, clip_id, arrays, json.dumps(scores), clip_digest(clip_id, arrays, scores))
        self.done.add(clip_id)
        self.added += 1

    def _take_over(self) -> h5py.File:
        # A killed writer may leave torn HDF5 structures that read well and break on the next append. So rows that prove
        # whole are copied into a fresh file, and the old one stays until that copy is complete.
        fresh = self.path.with_name(f"{self._staging.name}.copy")
        file = layout.create_file(fresh, self.schema, self.attrs)
        try:
            with h5py.File(self._staging, "r", locking="best-effort") as old:
                if old["header"].asstr()[()] == self._header:
                    self._copy_whole_rows(old, file)
                else:
                    warnings.warn(f"{self._staging}: written with other attributes; starting again.", stacklevel=3)
        except Exception as error:  # torn HDF5 structures raise nearly anything
            warnings.warn(f"{self._staging}: damaged ({error}); kept its {len(self.done)} whole clips.", stacklevel=3)
        file.flush()
        os.replace(fresh, self._staging)
        return file

    def _copy_whole_rows(self, old: h5py.File, file: h5py.File) -> None:
        for entry in layout.read_texts(old, "rejected"):
            layout.append_rejected(file, entry)
            self.done.add(json.loads(entry)["clip_id"])
        clip_ids, scores, digests = (layout.read_texts(old, name) for name in ("clip_ids", "scores", "digests"))
        for row, clip_id in enumerate(clip_ids):
            arrays, figures = layout.read_clip(old, self.schema, row), json.loads(scores[row])
            if clip_digest(clip_id, arrays, figures) != digests[row]:
                raise ValueError(f"the content of clip {clip_id!r} does not match its sha256")
            self._append(file, clip_id, arrays, figures)

    def _open_file(self) -> h5py.File:
        if self._file is None:
            raise ValueError(f"{self.path}: the writer is not open; use it inside 'with ShardWriter(...) as writer:'.")
        return self._file

    def _check_new(self, clip_id: str) -> None:
        check_text("The clip id", clip_id)
        if clip_id in self.done:
            raise ValueError(
                f"Clip id {clip_id!r}: got it twice, expected each id once per shard; skip the ids in writer.done."
            )


class ShardReader:
    """A complete shard; may be used as a context manager, pickled, and used on both sides of a fork.

    schema: name. attrs: dict. names: its datasets. clip_ids: in order. scores: by clip id. rejected: list of
    {"clip_id", "reason", "scores"}. The header is read at once; each process opens the file on its first read.
    Raises FileNotFoundError; ValueError for a file that is no complete shard, or of another schema version.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._file: h5py.File | None = None
        self._pid = -1
        with _open_for_reading(self.path) as file:
            if "sha256" not in file.attrs or "header" not in file:
                raise ValueError(f"{self.path}: got an HDF5 file that is no complete shard; build the shard again.")
            header = layout.read_header(file)
            self._schema: Schema = find_schema(header["schema"], header["version"])
            self.schema: str = self._schema.name
            self.attrs: dict[str, Any] = header["attrs"]
            self.clip_ids = layout.read_texts(file, "clip_ids")
            scores = map(json.loads, layout.read_texts(file, "scores"))
            self.scores: dict[str, dict[str, float]] = dict(zip(self.clip_ids, scores, strict=True))
            self.rejected: list[dict[str, Any]] = [json.loads(entry) for entry in layout.read_texts(file, "rejected")]
        self.names = list(self._schema.datasets)
        self._rows = {clip_id: row for row, clip_id in enumerate(self.clip_ids)}

    def __len__(self) -> int:
        return len(self.clip_ids)

    def read(self, clip_id: str, name: str, part: int | None = None) -> Value:
        """Read one dataset of the clip with this id; see `read_at`."""
        if clip_id not in self._rows:
            listed = next((entry for entry in self.rejected if entry["clip_id"] == clip_id), None)
            why = f"it was rejected ({listed['reason']})" if listed else "it is in another shard"
            raise ValueError(f"{self.path}: got clip id {clip_id!r}, expected one of clip_ids; {why}.")
        return self.read_at(self._rows[clip_id], name, part)

    def read_at(self, index: int, name: str, part: int | None = None) -> Value:
        """Read one dataset of the clip at `index`; of stacked colourings only number `part`, if given.

        Raises ValueError for an index, name or part that the shard does not have.
        """
        if not 0 <= index < len(self):
            raise ValueError(f"{self.path}: got index {index}, expected 0 to {len(self) - 1}; see len(shard).")
        if name not in self._schema.datasets:
            raise ValueError(f"{self.path}: got dataset {name!r}, expected one of {self.names}; see shard.names.")
        file = self._open_file()
        if part is not None:
            shape = file["data"][name].shape[1:]
            if not shape or not 0 <= part < shape[0]:
                raise ValueError(f"{self.path}: got part {part} of {name!r}, expected one within its shape {shape}.")
        return layout.read_value(file, self._schema.datasets[name], name, index, part)

    def items(self, names: Sequence[str] | None = None) -> Iterator[tuple[str, dict[str, Value]]]:
        """Yield (clip_id, {name: value}) one clip at a time, for all datasets or the named ones."""
        for row, clip_id in enumerate(self.clip_ids):
            yield clip_id, {name: self.read_at(row, name) for name in (self.names if names is None else names)}

    def mean(self) -> tuple[np.ndarray, int]:
        """Mean of the stored depth over clips and frames, float64 (H, W), and how many clips it is of."""
        maps = [arrays["depth"].astype(np.float64).mean(0) for _, arrays in self.items(["depth"])]
        return (np.mean(maps, axis=0), len(maps)) if maps else (np.zeros(()), 0)

    def verify(self) -> None:
        """Read everything and compare it with the stored sha256; ValueError naming the damaged clip."""
        file = self._open_file()
        stored = layout.read_texts(file, "digests")
        for row, (clip_id, arrays) in enumerate(self.items()):
            if clip_digest(clip_id, arrays, self.scores[clip_id]) != stored[row]:
                raise ValueError(
                    f"{self.path}: the content of clip {clip_id!r} is not what was written (sha256); "
                    "build the shard again."
                )
        rejected = layout.read_texts(file, "rejected")
        if shard_digest(layout.read_header(file), stored, rejected) != self.sha256:
            raise ValueError(f"{self.path}: its lists are not what was written (sha256); build the shard again.")

    @property
    def sha256(self) -> str:
        """The sha256 (hex) of the content; equal content gives equal digests, whatever the file's bytes."""
        return self._open_file().attrs["sha256"]

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
        return {**self.__dict__, "_file": None, "_pid": -1}

    def _open_file(self) -> h5py.File:
        # After a fork parent and child would share one file position, so each process opens the file itself.
        if self._pid != os.getpid():
            self.close()
            self._file, self._pid = None, os.getpid()
        if self._file is None:
            self._file = _open_for_reading(self.path)
        return self._file


def _open_for_reading(path: Path) -> h5py.File:
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such shard; build it first.")
    try:
        # Complete shards never change, and locks fail on some network file systems.
        return h5py.File(path, "r", locking=False)
    except OSError as error:
        raise ValueError(f"{path}: got no readable HDF5 file ({error}); build the shard again.") from error


def _numbers(scores: Mapping[str, float] | None) -> dict[str, float]:
    return {name: float(value) for name, value in (scores or {}).items()}
