"""Faults put into clips, with labels, so that the video encoder learns to see what a bad generated video looks like.

An encoder that only names objects is blind to blur, noise and broken motion, and so would be the distance built on it.
"""

from __future__ import annotations

import numpy as np

CORRUPTIONS = ("blurred", "noisy", "frames out of order", "frozen", "ghosting", "wobbling")


def corrupt(video: np.ndarray, name: str, rng: np.random.Generator) -> np.ndarray:
    """A clip uint8 (T, H, W, 3) with one fault of random strength."""
    if name == "blurred":
        return _blur(video, float(rng.uniform(0.7, 2.0)))
    if name == "noisy":
        return _eight_bit(video + rng.normal(0, rng.uniform(8, 30), video.shape))
    if name == "frames out of order":
        return video[rng.permutation(len(video))]
    if name == "frozen":
        return np.repeat(video[rng.integers(len(video))][None], len(video), axis=0)
    if name == "ghosting":
        later = np.concatenate([video[2:], video[-1:], video[-1:]]).astype(np.float32)
        return _eight_bit((video + later) / 2)
    if name == "wobbling":
        return _wobble(video, rng)
    raise ValueError(f"Corruption: got {name!r}, expected one of {', '.join(CORRUPTIONS)}.")


def corrupt_some(videos: np.ndarray, rng: np.random.Generator, share: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    """Clips uint8 (B, T, H, W, 3), a share of them with one fault, and labels float32 (B, len(CORRUPTIONS))."""
    videos, labels = videos.copy(), np.zeros((len(videos), len(CORRUPTIONS)), np.float32)
    for index in np.flatnonzero(rng.random(len(videos)) < share):
        kind = int(rng.integers(len(CORRUPTIONS)))
        videos[index] = corrupt(videos[index], CORRUPTIONS[kind], rng)
        labels[index, kind] = 1
    return videos, labels


def _blur(video: np.ndarray, sigma: float) -> np.ndarray:
    from scipy.ndimage import gaussian_filter

    return _eight_bit(gaussian_filter(video.astype(np.float32), (0, sigma, sigma, 0)))


def _wobble(video: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Each frame is bent by its own smooth random field of some pixels: shapes that do not hold."""
    from scipy.ndimage import map_coordinates, zoom

    height, width = video.shape[1:3]
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    strength = rng.uniform(1.0, 2.5)
    frames = []
    for frame in video:
        shifts = [zoom(rng.normal(0, strength, (5, 5)), (height / 5, width / 5), order=1) for _ in range(2)]
        places = [rows + shifts[0], columns + shifts[1]]
        frames.append(np.stack([map_coordinates(frame[..., c], places, order=1, mode="nearest") for c in range(3)], -1))
    return np.stack(frames)


def _eight_bit(video: np.ndarray) -> np.ndarray:
    return np.clip(np.round(video), 0, 255).astype(np.uint8)
