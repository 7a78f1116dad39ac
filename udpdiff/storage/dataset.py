"""Map-style access to what training reads: latents and prompt embeddings of one clip, by clip id, over many shards.

Rows are streamed: a shard is opened when first asked for, and no more than a bounded cache stays in memory. Colours,
captions and noise are chosen elsewhere (`training.data`); this module only fetches.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from udpdiff.storage.shards import ShardReader, digest

if TYPE_CHECKING:
    import torch

PLAIN_TEXT = "plain"
# The empty prompt, stored beside the clips' captions in every text shard.
EMPTY_PROMPT_ID = ""
_OPEN_SHARDS = 16


@dataclass
class LatentExample:
    """One clip as the model sees it.

    Attributes:
        video_latents: float32 (F, C, h, w).
        dense_latents: Task -> float32 of the same shape; empty without a task.
        prompt_embeds: float32 (L, D).
    """

    video_latents: torch.Tensor
    dense_latents: dict[str, torch.Tensor]
    prompt_embeds: torch.Tensor


class TextStream(Protocol):
    """What a source of prompt embeddings has in common with shards of them; `shard_of` holds the ids of its clips."""

    name: str
    shard_of: Mapping[str, Any]
    rejected: Mapping[str, str]
    checksums: list[str]

    def read(self, clip_id: str, name: str, part: None) -> np.ndarray:
        """Return a prompt's embedding, float16 (L, D); name: `brief` or `detailed`."""

    def close(self) -> None:
        """Let go of what is open."""


class LatentSource:
    """Latents and prompt embeddings of the clips of one split.

    A clip serves a set of tasks when the video, each task and the text hold it; `missing` says what became of the
    others. Safe to use from several threads and, being opened lazily, from the worker processes of a DataLoader.

    Args:
        video: Shards of the stream `video`.
        dense: Shards of the dense stream, by task; empty for the base model.
        text: By style of the prompts, `plain` or a task's name where prompts name the task: shards, or what makes the
            embeddings when they are read.
        cache_bytes: Of most recently used rows kept in memory, as stored.

    Attributes:
        tasks: Names of all tasks.

    Raises:
        ValueError: A clip is in two shards of one stream, or a text style is missing.
        StorageError: A shard is damaged; likewise on every read.
    """

    def __init__(
        self,
        video: Sequence[str | Path],
        dense: Mapping[str, Sequence[str | Path]],
        text: Mapping[str, Sequence[str | Path] | TextStream],
        cache_bytes: int = 256 * 2**20,
    ) -> None:
        self._streams = {"video": _Stream("video", video)}
        self._streams |= {_dense_name(task): _Stream(_dense_name(task), paths) for task, paths in dense.items()}
        self._streams |= {
            _text_name(style): _Stream(_text_name(style), given) if isinstance(given, Sequence) else given
            for style, given in text.items()
        }
        self.tasks = tuple(dense)
        for tasks in [(task,) for task in self.tasks] or [()]:
            self._text_stream(tasks)
        self._cache = _RowCache(cache_bytes)
        self._lock = RLock()

    def _text_stream(self, tasks: Sequence[str]) -> str:
        """Return the name of the text stream: the first task's own where prompts name the task, else the plain one.

        Without a task and plain prompts, that of the first task: all styles are of the same captions.
        """
        for style in (*tasks[:1], PLAIN_TEXT) if tasks else (PLAIN_TEXT, *self.tasks[:1]):
            if _text_name(style) in self._streams:
                return _text_name(style)
        got = [name for name in self._streams if name.startswith("text ")]
        raise ValueError(f"No text shards for tasks {list(tasks)}: got {got}, expected {PLAIN_TEXT!r} or a task's own.")

    def clip_ids(self, tasks: Sequence[str] = ()) -> list[str]:
        """Return, sorted, the clips that can be trained on for all of `tasks`; for none, those with video and text."""
        return sorted(set(self._streams["video"].shard_of) - set(self.missing(tasks)))

    def missing(self, tasks: Sequence[str] = ()) -> dict[str, str]:
        """Return the clips that have video latents but cannot serve all of `tasks`, with the reason."""
        names = [self._text_stream(tasks), *map(_dense_name, tasks)]
        missing: dict[str, str] = {}
        for stream in (self._streams[name] for name in names):
            for clip_id in self._streams["video"].shard_of:
                if clip_id not in stream.shard_of:
                    missing.setdefault(clip_id, f"{stream.name}: {stream.rejected.get(clip_id, 'absent')}")
        return missing

    def read(self, clip_id: str, tasks: Sequence[str], caption: str, colouring: float = 0.0) -> LatentExample:
        """Return one clip.

        Args:
            clip_id: One of `clip_ids(tasks)`.
            tasks: Whose dense latents are read; where prompts name a task, they name the first.
            caption: `detailed`, `brief` or `empty`.
            colouring: In [0, 1): which of the K colourings of a dense stream.

        Raises:
            ValueError: A caption of another name, or a clip that does not serve the tasks.
        """
        return LatentExample(
            video_latents=_tensor(self._row("video", clip_id, "latents")),
            dense_latents={task: self._dense(_dense_name(task), clip_id, colouring) for task in tasks},
            prompt_embeds=_tensor(self._text(self._text_stream(tasks), clip_id, caption)),
        )

    def digest(self) -> str:
        """Return a digest of all shards' content, that is of the checksums they were written with."""
        return digest({name: stream.checksums for name, stream in sorted(self._streams.items())})

    def close(self) -> None:
        """Close the open shards; a later read opens them again."""
        for stream in self._streams.values():
            stream.close()

    def _dense(self, name: str, clip_id: str, colouring: float) -> torch.Tensor:
        with self._lock:
            parts = self._streams[name].parts
        return _tensor(self._row(name, clip_id, "latents", None if parts is None else int(colouring * parts)))

    def _text(self, name: str, clip_id: str, caption: str) -> np.ndarray:
        if caption == "empty":
            return self._row(name, EMPTY_PROMPT_ID, "brief")
        if caption not in ("brief", "detailed"):
            raise ValueError(f"Unknown caption: got {caption!r}, expected 'detailed', 'brief' or 'empty'.")
        return self._row(name, clip_id, caption)

    def _row(self, stream: str, clip_id: str, name: str, part: int | None = None) -> np.ndarray:
        with self._lock:
            read = partial(self._streams[stream].read, clip_id, name, part)
            return self._cache.get((stream, clip_id, name, part), read)

    def __getstate__(self) -> dict:
        return {name: value for name, value in self.__dict__.items() if name != "_lock"}

    def __setstate__(self, state: dict) -> None:
        self.__dict__.update(state)
        self._lock = RLock()


class _Stream:
    """All shards of one kind of row: which clip is in which, and no more than a few of them open."""

    def __init__(self, name: str, paths: Sequence[str | Path]) -> None:
        if not paths:
            raise ValueError(f"Stream {name!r} has no shards. Build them first, or leave the stream out.")
        self.name = name
        self.shard_of: dict[str, ShardReader] = {}
        self.rejected: dict[str, str] = {}
        self.checksums: list[str] = []
        self._open: list[ShardReader] = []  # most recently used last
        for path in sorted(Path(path) for path in paths):
            self._index(ShardReader(path))

    def _index(self, shard: ShardReader) -> None:
        self.checksums.append(shard.sha256)
        for clip_id in shard.clip_ids:
            # Every text shard carries the empty prompt; any of them serves.
            if clip_id in self.shard_of and clip_id != EMPTY_PROMPT_ID:
                raise ValueError(
                    f"Clip {clip_id!r} is in two shards of {self.name!r}: {self.shard_of[clip_id].path} and"
                    f" {shard.path}. Pass the shards of one split, each once."
                )
            self.shard_of[clip_id] = shard
        self.rejected |= {each["clip_id"]: each["reason"] for each in shard.rejected}

    @cached_property
    def parts(self) -> int | None:
        """How many colourings K each row holds; None for rows without that axis."""
        latents = self.read(next(iter(self.shard_of)), "latents", None)
        return len(latents) if latents.ndim == 5 else None

    def read(self, clip_id: str, name: str, part: int | None) -> np.ndarray:
        if clip_id not in self.shard_of:
            reason = self.rejected.get(clip_id, "it is in none of the shards")
            raise ValueError(f"Stream {self.name!r} has no clip {clip_id!r}: {reason}. See LatentSource.clip_ids.")
        shard = self.shard_of[clip_id]
        if shard in self._open:
            self._open.remove(shard)
        elif len(self._open) >= _OPEN_SHARDS:
            self._open.pop(0).close()
        self._open.append(shard)
        return shard.read(clip_id, name, part)

    def close(self) -> None:
        while self._open:
            self._open.pop().close()


class _RowCache:
    """The most recently used rows, up to a number of bytes."""

    def __init__(self, capacity_bytes: int) -> None:
        self.capacity_bytes = capacity_bytes
        self.held_bytes = 0
        self._rows: OrderedDict[tuple, np.ndarray] = OrderedDict()

    def get(self, key: tuple, read: Callable[[], np.ndarray]) -> np.ndarray:
        if key in self._rows:
            self._rows.move_to_end(key)
            return self._rows[key]
        row = read()
        if row.nbytes <= self.capacity_bytes:
            self._rows[key] = row
            self.held_bytes += row.nbytes
        while self.held_bytes > self.capacity_bytes:
            self.held_bytes -= self._rows.popitem(last=False)[1].nbytes
        return row


def _dense_name(task: str) -> str:
    return f"dense {task}"


def _text_name(style: str) -> str:
    return f"text {style}"


def _tensor(array: np.ndarray) -> torch.Tensor:
    import torch

    return torch.from_numpy(array.astype(np.float32))
