"""Point prompts of the mini SAM 2: how its training draws, runs and judges them, and how good they are afterwards."""

from __future__ import annotations

import itertools
from typing import get_args

import numpy as np
import torch
import torch.nn.functional as F

from udpdiff.labelling.point_grid import Filtering, PointGridSegmenter
from udpdiff.mini.quality import MIN_ENTITY_PIXELS, entity_quality
from udpdiff.mini.sam2_samples import normalise

FOCAL_WEIGHT, FOCAL_ALPHA, FOCAL_GAMMA, IOU_WEIGHT = 20.0, 0.25, 2.0, 0.3
GRID_SIDES = (8, 12)


def draw_points(ids: np.ndarray, rng: np.random.Generator, min_pixels: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """A random point of every entity of ids (H, W): x, y as shares of width and height (N, 2), and its mask (N, H, W)."""
    entity_ids, counts = np.unique(ids, return_counts=True)
    masks = ids == entity_ids[(counts >= min_pixels) & (entity_ids > 0)][:, None, None]
    places = np.array([rng.choice(np.argwhere(mask)) for mask in masks]).reshape(-1, 2)
    points = (places[:, ::-1] + rng.random(places.shape)) / ids.shape[::-1]
    return points, masks


def prompt_points(
    model, backbone_out: dict, points: torch.Tensor, owners: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Mask logits (N, 3, S / 4, S / 4) and predicted IoUs (N, 3) of single points (N, 2) of x, y as shares.

    owners (N,): which of the images behind `backbone_out` each lies in. The differentiable twin of what
    `SAM2ImagePredictor` does with each point on its own.
    """
    levels = [level[owners] for level in backbone_out["backbone_fpn"]]
    labels = torch.ones(len(points), 1, dtype=torch.int32)
    sparse, dense = model.sam_prompt_encoder(
        points=(points[:, None] * model.image_size, labels), boxes=None, masks=None
    )
    logits, predicted_ious, _, _ = model.sam_mask_decoder(
        image_embeddings=levels[-1] + model.no_mem_embed[0, 0, :, None, None],
        image_pe=model.sam_prompt_encoder.get_dense_pe(),
        sparse_prompt_embeddings=sparse,
        dense_prompt_embeddings=dense,
        multimask_output=True,
        repeat_image=False,
        high_res_features=levels[:-1],
    )
    return logits, predicted_ious


def first_frames_loss(model, frames: list[tuple[np.ndarray, np.ndarray]], rng: np.random.Generator) -> torch.Tensor:
    """Loss of finding every entity of some frames, uint8 (H, W, 3) with true ids (H, W), by a point in each."""
    # Trackers resize bicubically, the package's image predictor bilinearly.
    resampling = "bilinear" if rng.random() < 0.5 else "bicubic"
    images = normalise(np.stack([image for image, _ in frames]), resampling)
    points, masks = zip(*(draw_points(ids, rng) for _, ids in frames), strict=True)
    owners = np.repeat(np.arange(len(frames)), [len(drawn) for drawn in points])
    points, truth = (torch.from_numpy(np.concatenate(arrays)).float() for arrays in (points, masks))
    return point_loss(*prompt_points(model, model.forward_image(images), points, torch.from_numpy(owners)), truth)


def point_loss(logits: torch.Tensor, predicted_ious: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Loss of three masks per point, logits (N, 3, H, W), with predicted IoUs (N, 3), against truth float (N, H, W).

    Focal and Dice loss of the best of the three, as SAM 2 trains a single click; predicted IoUs of all three, by
    cross-entropy instead of SAM 2's absolute error, under which the sigmoid dies while all masks are still bad.
    Source: SAM 2 (arXiv 2408.00714), appendix on training; its object scores are left out, for a point always lies on
    an entity.
    """
    logits, truth = logits.float(), truth[:, None]
    entropy = F.binary_cross_entropy_with_logits(logits, truth.expand_as(logits), reduction="none")
    balance = FOCAL_ALPHA * truth + (1 - FOCAL_ALPHA) * (1 - truth)
    focal = (balance * (1 - (-entropy).exp()) ** FOCAL_GAMMA * entropy).mean((2, 3))
    shares = logits.sigmoid()
    dice = 1 - (2 * (shares * truth).sum((2, 3)) + 1) / (shares.sum((2, 3)) + truth.sum((2, 3)) + 1)
    inside = (logits > 0).float()
    union = torch.maximum(inside, truth).sum((2, 3))
    ious = (inside * truth).sum((2, 3)) / union
    best = (FOCAL_WEIGHT * focal + dice).amin(1)
    confidence = F.binary_cross_entropy_with_logits(predicted_ious.float().logit(1e-6), ious)
    return best.mean() + IOU_WEIGHT * confidence


@torch.no_grad()
def point_quality(model, video: np.ndarray, ids: np.ndarray, seed: int = 0) -> dict[str, float]:
    """How well points do on first frames, uint8 (B, H, W, 3) with true ids (B, H, W).

    point_iou: of the mask of the highest predicted IoU with the entity of a random point on it, its mean over entities
    of 12 pixels or more. point_iou_error: how far the predicted IoU is off. grid8_amg_entity_iou and so on: mean IoU of
    entities found by a grid of 8 x 8 points, filtered as named.
    """
    rng, size = np.random.default_rng(seed), np.array(ids.shape[:0:-1])
    prompter = PointGridSegmenter(model)
    ious, errors = [], []
    for image, truth in zip(video, ids, strict=True):
        points, masks = draw_points(truth, rng, MIN_ENTITY_PIXELS)
        logits, predicted_ious = next(prompter.prompt(image, points * size))
        best = predicted_ious.argmax(1)
        chosen = logits[np.arange(len(best)), best] > 0
        ious.append((chosen & masks).sum((1, 2)) / (chosen | masks).sum((1, 2)))
        errors.append(np.abs(predicted_ious.max(1) - ious[-1]))
    quality = {"point_iou": np.concatenate(ious), "point_iou_error": np.concatenate(errors)}
    for side, filtering in itertools.product(GRID_SIDES, get_args(Filtering)):
        found = PointGridSegmenter(model, side, filtering).segment(video)
        quality[f"grid{side}_{filtering}_entity_iou"] = entity_quality(found, ids)["iou"]
    return {name: float(np.mean(values)) for name, values in quality.items()}
