"""How well a video shows what its prompt says: CLIP's similarity of frames and prompt. Knows features, no network.

Source: Wu et al., GODIVA (CLIPSIM: the mean over frames of the similarity to the text).
"""

from __future__ import annotations

import numpy as np


def prompt_fidelity(frames: np.ndarray, prompt: np.ndarray) -> float:
    """Return the mean over frames of the cosine between a frame's feature and the prompt's, in [-1, 1].

    Args:
        frames: Features (T, D), T >= 1; they are normalised here.
        prompt: Feature (D,), likewise.

    Raises:
        ValueError: Other shapes, values that are not finite, or a feature that is all zero.
    """
    frames, prompt = np.asarray(frames, np.float64), np.asarray(prompt, np.float64)
    if frames.ndim != 2 or not len(frames) or prompt.shape != frames.shape[1:]:
        raise ValueError(f"Prompt fidelity: got {frames.shape} and {prompt.shape}, expected (T, D) and (D,), T >= 1.")
    lengths = np.linalg.norm(frames, axis=1) * np.linalg.norm(prompt)
    if not (np.isfinite(lengths) & (lengths > 0)).all():
        raise ValueError("Prompt fidelity: got a feature that is all zero or not finite; it has no direction.")
    return float((frames @ prompt / lengths).mean())
