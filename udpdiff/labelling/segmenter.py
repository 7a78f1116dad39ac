"""First-frame entity segmentation with any Mask2Former checkpoint, read as class-agnostic.

    >>> from udpdiff import EntitySegmenter, read_video
    >>> video = read_video("clip.mp4")
    >>> entity_ids = EntitySegmenter.from_pretrained("mini:cropformer").segment(video[0])

Queries become non-overlapping entities: every surface counts, names of classes do not. Knows nothing of time (see
`propagation`) nor of the crops that CropFormer adds.
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


class EntitySegmenter:
    """Segments images into entities.

    Args:
        model: A Mask2Former for universal segmentation.
        preparation: From images to its pixel values.
        score_threshold: A query counts where (1 - p(no object)) x (mean mask probability inside its mask) reaches it.
        min_entity_pixels: Smaller entities are dropped, at the size of the image.

    Source: Mask2Former (arXiv 2112.01527), instance inference; EntitySeg (arXiv 2211.05776) for the painting order.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        preparation: ImagePreparation,
        score_threshold: float = 0.5,
        min_entity_pixels: int = 6,
    ):
        if not 0 <= score_threshold < 1:
            raise ValueError(f"Got score_threshold={score_threshold}. Expected a number in [0, 1).")
        self.model = model.eval()
        self.preparation = preparation
        self.score_threshold = score_threshold
        self.min_entity_pixels = min_entity_pixels

    @classmethod
    def from_pretrained(
        cls,
        ref: str,
        device: str | torch.device | None = None,
        score_threshold: float = 0.5,
        min_entity_pixels: int = 6,
    ) -> EntitySegmenter:
        """Load a checkpoint with any number of classes, in float32.

        Args:
            ref: Folder, hub id or `mini:` name.
            device: None for CUDA where there is one.
            score_threshold: See the class.
            min_entity_pixels: See the class.

        Raises:
            ValueError: A checkpoint of another class.
        """
        import torch
        from transformers import AutoConfig, Mask2FormerForUniversalSegmentation

        folder = local_folder(str(ref))
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
        if config.model_type != "mask2former":
            raise ValueError(
                f"Got segmentation checkpoint {ref!r} of type {config.model_type!r}. Expected 'mask2former', "
                "e.g. a folder written by Mask2FormerForUniversalSegmentation.save_pretrained."
            )
        device = device or default_device()
        model = Mask2FormerForUniversalSegmentation.from_pretrained(
            folder, dtype=torch.float32, trust_remote_code=False
        ).to(device)
        preparation = ImagePreparation.from_pretrained(folder, multiple=max(config.feature_strides))
        return cls(model, preparation, score_threshold, min_entity_pixels)

    def segment(self, images: np.ndarray, batch_size: int = 8) -> np.ndarray:
        """Return the entities of each image.

        Args:
            images: uint8 (B, H, W, 3), or (H, W, 3) for one.
            batch_size: Images that the network sees at once.

        Returns:
            uint16 (B, H, W), or (H, W): 0 = none, then 1, 2, ... from the highest score down, without gaps.

        Raises:
            ValueError: Other inputs, or logits that are not finite.
        """
        import torch

        if images.ndim == 3:
            return self.segment(images[None], batch_size)[0]
        check_images(images)
        if batch_size < 1:
            raise ValueError(f"Got batch_size={batch_size}. Expected at least 1.")
        device = next(self.model.parameters()).device
        parts = []
        for start in range(0, len(images), batch_size):
            pixel_values = self.preparation.pixel_values(images[start : start + batch_size], device)
            with torch.inference_mode():
                output = self.model(pixel_values=pixel_values)
                for logits in (output.class_queries_logits, output.masks_queries_logits):
                    check_finite(logits, "the segmenter's logits", logits.dtype)
                for logits, masks in zip(output.class_queries_logits, output.masks_queries_logits, strict=True):
                    parts.append(self._paint(logits, masks, images.shape[1:3]))
        return np.stack(parts)

    def _paint(self, class_logits: torch.Tensor, mask_logits: torch.Tensor, size: tuple[int, int]) -> np.ndarray:
        """Class logits (Q, K + 1) and mask logits (Q, h, w) of one image -> entity ids uint16 of the given size."""
        import torch
        from torch.nn import functional

        objectness = 1 - class_logits.softmax(-1)[:, -1]
        # Scores are products with a factor below 1: what is out here stays out, and need not be enlarged.
        hopeful = objectness >= max(self.score_threshold, 1e-6)
        objectness, mask_logits = objectness[hopeful], mask_logits[hopeful]
        if len(objectness) == 0:
            return np.zeros(size, np.uint16)
        mask_logits = functional.interpolate(mask_logits[None], size, mode="bilinear", align_corners=False)[0]
        inside = mask_logits > 0
        certainty = (mask_logits.sigmoid() * inside).sum((1, 2)) / inside.sum((1, 2)).clamp(min=1)
        scores = objectness * certainty
        entity_ids = torch.zeros(size, dtype=torch.int64, device=scores.device)
        for query in scores.argsort().tolist():
            if scores[query] >= self.score_threshold:
                entity_ids[inside[query]] = query + 1
        return renumber(entity_ids.cpu().numpy(), scores.cpu().numpy(), self.min_entity_pixels)


def renumber(painted: np.ndarray, scores: np.ndarray, min_entity_pixels: int) -> np.ndarray:
    """Query numbers + 1 -> 1, 2, ... from the highest score down; what is left smaller than the minimum becomes 0."""
    areas = np.bincount(painted.ravel(), minlength=len(scores) + 1)[1:]
    order = [query for query in np.argsort(-scores, kind="stable") if areas[query] >= max(1, min_entity_pixels)]
    table = np.zeros(len(scores) + 1, np.uint16)
    table[np.array(order, int) + 1] = np.arange(1, len(order) + 1)
    return table[painted]
