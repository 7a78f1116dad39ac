"""The mini CropFormer on frames of procedural scenes, from the mini segmenter's weights.

A frame is shown as in use: whole and as four corner crops. The segmenter's objective is asked of both decodings: of each
view on its own, and of all views together, where a query has to mean one entity in every view.
"""

from __future__ import annotations

import copy
import time
from dataclasses import dataclass

import torch
from einops import rearrange
from torch.nn import functional

from udpdiff.labelling.cropformer import STRIDE, CropFormer, view_boxes
from udpdiff.labelling.cropformer_model import CropFormerForEntitySegmentation, LayerLogits
from udpdiff.labelling.image_preparation import ImagePreparation
from udpdiff.labelling.segmenter import EntitySegmenter
from udpdiff.mini import segmenter
from udpdiff.mini.labeller import SIDE, draw_frames, first_frames, normalise
from udpdiff.mini.quality import entity_quality
from udpdiff.mini.segmenter import MIN_TRUE_PIXELS, PREPROCESSOR, SegmenterTrainer, Targets, entity_targets, layer_loss
from udpdiff.mini.training import Budget, Recipe

BATCH_SIZE = 4
NOTES = (
    "EntitySeg's CropFormer. It went on from the weights of a mini segmenter, a Mask2Former, whose steps and curve come "
    "first; from there on the loss is the sum of two decodings', hence the jump. EntitySegmenter loads this folder too, "
    "as the Mask2Former in it: the rows named plain."
)
PREPARATION = ImagePreparation.from_config(PREPROCESSOR, STRIDE)


def build_model() -> CropFormerForEntitySegmentation:
    """The mini segmenter's architecture with one layer of fusion, random weights."""
    plain = segmenter.build_model()
    config = plain.config
    config.fusion_layers, config.fusion_feedforward_dim = 1, config.dim_feedforward
    model = CropFormerForEntitySegmentation(config)
    model.load_state_dict(plain.state_dict(), strict=False)  # the fusion keeps its own start
    return model


def cut_views(pictures: torch.Tensor) -> torch.Tensor:
    """The views of pictures (B, C, H, W), resized as in use: (B, V, C, SIDE, SIDE)."""
    views = [
        functional.interpolate(pictures[..., top:bottom, left:right], (SIDE, SIDE), mode="bilinear")
        for left, top, right, bottom in view_boxes(*pictures.shape[-2:])
    ]
    return torch.stack(views, 1)


@dataclass(frozen=True)
class ViewTargets:
    """What the two decodings are asked for: `plain` of each view, as B V images; `together` of views below each other."""

    plain: Targets
    together: Targets


def view_targets(entity_ids: torch.Tensor) -> ViewTargets:
    """Targets at the resolution of the views from entity ids (B, H, W); masks are fractional where crops enlarge them."""
    whole = entity_targets(entity_ids)
    masks, edges = cut_views(whole.masks), cut_views(whole.edges[:, None])[:, :, 0]
    shown = masks.sum((-2, -1)) >= MIN_TRUE_PIXELS
    plain = Targets(masks.flatten(0, 1), edges.flatten(0, 1), shown.flatten(0, 1))
    stacked = rearrange(masks, "b v n h w -> b n (v h) w"), rearrange(edges, "b v h w -> b (v h) w")
    return ViewTargets(plain, Targets(*stacked, whole.wanted))


def decoding_loss(config, layers: list[LayerLogits], targets: Targets) -> torch.Tensor:
    """Mean loss of a decoding's layers, classes (B, Q, K + 1) and masks (B, Q, V, h, w): the last in full resolution."""
    half, losses = targets.halved(), []
    for number, layer in enumerate(layers):
        masks, at_last = layer.masks, number + 1 == len(layers)
        if at_last:  # view by view, so that none bleeds into the next
            size = tuple(2 * side for side in masks.shape[-2:])
            masks = functional.interpolate(masks.flatten(0, 1), size, mode="bilinear").unflatten(0, masks.shape[:2])
        stacked = rearrange(masks, "b q v h w -> b q (v h) w")
        losses.append(layer_loss(config, layer.classes, stacked, targets if at_last else half))
    return torch.stack(losses).mean()


class CropFormerTrainer(SegmenterTrainer):
    """The CropFormer on single frames, whole and as four crops."""

    name = "cropformer"
    notes = NOTES
    build = staticmethod(build_model)
    truth = "exact entity ids, whole and as four crops"
    train_scenes = 6000
    recipe = Recipe(8e-4)

    def loss(self, budget: Budget) -> torch.Tensor:
        """Of each view on its own, and of all views together."""
        images, entity_ids = draw_frames(self.scenes.video, self.scenes.entity_ids, BATCH_SIZE, self.generator)
        plain, together = self.model.decode_layers(normalise(cut_views(images), PREPARATION))
        targets, config = view_targets(entity_ids), self.model.config
        single = [LayerLogits(layer.classes.flatten(0, 1), layer.masks.flatten(0, 1)[:, :, None]) for layer in plain]
        return decoding_loss(config, single, targets.plain) + decoding_loss(config, together, targets.together)

    def measure(self, model, finished: bool) -> dict[str, float]:
        """Quality and cost of the CropFormer; plain_*: of its Mask2Former alone; iou_untrained_fusion: what the fusion
        adds."""
        images, truth = first_frames(self.held_out if finished else self.held_out[:16])
        started = time.process_time()
        quality = entity_quality(CropFormer(model, PREPARATION).segment(images), truth)
        seconds = (time.process_time() - started) / len(images)
        plain = entity_quality(EntitySegmenter(model, PREPARATION).segment(images), truth)
        quality |= {f"plain_{name}": plain[name] for name in ("iou", "iou_solids")}
        unfused = entity_quality(CropFormer(with_untrained_fusion(model), PREPARATION).segment(images), truth)
        return quality | {"iou_untrained_fusion": unfused["iou"], "core_seconds_per_frame": seconds}


def with_untrained_fusion(model) -> CropFormerForEntitySegmentation:
    """A copy whose fusion has random weights again."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        fresh = build_model().crop_fusion
    other = copy.deepcopy(model)
    other.crop_fusion.load_state_dict(fresh.state_dict())
    return other
