"""First-frame entity segmentation with EntitySeg CropFormer: the full image and its four corners, decoded together.

    >>> from udpdiff import CropFormer, read_video
    >>> video = read_video("clip.mp4")
    >>> entity_ids = CropFormer.from_pretrained("mini:cropformer").segment(video[0])

Real weights: a folder that `cropformer_checkpoint` wrote from the official file. Knows nothing of time (see `propagation`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from udpdiff.checkpoints import local_folder
from udpdiff.default_device import default_device
from udpdiff.finite import check_finite
from udpdiff.labelling.image_preparation import ImagePreparation, check_images

if TYPE_CHECKING:
    import torch

ARCHITECTURE = "CropFormerForEntitySegmentation"
CROP_SHARE, STRIDE = 0.7, 32
QUERIES_AT_ONCE = 16
# sigmoid(1): no mask's mean certainty is above it, as certainties are sigmoids of averaged probabilities.
LARGEST_CERTAINTY = 0.7310586

Box = tuple[int, int, int, int]  # left, top, right, bottom


class CropFormer:
    """Segments images into entities that do not overlap.

    Args:
        model: A `CropFormerForEntitySegmentation`.
        preparation: From images to its pixel values.
        score_threshold: A query counts where its class probability x the mean certainty inside its mask reaches it.

    Source: EntitySeg (arXiv 2211.05776), section 4; qqlu/Entity, Entityv2/CropFormer (order of views, score, painting).
    """

    def __init__(self, model, preparation: ImagePreparation, score_threshold: float = 0.5) -> None:
        if not 0 <= score_threshold < 1:
            raise ValueError(f"Got score_threshold={score_threshold}. Expected a number in [0, 1).")
        self.model, self.preparation, self.score_threshold = model.eval(), preparation, score_threshold

    @classmethod
    def from_pretrained(
        cls, ref: str, device: str | torch.device | None = None, score_threshold: float = 0.5
    ) -> CropFormer:
        """Load a checkpoint in float32.

        Args:
            ref: Folder, hub id or `mini:` name.
            device: None for CUDA where there is one.
            score_threshold: See the class.

        Raises:
            ValueError: A checkpoint of another class.
        """
        import torch

        from udpdiff.labelling.cropformer_model import CropFormerForEntitySegmentation

        folder = local_folder(str(ref))
        if not is_cropformer(folder):
            raise ValueError(
                f"Got segmentation checkpoint {ref!r}, which is no CropFormer. Expected a folder written by"
                " `python -m udpdiff.labelling.cropformer_checkpoint`."
            )
        device = device or default_device()
        model = CropFormerForEntitySegmentation.from_pretrained(
            folder, dtype=torch.float32, trust_remote_code=False
        ).to(device)
        return cls(model, ImagePreparation.from_pretrained(folder, multiple=STRIDE), score_threshold)

    def segment(self, images: np.ndarray) -> np.ndarray:
        """Return the entities of each image.

        Args:
            images: uint8 (B, H, W, 3), or (H, W, 3) for one.

        Returns:
            uint16 (B, H, W), or (H, W): 0 = none, then 1, 2, ... by falling class probability.

        Raises:
            ValueError: Other inputs, or logits that are not finite.
        """
        if images.ndim == 3:
            return self.segment(images[None])[0]
        check_images(images)
        return np.stack([self._segment_one(image) for image in images])

    def _segment_one(self, image: np.ndarray) -> np.ndarray:
        import torch

        boxes = view_boxes(*image.shape[:2])
        views = [self.resize_view(image, box) for box in boxes]
        with torch.inference_mode():
            output = self.model.decode_views(self.pixel_values(views))
            for logits in (output.class_logits, output.mask_logits):
                check_finite(logits, "CropFormer's logits", logits.dtype)
            probabilities = output.class_logits.softmax(-1)[:, :-1].amax(-1)
            # Queries below this cannot reach the threshold, nor take a pixel from one that does.
            hopeful = probabilities > max(self.score_threshold / LARGEST_CERTAINTY, 1e-6)
            sizes = [view.shape[:2] for view in views]
            fused = self.fuse_masks(output.mask_logits[hopeful], boxes, sizes)
            return paint(fused, probabilities[hopeful], self.score_threshold)[0]

    def resize_view(self, image: np.ndarray, box: Box) -> np.ndarray:
        """Cut a box out of an image and resize it to the checkpoint's size, uint8 (h, w, 3), as Pillow does."""
        from PIL import Image

        left, top, right, bottom = box
        rule = self.preparation
        height, width = rule.squash or view_size(bottom - top, right - left, rule.short_side, rule.long_side)
        view = Image.fromarray(image[top:bottom, left:right])
        return np.asarray(view.resize((width, height), Image.Resampling.BILINEAR))

    def pixel_values(self, views: list[np.ndarray]) -> torch.Tensor:
        """Normalise and pad the views at the right and the bottom to one size, float32 (V, 3, H, W)."""
        import torch

        sides = (max(view.shape[axis] for view in views) for axis in (0, 1))
        height, width = (-(-side // STRIDE) * STRIDE for side in sides)
        mean, std = (torch.tensor(values)[:, None, None] for values in (self.preparation.mean, self.preparation.std))
        padded = torch.zeros(len(views), 3, height, width)
        for target, view in zip(padded, views, strict=True):
            values = torch.from_numpy(view.copy()).permute(2, 0, 1) / 255
            target[:, : view.shape[0], : view.shape[1]] = (values - mean) / std
        return padded.to(self.model.device)

    def fuse_masks(self, mask_logits: torch.Tensor, boxes: list[Box], sizes: list[tuple[int, int]]) -> torch.Tensor:
        """Average, over the views that show a pixel, of each query's probability there.

        mask_logits: (Q, V, h, w), smaller than the padded views by the model's `common_stride`. sizes: of the views
        before padding. Returns float32 (Q, H, W) at the size of the image, on the CPU; a few queries at a time are on
        the device.
        """
        import torch

        width, height = boxes[0][2:]
        stride = self.model.config.common_stride
        fused = torch.empty(len(mask_logits), height, width)
        for first in range(0, len(mask_logits), QUERIES_AT_ONCE):
            part = mask_logits[first : first + QUERIES_AT_ONCE]
            total, count = part.new_zeros(len(part), height, width), part.new_zeros(height, width)
            for view, (left, top, right, bottom) in enumerate(boxes):
                box_size = (bottom - top, right - left)
                total[:, top:bottom, left:right] += _place(part[:, view], stride, sizes[view], box_size)
                count[top:bottom, left:right] += 1
            fused[first : first + QUERIES_AT_ONCE] = total / count
        return fused


def is_cropformer(ref: str) -> bool:
    """Whether a folder, hub id or `mini:` name holds a CropFormer."""
    from transformers import AutoConfig

    folder = local_folder(str(ref))
    return ARCHITECTURE in (AutoConfig.from_pretrained(folder, trust_remote_code=False).architectures or [])


def view_boxes(height: int, width: int) -> list[Box]:
    """The full image and its corners: left top, right top, left bottom, right bottom."""
    crop_height, crop_width = int(CROP_SHARE * height), int(CROP_SHARE * width)
    corners = [(left, top) for top in (0, height - crop_height) for left in (0, width - crop_width)]
    crops = [(left, top, left + crop_width, top + crop_height) for left, top in corners]
    return [(0, 0, width, height), *crops]


def view_size(height: int, width: int, short_side: int | None, long_side: int | None) -> tuple[int, int]:
    """The size a view is resized to: its short side as asked, unless its long one would pass the limit.

    Source: detectron2, ResizeShortestEdge.
    """
    scale = short_side / min(height, width) if short_side else 1.0
    if long_side:
        scale = min(scale, long_side / max(height, width))
    return int(height * scale + 0.5), int(width * scale + 0.5)


def paint(
    fused: torch.Tensor, probabilities: torch.Tensor, threshold: float
) -> tuple[np.ndarray, list[int], list[float]]:
    """Entities without overlaps: a pixel belongs to the likeliest query whose fused value is above a half there.

    fused: (Q, H, W) in [0, 1]. probabilities: (Q,). Returns ids uint16 (H, W), 0 = none, else k for the k-th query
    whose score reaches the threshold, by falling class probability; these queries; their scores.

    The score's mask factor is the mean of sigmoid(fused) over what is left of the mask. That is a sigmoid of a
    probability, as upstream computes it, and upstream's thresholds count on it.
    """
    order = probabilities.argsort(descending=True).tolist()
    entity_ids = np.zeros(fused.shape[1:], np.uint16)
    free = np.ones(fused.shape[1:], bool)
    queries, scores = [], []
    for query in order:
        value = fused[query]
        mask = (value > 0.5).numpy() & free
        free &= ~mask
        certainty = float(value.sigmoid().numpy()[mask].sum(dtype=np.float64)) / (mask.sum() + 1e-6)
        score = float(probabilities[query]) * certainty
        if score >= threshold and mask.any():
            queries.append(query)
            scores.append(score)
            entity_ids[mask] = len(queries)
    return entity_ids, queries, scores


def _place(logits: torch.Tensor, stride: int, size: tuple[int, int], box_size: tuple[int, int]) -> torch.Tensor:
    """A view's logits (Q, h, w) as probabilities on its box: padding is cut off on the way."""
    from torch.nn import functional

    padded = [stride * side for side in logits.shape[1:]]
    logits = functional.interpolate(logits[:, None], padded, mode="bilinear", align_corners=False)
    logits = logits[..., : size[0], : size[1]]
    return functional.interpolate(logits, box_size, mode="bilinear", align_corners=False)[:, 0].sigmoid()
