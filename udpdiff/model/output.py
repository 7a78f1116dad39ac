"""What a call of the pipeline returns: the video, and each dense stream by name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from diffusers.utils import BaseOutput


@dataclass(frozen=True)
class DenseOutput:
    """One dense stream of a call.

    Attributes:
        frames: Its colormaps, in the form of the video's frames.
        prediction: (B, T, H, W, ...) as the task decodes it: entity ids uint16, depth float32 [0, 1]; a list of B where
            tasks differ; None for latents or when not asked for.
        task: Name of the task; of each video where they differ.
    """

    frames: Any
    prediction: np.ndarray | list[np.ndarray] | None
    task: str | tuple[str, ...]


@dataclass
class UDPDiffPipelineOutput(BaseOutput):
    """What a call returns.

    Attributes:
        frames: The video in the call's `output_type`, as diffusers defines it: `pil` lists of images, `np` float [0, 1]
            (B, T, H, W, 3), `pt` float [0, 1] (B, T, 3, H, W), `latent` (B, F, C, h, w).
        dense: By name of the stream.
    """

    frames: Any
    dense: dict[str, DenseOutput]

    @property
    def dense_frames(self) -> Any:
        """Frames of the one dense stream; ValueError where there are several."""
        return self._single().frames

    @property
    def prediction(self) -> np.ndarray | list[np.ndarray] | None:
        """Prediction of the one dense stream; ValueError where there are several."""
        return self._single().prediction

    def _single(self) -> DenseOutput:
        if len(self.dense) != 1:
            raise ValueError(
                f"Got dense streams {list(self.dense)}, expected one: this model makes several at once. Read them as"
                f" output.dense[{next(iter(self.dense))!r}] and so on."
            )
        return next(iter(self.dense.values()))
