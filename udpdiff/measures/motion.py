"""How much moves in a video, from its optical flow: what consistencies and smoothness, which reward a still video, lack.

With |f_t(x)| the length of the flow from frame t to the next at pixel x, in units of the picture's short side, over the
P pairs of frames at about 8 a second:

    mean flow   = mean over t and x of |f_t(x)|
    is dynamic  = the mean of the largest 5 % of |f_t(x)| is above 6 / 256 for at least a quarter of the P + 1 frames

The second is a yes or no per video; the share of videos with a yes is VBench's dynamic degree, to the letter but for the
network: VBench takes RAFT. The first, which VBench does not have, is a number, so that it tells slow videos from slower
ones. Knows no network and no file.

Source: Vchitect/VBench, vbench/dynamic_degree.py (get_score, set_params, check_move, get_frames).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from udpdiff.finite import check_finite

FPS = 8  # of the frames that are looked at
_FASTEST_SHARE = 0.05
_THRESHOLD = 6 / 256  # of the short side, per frame
_FRAMES_SHARE = 4 / 16  # that must be above it


@dataclass(frozen=True)
class Motion:
    """How much moves in one video.

    Attributes:
        degree: Mean length of the flow per frame, as a share of the short side; 0 in a still video.
        is_dynamic: VBench's yes or no.
    """

    degree: float
    is_dynamic: bool


STILL = Motion(0.0, False)


def frames_looked_at(video: np.ndarray, fps: float) -> np.ndarray:
    """Return the frames (T', ...) of a video (T, ...) that motion is measured between: about 8 a second, as in VBench."""
    return video[:: max(1, round(fps / FPS))]


def motion(flows: Iterable[np.ndarray]) -> Motion:
    """Return how much moves in a video, from the flows (H, W, 2), in pixels, between its frames.

    Raises:
        NotFinite: A flow has values that are no numbers.
        ValueError: There is no flow: of one frame nothing can be said.
    """
    means, fastest = [], []
    for flow in flows:
        check_finite(flow, "the optical flow's values", str(flow.dtype))
        lengths = np.hypot(flow[..., 0], flow[..., 1]).ravel().astype(np.float64) / min(flow.shape[:2])
        count = max(1, int(_FASTEST_SHARE * lengths.size))
        means.append(lengths.mean())
        fastest.append(np.partition(lengths, -count)[-count:].mean())
    if not means:
        raise ValueError("Motion: got no pair of frames, expected a video of two frames or more at 8 frames a second.")
    enough = max(1, round(_FRAMES_SHARE * (len(means) + 1)))
    return Motion(float(np.mean(means)), bool(np.count_nonzero(np.array(fastest) > _THRESHOLD) >= enough))
