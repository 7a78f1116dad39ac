"""Streams: what a model denoises together, in order, the video first.

A stream is a name, the tasks it serves, and a weight in the loss; all have as many latent channels, side by side along
the channel axis. The paper's model is the video and one dense stream that serves every task in turn; a model that makes
all at once has one dense stream per task.

Knows nothing of networks.

Source: UDPDiff, section 3.3.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

VIDEO, DENSE = "video", "dense"


@dataclass(frozen=True)
class Stream:
    """One stream.

    Attributes:
        name: Its key.
        tasks: The tasks that it serves; none for the video.
        loss_weight: Beside the other streams; only their ratio counts.
    """

    name: str
    tasks: tuple[str, ...] = ()
    loss_weight: float = 1.0


@dataclass(frozen=True)
class Streams:
    """The ordered streams of a model.

    Attributes:
        streams: The video, then the dense ones.
        channels: Latent channels of each, 16 in CogVideoX.
    """

    streams: tuple[Stream, ...]
    channels: int

    def __post_init__(self) -> None:
        names = [stream.name for stream in self.streams]
        if not names or names[0] != VIDEO or len(set(names)) != len(names):
            raise ValueError(f"Streams: got {names}, expected {VIDEO!r} first and every name once.")

    @classmethod
    def in_turn(cls, tasks: Sequence[str], channels: int, dense_weight: float = 1.0) -> Streams:
        """Return the paper's streams: the video, and one dense stream that serves all tasks; the video alone for none."""
        dense = (Stream(DENSE, tuple(tasks), dense_weight),) if tasks else ()
        return cls((Stream(VIDEO), *dense), channels)

    @classmethod
    def all_at_once(cls, tasks: Sequence[str], channels: int) -> Streams:
        """Return the video and one dense stream for each task, named as the task is."""
        return cls((Stream(VIDEO), *(Stream(task, (task,)) for task in tasks)), channels)

    def __len__(self) -> int:
        return len(self.streams)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(stream.name for stream in self.streams)

    @property
    def dense(self) -> tuple[Stream, ...]:
        """All streams but the video."""
        return self.streams[1:]

    @property
    def total_channels(self) -> int:
        """Channels of all streams together."""
        return len(self) * self.channels

    def channel_slice(self, name: str) -> slice:
        """Return where a stream's channels lie.

        Raises:
            ValueError: There is no such stream.
        """
        if name not in self.names:
            raise ValueError(f"Unknown stream: got {name!r}, expected one of {self.names}.")
        first = self.names.index(name) * self.channels
        return slice(first, first + self.channels)

    def split(self, latents: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return each stream's part of latents (B, F, S * C, h, w), (B, F, C, h, w) each.

        Raises:
            ValueError: The latents have another number of channels.
        """
        if latents.shape[2] != self.total_channels:
            raise ValueError(
                f"Got latents of {latents.shape[2]} channels, expected {self.total_channels}: {self.channels} for each of"
                f" {self.names}."
            )
        return {name: latents[:, :, self.channel_slice(name)] for name in self.names}

    def join(self, parts: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Return the latents (B, F, S * C, h, w) of all streams' parts; the inverse of `split`."""
        import torch

        return torch.cat([parts[name] for name in self.names], dim=2)
