"""Writing a shard: one clip at a time, under a hidden name, taken over from a writer that was stopped."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import h5py
import numpy as np

from udpdiff.files import fsync, publish, staging_path
from udpdiff.locking import Held, Lock, NoLocks, has_ended, holder
from udpdiff.storage import layout
from udpdiff.storage.coarse_values import COARSE_BITS, on_grid
from udpdiff.storage.digests import clip_digests, value_digest
from udpdiff.storage.errors import StorageError, writing
from udpdiff.storage.schema import Value, check_attrs, check_clip, check_text, find_schema
from udpdiff.storage.staging import StagingFile


class ShardWriter:
    """Context manager that writes one shard; memory stays at one clip.

    A write that fails raises StorageError, and nothing more is written: the shard is then never finished. Two writers
    never write one shard at once: a lock beside it tells the second one, or where the file system has no locks, each
    writes a file of its own and takes nothing over.

    Args:
        path: Where the shard will stand.
        schema: A name of `SCHEMAS`.
        attrs: Json-able facts about how it was made.
        resume: Take over the finished clips of a writer that was stopped, if its schema and attrs were the same, and
            keep this one's on an exception too; without it an exception leaves nothing behind.

    Attributes:
        done: The finished ids, added and rejected ones.
        added: How many of them were added.

    Raises:
        ValueError: An unknown schema, attrs that are not json-able or lack what the schema requires.
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
        self._staging = staging_path(self.path, "partial")
        self._lock: Lock | None = None
        self._file: h5py.File | None = None
        self._broken = False
        self._sum, self._frames = None, 0
        check_attrs(self.schema, self.attrs)
        self._header = layout.header_json(self.schema, self.attrs)

    def __enter__(self) -> ShardWriter:
        with writing(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._take_lock()
        try:
            self._open()
        except BaseException:
            self._release_lock()
            raise
        return self

    def add(self, clip_id: str, arrays: Mapping[str, Value], scores: Mapping[str, float] | None = None) -> None:
        """Write one clip: all datasets of the schema, and figures about it.

        Where the shard's attributes name `coarse_bits`, values of coarse datasets are rounded to them.

        Raises:
            ValueError: The id is there already, datasets are unknown or missing, or unlike the first clip's in shape or
                type.
            StorageError: It cannot be written.
        """
        self._open_file()
        self._check_new(clip_id)
        check_clip(self.schema, clip_id, arrays)
        for name, (shape, dtype) in self._datasets.row_types(self.schema).items():
            got = arrays[name]
            if isinstance(got, np.ndarray) and (got.shape, got.dtype) != (shape, dtype):
                raise ValueError(
                    f"{name!r} of clip {clip_id!r}: got {got.dtype} {got.shape}, expected {dtype} {shape} as in the "
                    "shard's first clip; convert the clip or write it to another shard."
                )
        if bits := self.attrs.get(COARSE_BITS):
            coarse = [name for name, spec in self.schema.datasets.items() if spec.coarse]
            arrays = {**arrays, **{name: on_grid(arrays[name], bits) for name in coarse}}
        self._append(clip_id, arrays, _numbers(scores))

    def unfinished(self, clip_ids: Sequence[str], size: int) -> list[list[str]]:
        """Return batches of `size` clips, without those that are finished as a whole.

        Batches are of equal clips after a restart too, for how clips are batched may show in the last bits of a result;
        so a batch may hold clips that are in `done`.
        """
        batches = [list(clip_ids[start : start + size]) for start in range(0, len(clip_ids), size)]
        return [batch for batch in batches if not self.done.issuperset(batch)]

    def reject(self, clip_id: str, reason: str, scores: Mapping[str, float] | None = None) -> None:
        """List a clip as left out, with the reason.

        Raises:
            ValueError: The id is there already.
            StorageError: It cannot be written.
        """
        self._open_file()
        self._check_new(clip_id)
        check_text(f"The reason of clip {clip_id!r}", reason)
        self._append_rejected(clip_id, json.dumps({"clip_id": clip_id, "reason": reason, "scores": _numbers(scores)}))

    def sync(self) -> None:
        """Bring what is written to the disk, so that finishing the shard has little left to do, or to fail at.

        Raises:
            StorageError: It cannot be written.
        """
        self._open_file()
        with self._written():
            fsync(self._staging)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        complete = False
        try:
            if kind is None:
                with self._written() as file:
                    layout.finish_file(file, self._sum, self._frames)
                complete = True
        finally:
            self._file.close()
            self._stored.close()
            self._file = None
            if not complete and not self.resume:
                self._staging.unlink(missing_ok=True)
            if not complete:
                self._release_lock()
        if complete:
            try:
                with self._written():
                    publish(self._staging, self.path)
            finally:
                self._release_lock()

    def _open(self) -> None:
        with writing(self.path):
            goes_on = self.resume and self._staging.exists()
            fresh = staging_path(self.path, "partial.copy") if goes_on else self._staging
            self._stored = StagingFile(fresh, new=True)
        self._file = layout.create_file(self._stored, self.schema, self.attrs)
        self._datasets = layout.Datasets(self._file)
        if goes_on:
            self._take_over()
            with self._written():
                os.replace(fresh, self._staging)

    def _take_lock(self) -> None:
        lock = Lock(staging_path(self.path, "lock"))
        try:
            lock.take()
        except Held as held:
            raise StorageError(
                f"{self.path}: another job is writing it ({held}). Two Snakemakes work in this folder, or a job outlived"
                " its own: wait for that job to end, or cancel it, and start again."
            ) from None
        except NoLocks as error:
            own = staging_path(self.path, "partial.")
            for other in self.path.parent.iterdir():
                if other.name.startswith(own.name) and has_ended(other.name.removeprefix(own.name)):
                    other.unlink(missing_ok=True)
            self.resume, self._staging = False, own.with_name(own.name + holder())
            warnings.warn(
                f"{self.path}: {error}, so this job writes a file of its own and takes nothing over from one that was"
                " stopped. Ask for a mount with `flock`, or see that one Snakemake alone works in this folder.",
                stacklevel=3,
            )
        else:
            self._lock = lock

    def _release_lock(self) -> None:
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def _append(self, clip_id: str, arrays: Mapping[str, Value], scores: dict[str, float]) -> None:
        digests = clip_digests(self.schema, clip_id, arrays, scores)
        with self._written() as file:
            layout.append_clip(file, self._datasets, self.schema, clip_id, arrays, json.dumps(scores), digests)
        if self.schema.summed:
            labels = arrays[self.schema.summed]
            self._sum = labels.sum(axis=0, dtype=np.uint64) + (0 if self._sum is None else self._sum)
            self._frames += len(labels)
        self.done.add(clip_id)
        self.added += 1

    def _append_rejected(self, clip_id: str, entry: str) -> None:
        with self._written() as file:
            layout.append_rejected(file, entry)
        self.done.add(clip_id)

    @contextmanager
    def _written(self) -> Iterator[h5py.File | None]:
        """Give the file for one step of writing; one that fails is the last."""
        if self._broken:
            raise StorageError(f"{self.path}: an earlier write failed; nothing more is written. Start the job again.")
        self._broken = True
        with writing(self.path):
            try:
                yield self._file
            except Exception:
                if self._stored.error is None:  # else HDF5 only stumbled over what could not be written
                    raise
            if self._stored.error:
                raise self._stored.error
        self._broken = False

    def _take_over(self) -> None:
        # A killed writer may leave torn HDF5 structures that read well and break on the next append. So rows that prove
        # whole are copied into a fresh file, one by one, and the old one stays until that copy is complete.
        with self._surviving_damage(), h5py.File(StagingFile(self._staging, new=False), "r") as old:
            if old["header"].asstr()[()] != self._header:
                warnings.warn(f"{self._staging}: written with other attributes; starting again.", stacklevel=4)
                return
            with self._surviving_damage():
                for row in range(len(old["rejected"])):
                    entry, written = (layout.read_text(old, name, row) for name in ("rejected", "rejected_sha256"))
                    if value_digest(entry) != written:
                        raise ValueError(f"rejected clip number {row} does not match its sha256")
                    self._append_rejected(json.loads(entry)["clip_id"], entry)
            for row in range(len(old["clip_ids"])):
                self._copy_clip(old, row)

    @contextmanager
    def _surviving_damage(self) -> Iterator[None]:
        try:
            yield
        except StorageError:
            raise
        except Exception as error:  # torn HDF5 structures raise nearly anything
            warnings.warn(f"{self._staging}: damaged ({error}); kept its {len(self.done)} whole clips.", stacklevel=5)

    def _copy_clip(self, old: h5py.File, row: int) -> None:
        clip_id, scores, digests = (layout.read_text(old, name, row) for name in ("clip_ids", "scores", "digests"))
        arrays, figures = layout.read_clip(old, self.schema, row), json.loads(scores)
        if clip_digests(self.schema, clip_id, arrays, figures) != digests:
            raise ValueError(f"the content of clip {clip_id!r} does not match its sha256")
        self._check_new(clip_id)
        self._append(clip_id, arrays, figures)

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


def _numbers(scores: Mapping[str, float] | None) -> dict[str, float]:
    return {name: float(value) for name, value in (scores or {}).items()}
