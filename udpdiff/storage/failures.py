"""Clips that make a labeller or the encoder fail: listed at the end of a shard, unless they are too many."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from udpdiff.clip import Rejection
from udpdiff.finite import NotFinite
from udpdiff.storage.captions import CaptionWriter
from udpdiff.storage.errors import StorageError, is_of_the_disk
from udpdiff.storage.shards import ShardWriter


class TooManyFailures(RuntimeError):
    """More clips fail than single bad clips explain."""


class Failures:
    """Counts failed clips of a shard.

    Args:
        total: How many clips the shard has.
        max_share: Of them that may fail; one always may.
    """

    def __init__(self, total: int, max_share: float) -> None:
        self.total, self.max_share = total, max_share
        self.reasons: dict[str, str] = {}

    @contextmanager
    def caught(self, clip_id: str) -> Iterator[None]:
        """A context that records an error as this clip's failure.

        Raises:
            TooManyFailures: It is one failure too many; the message lists the first ones.
            StorageError: A file of ours is damaged or cannot be written, or a library could not write one of its own, which
                is no clip's fault.
            MemoryError: Likewise.
            NotFinite: A network overflows in a dtype that a key of the configuration sets to a wider one.
        """
        try:
            yield
        except (StorageError, MemoryError):
            raise
        except Exception as error:  # whatever is wrong with one clip, the others go on
            if isinstance(error, NotFinite) and error.can_be_mended:
                raise
            words = " ".join(str(error).split())[:200]
            if is_of_the_disk(error):
                raise StorageError(
                    f"{clip_id}: stopped by a disk that is full or broken, not by the clip ({words}). Make room, also where"
                    " temporary files go (TMPDIR), and start again; what is finished is kept."
                ) from error
            self.reasons[clip_id] = f"{type(error).__name__}: {words}"
            print(f"{clip_id}: {self.reasons[clip_id]}", file=sys.stderr)
            if len(self.reasons) > max(1, self.max_share * self.total):
                listed = "; ".join(f"{name}: {reason}" for name, reason in list(self.reasons.items())[:5])
                raise TooManyFailures(
                    f"labels.max_failed_share: {len(self.reasons)} of {self.total} clips failed, {self.max_share:g} of"
                    f" them may. The first: {listed}"
                ) from error

    def list_in(self, shard: ShardWriter | CaptionWriter) -> None:
        """Reject the failed clips. Called last, so that a job that was stopped tries them again."""
        for clip_id, reason in self.reasons.items():
            shard.reject(clip_id, Rejection.FAILED.because(reason))
