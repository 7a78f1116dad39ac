"""Other pictures of scenes: mirror images, drawings in flat colours, heat maps of depth and outlines, with captions that
say so.

A base model that has seen such pictures knows what the dense streams of its widened models look like, as CogVideoX does.
"""

from __future__ import annotations

import dataclasses
import re

import numpy as np

from udpdiff.mini.scenes import Scenes
from udpdiff.representations.spectral import encode_depth

BLACK_SHARE = 0.06  # of entities, besides what has no entity


def mirrored(scenes: Scenes) -> Scenes:
    """The scenes as a mirror shows them: pictures flipped, left and right exchanged in captions."""

    def exchange(captions: list[str]) -> list[str]:
        sides = {"left": "right", "right": "left"}
        return [re.sub(r"\b(left|right)\b", lambda match: sides[match[0]], caption) for caption in captions]

    return dataclasses.replace(
        scenes,
        video=scenes.video[..., ::-1, :],
        entity_ids=scenes.entity_ids[..., ::-1],
        z=scenes.z[..., ::-1],
        brief=exchange(scenes.brief),
        detailed=exchange(scenes.detailed),
    )


def draw_colors(rng: np.random.Generator) -> np.ndarray:
    """Random colours of entity ids, uint8 (256, 3); what has no entity is black, and a few entities are."""
    palette = rng.integers(0, 256, (256, 3), dtype=np.uint8)
    palette[rng.random(256) < BLACK_SHARE] = 0
    palette[0] = 0
    return palette


def drawings(scenes: Scenes, rng: np.random.Generator) -> Scenes:
    """Every entity in one random colour."""
    return _shown(scenes, "Drawing", np.stack([draw_colors(rng)[ids] for ids in scenes.entity_ids]))


def heat_maps(scenes: Scenes) -> Scenes:
    """Depth in Spectral."""
    return _shown(scenes, "Heat map", np.stack([encode_depth(depth / np.float32(255)) for depth in scenes.depth]))


def outlines(scenes: Scenes, rng: np.random.Generator) -> Scenes:
    """Lines between entities, in one random colour on another."""
    ids = scenes.entity_ids
    lines = np.zeros(ids.shape, bool)
    lines[:, :, :-1] |= ids[:, :, :-1] != ids[:, :, 1:]
    lines[..., :-1] |= ids[..., :-1] != ids[..., 1:]
    colors = rng.integers(0, 256, (len(ids), 2, 3), dtype=np.uint8)
    pictures = [pair[line.astype(np.uint8)] for pair, line in zip(colors, lines, strict=True)]
    return _shown(scenes, "Outlines", np.stack(pictures))


def _shown(scenes: Scenes, what: str, pictures: np.ndarray) -> Scenes:
    captions = {kind: [f"{what}: {caption}" for caption in getattr(scenes, kind)] for kind in ("brief", "detailed")}
    return dataclasses.replace(scenes, video=pictures, **captions)
