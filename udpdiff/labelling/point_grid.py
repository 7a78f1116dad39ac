"""First-frame entities from a grid of points: the ablation that prompts SAM 2 instead of a segmenter.

Every point is a prompt of its own; filtering and painting turn the masks into one entity per pixel. Knows nothing of
time (see `propagation`).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

import numpy as np

from udpdiff.finite import check_finite
from udpdiff.labelling.image_preparation import check_images
from udpdiff.labelling.propagation import DTYPE_KEY, MaskTracker, autocast
from udpdiff.labelling.segmenter import renumber
from udpdiff.quiet_libraries import without_warnings_of_torchscript

if TYPE_CHECKING:
    import torch

Filtering = Literal["amg", "none"]
STABILITY_OFFSET = 1.0


class PointMasks(NamedTuple):
    """Masks bool (M, H, W), which may overlap, and the IoU that the model predicts for each, float32 (M,)."""

    masks: np.ndarray
    scores: np.ndarray


def grid_points(points_per_side: int) -> np.ndarray:
    """Centres of n x n cells, row by row: (n * n, 2) of x, y as shares of width and height."""
    places = np.linspace(0.5 / points_per_side, 1 - 0.5 / points_per_side, points_per_side)
    return np.stack(np.meshgrid(places, places), axis=-1).reshape(-1, 2)


class PointGridSegmenter:
    """Segments images into the entities that SAM 2 sees at the points of a grid.

    `model`: any SAM 2 of the sam2 package, e.g. the predictor of a `MaskTracker`; `dtype`: autocast type.
    `filtering`: "none" keeps the mask of the highest predicted IoU of every point. "amg" keeps what the package's
    automatic mask generator keeps with its defaults and no crops: of all three masks of every point those whose
    predicted IoU and whose stability exceed the thresholds, less those whose box overlaps a better one's.
    `min_entity_pixels`: entities of which less stays visible are dropped, at the size of the image.
    Source: UDPDiff, table 9 (8 x 8 and 12 x 12 points; it does not say how they are filtered); SAM (arXiv 2304.02643), section 4;
    sam2/automatic_mask_generator.py.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        points_per_side: int = 8,
        filtering: Filtering = "amg",
        predicted_iou_threshold: float = 0.8,
        stability_threshold: float = 0.95,
        box_nms_threshold: float = 0.7,
        min_entity_pixels: int = 6,
        points_per_batch: int = 64,
        dtype: torch.dtype | None = None,
    ):
        from sam2.sam2_image_predictor import SAM2ImagePredictor

        if points_per_side < 1 or points_per_batch < 1:
            raise ValueError(
                f"Got points_per_side={points_per_side}, points_per_batch={points_per_batch}. Expected at least 1."
            )
        if filtering not in get_args(Filtering):
            raise ValueError(f"Got filtering={filtering!r}. Expected one of {', '.join(get_args(Filtering))}.")
        self.points_per_side = points_per_side
        self.filtering = filtering
        self.predicted_iou_threshold = predicted_iou_threshold
        self.stability_threshold = stability_threshold
        self.box_nms_threshold = box_nms_threshold
        self.min_entity_pixels = min_entity_pixels
        self.points_per_batch = points_per_batch
        self.dtype = dtype
        with without_warnings_of_torchscript():  # of its resizing of images
            self.predictor = SAM2ImagePredictor(model.eval())
        fit_feature_sizes(self.predictor)

    @classmethod
    def from_pretrained(
        cls,
        ref: str | Path,
        points_per_side: int = 8,
        filtering: Filtering = "amg",
        device: str | torch.device | None = None,
        dtype: torch.dtype | None = None,
    ) -> PointGridSegmenter:
        """Load what `MaskTracker.from_pretrained` loads; with a tracker at hand, pass its `predictor` instead."""
        tracker = MaskTracker.from_pretrained(ref, device, dtype)
        return cls(tracker.predictor, points_per_side, filtering, dtype=dtype)

    def segment(self, images: np.ndarray) -> np.ndarray:
        """Entity ids of each image.

        images: uint8 (B, H, W, 3), or (H, W, 3) for one. Returns uint16 (B, H, W), or (H, W): 0 = none, then 1, 2, ...
        from the highest score down, without gaps. ValueError for other inputs.
        """
        if images.ndim == 3:
            return self.segment(images[None])[0]
        check_images(images)
        return np.stack([paint(*self.masks(image), self.min_entity_pixels) for image in images])

    def masks(self, image: np.ndarray) -> PointMasks:
        """The masks of one image, uint8 (H, W, 3), that the filtering keeps, from the highest score down."""
        keep = self._best_of_each_point if self.filtering == "none" else self._certain_and_stable
        points = grid_points(self.points_per_side) * image.shape[1::-1]
        parts = [keep(logits, predicted_ious) for logits, predicted_ious in self.prompt(image, points)]
        masks, scores = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
        if self.filtering == "none":
            kept = np.argsort(-scores, kind="stable")
        else:
            kept = suppress_overlapping_boxes(masks, scores, self.box_nms_threshold)
        return PointMasks(masks[kept], scores[kept])

    def prompt(self, image: np.ndarray, points: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Prompt one image, uint8 (H, W, 3), with each of the points, (P, 2) of x, y in pixels, on its own.

        Yields, for a batch of p points at a time, mask logits float32 (p, 3, H, W) and predicted IoUs float32 (p, 3).
        """
        import torch

        with torch.inference_mode(), autocast(self.predictor.device, self.dtype):
            self.predictor.set_image(np.array(image))
            for start in range(0, len(points), self.points_per_batch):
                batch = points[start : start + self.points_per_batch, None]
                logits, predicted_ious, _ = self.predictor.predict(batch, np.ones(batch.shape[:2]), return_logits=True)
                for values in (logits, predicted_ious):
                    check_finite(values, "SAM 2's logits", self.dtype or values.dtype, DTYPE_KEY)
                # The package drops the axis of a batch of one.
                yield logits.reshape(len(batch), -1, *image.shape[:2]), predicted_ious.reshape(len(batch), -1)
            self.predictor.reset_predictor()

    def _best_of_each_point(self, logits: np.ndarray, predicted_ious: np.ndarray) -> PointMasks:
        best = predicted_ious.argmax(axis=1)
        points = np.arange(len(best))
        return PointMasks(logits[points, best] > 0, predicted_ious[points, best])

    def _certain_and_stable(self, logits: np.ndarray, predicted_ious: np.ndarray) -> PointMasks:
        """Stability is the IoU of the masks cut at a higher and at a lower logit."""
        logits, scores = logits[predicted_ious > self.predicted_iou_threshold], predicted_ious
        scores = scores[scores > self.predicted_iou_threshold]
        areas = [(logits > cut).sum(axis=(1, 2)) for cut in (STABILITY_OFFSET, -STABILITY_OFFSET)]
        stable = areas[0] / np.maximum(areas[1], 1) >= self.stability_threshold
        return PointMasks(logits[stable] > 0, scores[stable])


def fit_feature_sizes(predictor) -> None:
    """Tell an image predictor the model's sizes of feature maps.

    Seam: `SAM2ImagePredictor` (sam2 1.1.0) holds those of 1024 pixels as numbers, whatever the model.
    """
    sides = [predictor.model.image_size // stride for stride in (4, 8, 16)]
    predictor._bb_feat_sizes = [(side, side) for side in sides]


def suppress_overlapping_boxes(masks: np.ndarray, scores: np.ndarray, threshold: float) -> np.ndarray:
    """Indices of the masks (M, H, W) to keep, from the highest score down: no box overlaps a better one by more."""
    import torch
    from torchvision.ops import nms

    if len(masks) == 0:
        return np.empty(0, int)
    return nms(torch.from_numpy(_boxes(masks)), torch.from_numpy(scores), threshold).numpy()


def _boxes(masks: np.ndarray) -> np.ndarray:
    """First and last column and row of each mask, float32 (M, 4) as x0, y0, x1, y1; zeros for an empty mask."""
    spans = []
    for axis in (1, 2):
        filled = masks.any(axis=axis)
        spans += [filled.argmax(axis=1), filled.shape[1] - 1 - filled[:, ::-1].argmax(axis=1)]
    boxes = np.stack(spans, axis=1)[:, [0, 2, 1, 3]].astype(np.float32)
    return boxes * masks.any(axis=(1, 2))[:, None]


def paint(masks: np.ndarray, scores: np.ndarray, min_entity_pixels: int) -> np.ndarray:
    """Overlapping masks (M, H, W) -> entity ids uint16 (H, W), 1, 2, ... from the highest score down.

    A smaller mask lies over a larger one: SAM's masks are nested, and in the order of scores a whole would hide its
    parts. Of equal areas, the higher score is on top.
    """
    painted = np.zeros(masks.shape[1:], np.int64)
    for index in np.lexsort((scores, -masks.sum(axis=(1, 2)))):
        painted[masks[index]] = index + 1
    return renumber(painted, scores, min_entity_pixels)
