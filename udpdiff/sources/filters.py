"""Quality and motion scores of a clip, and the thresholds that reject it.

Every score is a plain number of the clip as it is stored, after resizing and encoding; cheap enough for every clip on a
CPU. The default thresholds are at home at 64 x 64 pixels and 8 frames per second: less sharpness per pixel is normal in
larger frames, less motion per step at higher rates. Knows nothing of files.

Source: scores of this kind stand behind the curation of Panda-70M and Open-Sora; UDPDiff names no filter or threshold.
"""

from __future__ import annotations

import numpy as np

from udpdiff.clip import Rejection
from udpdiff.config.data import Filters

_LUMA_WEIGHTS = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601
_CLIPPED_BELOW, _CLIPPED_ABOVE = 4, 251
_NEAR_BLACK_BELOW = 24
_BLOCKS = 16  # per side: motion and cuts are judged on block means, where grain and compression noise average out
_COLOR_LEVELS = 8  # per channel, of the colour histogram
_MAX_SHIFT = 3  # blocks: a camera movement of up to 3/16 of the frame between two frames is no cut
_DISSOLVE_FRAMES = (3, 4, 5, 6)  # half a second at 8 frames a second, and what a quick or a slow one takes
_BLEND_OF_MOTION, _BLEND_OF_SCENES = 0.13, 0.18  # what things that move reach by chance; what counts 1 above it
_NOISE_VARIANCE = 16.0  # of block means: two flat areas count as alike

# Why a clip is refused, by which score, beyond which bound of the configuration's `filters`.
BOUNDS = (
    (Rejection.TOO_DARK, "near_black_share", "max_near_black_share"),
    (Rejection.CLIPPED, "clipped_share", "max_clipped_share"),
    (Rejection.LETTERBOX, "letterbox_share", "max_letterbox_share"),
    (Rejection.BLURRED, "sharpness", "min_sharpness"),
    (Rejection.TOO_STILL, "motion", "min_motion"),
    (Rejection.SCENE_CUT, "cut_score", "max_cut_score"),
)


def score_clip(video: np.ndarray) -> dict[str, float]:
    """Score a clip.

    Args:
        video: uint8 (T,H,W,3) RGB, T >= 2, H and W >= 16.

    Returns:
        sharpness: variance of the Laplacian of luma, median over frames; 0 = featureless, hundreds = crisp.
        clipped_share, near_black_share: share of pixels in [0,1] at either end of the luma range, or almost black.
        letterbox_share: share of the height, or of the width, in black bars on both sides.
        motion: mean absolute change of block luma from frame to frame, in grey levels of 255.
        cut_score: the largest jump between two neighbouring frames in [0,1], in colours and layout at once, or how
            surely frames are blended from one scene into another.

    Raises:
        ValueError: Another shape or dtype.
    """
    if video.ndim != 4 or video.shape[-1] != 3 or video.dtype != np.uint8:
        raise ValueError(f"video: got {video.dtype} {video.shape}; expected uint8 (T,H,W,3)")
    if video.shape[0] < 2 or min(video.shape[1:3]) < _BLOCKS:
        raise ValueError(f"video: got shape {video.shape}; expected at least 2 frames of {_BLOCKS} x {_BLOCKS} pixels")
    luma = np.stack([frame.astype(np.float32) @ _LUMA_WEIGHTS for frame in video])
    blocks = _block_means(video)
    scores = {
        "sharpness": _sharpness(luma),
        "clipped_share": np.mean((luma < _CLIPPED_BELOW) | (luma > _CLIPPED_ABOVE)),
        "near_black_share": np.mean(luma < _NEAR_BLACK_BELOW),
        "letterbox_share": max(_bars_share(luma, axis=1), _bars_share(luma, axis=2)),
        "motion": np.abs(np.diff(blocks @ _LUMA_WEIGHTS, axis=0)).mean(),
        "cut_score": _cut_score(blocks),
    }
    return {name: float(score) for name, score in scores.items()}


def check(scores: dict[str, float], thresholds: Filters) -> list[str]:
    """Return the reasons to reject a clip, in words and numbers; empty for a clip to keep.

    Args:
        scores: As `score_clip` returns them.
        thresholds: A clip is kept when each score is at least its `min_` and at most its `max_`.
    """
    reasons = []
    for reason, name, bound in BOUNDS:
        score, threshold, least = scores[name], getattr(thresholds, bound), bound.startswith("min_")
        # Written so that a score that is no number rejects.
        kept = score >= threshold if least else score <= threshold
        if not kept:
            needs = f"at least {threshold:g} needed" if least else f"at most {threshold:g} allowed"
            reasons.append(reason.because(f"{name} {score:.3g}, {needs}"))
    return reasons


def _sharpness(luma: np.ndarray) -> float:
    variances = []
    for frame in luma:
        neighbours = frame[:-2, 1:-1] + frame[2:, 1:-1] + frame[1:-1, :-2] + frame[1:-1, 2:]
        variances.append((neighbours - 4 * frame[1:-1, 1:-1]).var())
    return float(np.median(variances))


def _bars_share(luma: np.ndarray, axis: int) -> float:
    """Share of rows (axis 1) or columns (axis 2) in black bars at both ends; luma: (T,H,W).

    Only what both ends have counts: bars come in pairs, a dark sky or floor does not.
    """
    others = tuple({0, 1, 2} - {axis})
    # A hundredth of the pixels may be bright: a channel's logo, ringing at the edge.
    black = np.mean(luma >= _NEAR_BLACK_BELOW, axis=others) < 0.01
    if black.all():
        return 0.0  # A black clip; the share of near-black pixels speaks for it.
    first, last = np.argmin(black), np.argmin(black[::-1])
    return 2 * min(first, last) / black.size


def _block_means(video: np.ndarray) -> np.ndarray:
    """Mean colours of a grid of blocks, (T,16,16,3) float32; pixels that do not fill a block are left out."""
    height, width = (size // _BLOCKS for size in video.shape[1:3])
    cut = video[:, : height * _BLOCKS, : width * _BLOCKS]
    # Frame by frame, rows first: a clip as floats would take four times its memory.
    rows = np.stack([frame.reshape(_BLOCKS, height, -1).mean(axis=1, dtype=np.float32) for frame in cut])
    return rows.reshape(len(video), _BLOCKS, _BLOCKS, width, 3).mean(axis=3)


def _cut_score(blocks: np.ndarray) -> float:
    """The largest jump between neighbours, or how surely one scene is blended into another; in [0,1]. blocks: (T,16,16,3).

    The frames between two that differ are tried as blends of them: in a dissolve they are, where things move they are
    not. Of the 40 sample clips of Panda-70M at 8 frames a second, four lie above 0.5: a dissolve, a drive through a tunnel
    and two that may be cuts, which was not verified; of 200 dissolves of half a second between two of the other 36, 198
    do, and 4 without the blends. PySceneDetect 0.7.2, whose detectors compare neighbours, finds 47 of them where it
    calls 7 of the 40 clips cut (content, at its defaults), and 194 where it calls 12 (histograms).
    """
    histograms = np.stack([_color_histogram(frame.reshape(-1, 3)) for frame in blocks])
    luma = blocks @ _LUMA_WEIGHTS

    def jumps(lag: int) -> np.ndarray:
        return np.sqrt(_color_jumps(histograms, lag) * _layout_jumps(luma[:-lag], luma[lag:]))

    blended = 0.0
    for lag in _DISSOLVE_FRAMES:
        if lag < len(blocks):
            fits = [_blend_fit(blocks[first : first + lag + 1]) for first in range(len(blocks) - lag)]
            blended = max(blended, float((jumps(lag) * fits).max()))
    return max(jumps(1).max(), min((blended - _BLEND_OF_MOTION) / _BLEND_OF_SCENES, 1.0))


def _blend_fit(blocks: np.ndarray) -> float:
    """How well frames are blends of the first and the last, whose share grows; 1 = exactly, 0 = not at all."""
    frames = blocks.reshape(len(blocks), -1)
    change, between = frames[-1] - frames[0], frames[1:-1] - frames[0]
    energy = change @ change + 1e-6
    shares = (between @ change / energy).clip(0, 1)
    if np.any(np.diff(shares) < -0.05) or not np.any((shares > 0.15) & (shares < 0.85)):
        return 0.0  # There and back, or a cut.
    rest = ((between - shares[:, None] * change) ** 2).sum(axis=1) / energy
    return max(0.0, 1 - 4 * float(rest.mean()))


def _color_jumps(histograms: np.ndarray, lag: int) -> np.ndarray:
    """Share of the picture whose colours are gone `lag` frames later, wherever they were; (T-lag,) in [0,1]."""
    return np.abs(histograms[lag:] - histograms[:-lag]).sum(axis=1) / 2


def _color_histogram(colors: np.ndarray) -> np.ndarray:
    """Shares of colours on an RGB lattice, each colour divided among its 8 nearest points; colors: (N,3).

    Divided, because with hard bins a slight change of light would move whole areas into other bins.
    """
    position = colors / 255 * (_COLOR_LEVELS - 1)
    lower = np.minimum(position.astype(int), _COLOR_LEVELS - 2)
    upper_weight = position - lower
    histogram = np.zeros(_COLOR_LEVELS**3)
    for corner in np.ndindex(2, 2, 2):
        weight = np.where(corner, upper_weight, 1 - upper_weight).prod(axis=1)
        index = np.ravel_multi_index((lower + corner).T, (_COLOR_LEVELS,) * 3)
        histogram += np.bincount(index, weight, histogram.size)
    return histogram / len(colors)


def _layout_jumps(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """One minus the correlation of frames (N,16,16) with others at the best shift; (N,) in [0,1]."""
    best = np.zeros(len(before))
    for down in range(-_MAX_SHIFT, _MAX_SHIFT + 1):
        for right in range(-_MAX_SHIFT, _MAX_SHIFT + 1):
            one = before[:, max(0, down) : _BLOCKS + min(0, down), max(0, right) : _BLOCKS + min(0, right)]
            other = after[:, max(0, -down) : _BLOCKS + min(0, -down), max(0, -right) : _BLOCKS + min(0, -right)]
            best = np.maximum(best, _correlation(one, other))
    return np.clip(1 - best, 0, 1)


def _correlation(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Correlation of two stacks of pictures (T,h,w), in which differences below the noise count as agreement."""
    one = one - one.mean(axis=(1, 2), keepdims=True)
    other = other - other.mean(axis=(1, 2), keepdims=True)
    covariance = (one * other).mean(axis=(1, 2))
    variances = ((stack**2).mean(axis=(1, 2)) + _NOISE_VARIANCE for stack in (one, other))
    return (covariance + _NOISE_VARIANCE) / np.sqrt(np.prod(list(variances), axis=0))
