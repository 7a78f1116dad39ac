"""The mini entity segmenter, a Mask2Former, on frames of procedural scenes.

Mask2Former's objective (Hungarian matching, cross entropy, mask loss, dice), evaluated on all pixels, which is
cheaper than sampling points when images are small, with more weight where two entities meet.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from scipy.optimize import linear_sum_assignment
from torch.nn import functional

from udpdiff.labelling.image_preparation import ImagePreparation
from udpdiff.labelling.segmenter import EntitySegmenter
from udpdiff.mini.labeller import SIDE, LabellerTrainer, draw_frames, first_frames, normalise, preprocessor
from udpdiff.mini.quality import entity_quality
from udpdiff.mini.training import Budget, Recipe

STRIDES = (2, 4, 8, 16)
BATCH_SIZE = 12
MIN_TRUE_PIXELS = 6  # smaller visible parts are not asked for
EDGE_WEIGHT = 4.0
POSITIONS = "swin.embeddings.position_embeddings"
# The positions that the backbone learned are for one size alone.
PREPROCESSOR = preprocessor("Mask2FormerImageProcessor", size_divisor=STRIDES[-1], num_labels=1, ignore_index=255)
PREPARATION = ImagePreparation.from_config(PREPROCESSOR, STRIDES[-1])


def build_model():
    """The published architecture at mini size, random weights: masks at stride 2, queries look at strides 4, 8, 16."""
    from transformers import Mask2FormerConfig, Mask2FormerForUniversalSegmentation, SwinConfig

    backbone = SwinConfig(
        image_size=SIDE,
        patch_size=STRIDES[0],
        embed_dim=24,
        depths=[1, 1, 2, 1],
        num_heads=[1, 2, 4, 8],
        window_size=8,
        use_absolute_embeddings=True,  # in so short a training, nothing else tells two equal solids apart
        mlp_ratio=3,
        drop_path_rate=0.0,
        out_features=[f"stage{index + 1}" for index in range(4)],
    )
    config = Mask2FormerConfig(
        backbone_config=backbone,
        feature_size=32,
        mask_feature_size=32,
        hidden_dim=64,
        num_attention_heads=4,
        encoder_layers=1,
        encoder_feedforward_dim=96,
        decoder_layers=4,
        dim_feedforward=160,
        num_queries=16,
        common_stride=STRIDES[0],
        feature_strides=list(STRIDES),
        no_object_weight=0.3,
        num_labels=1,
        id2label={0: "entity"},
        output_auxiliary_logits=True,
    )
    model = Mask2FormerForUniversalSegmentation(config)
    positions = model.model.pixel_level_module.encoder.get_parameter(POSITIONS)
    positions.data.copy_(_waves(SIDE // STRIDES[0], positions.shape[-1]))
    return model


def _waves(side: int, channels: int) -> torch.Tensor:
    """A start for position embeddings (1, side * side, channels): low sine and cosine waves along both axes."""
    phases = (torch.arange(side) + 0.5) / side * torch.pi
    turns = torch.arange(1, channels // 4 + 1)
    waves = torch.cat([torch.cos(phases[:, None] * turns), torch.sin(phases[:, None] * turns)], -1)
    rows, columns = waves[:, None].expand(-1, side, -1), waves[None].expand(side, -1, -1)
    return 0.4 * torch.cat([rows, columns], -1).flatten(0, 1)[None]


@dataclass(frozen=True)
class Targets:
    """True masks at one resolution: masks float (B, N, h, w) in [0, 1], edges float (B, h, w), wanted bool (B, N)."""

    masks: torch.Tensor
    edges: torch.Tensor
    wanted: torch.Tensor

    def halved(self) -> Targets:
        """The same at half resolution, with fractional masks along the edges."""
        return Targets(functional.avg_pool2d(self.masks, 2), functional.max_pool2d(self.edges, 2), self.wanted)


def entity_targets(entity_ids: torch.Tensor) -> Targets:
    """Targets at full resolution from entity ids (B, H, W)."""
    masks = entity_ids[:, None] == torch.arange(1, int(entity_ids.max()) + 1)[:, None, None]
    largest = functional.max_pool2d(entity_ids.float(), 3, 1, 1)
    smallest = -functional.max_pool2d(-entity_ids.float(), 3, 1, 1)
    return Targets(masks.float(), (largest != smallest).float(), masks.sum((2, 3)) >= MIN_TRUE_PIXELS)


def layer_loss(config, class_logits, mask_logits, half: Targets, full: Targets | None = None) -> torch.Tensor:
    """The loss of one decoder layer: class_logits (B, Q, 2), mask_logits (B, Q, h, w).

    Queries are matched to entities at half resolution; the masks are compared there, or at full resolution if given.
    """
    image, query, entity = _match(config, class_logits.detach(), mask_logits.detach(), half)
    target_class = torch.ones(class_logits.shape[:2], dtype=torch.long)
    target_class[image, query] = 0
    weight = torch.tensor([1.0, config.no_object_weight])
    class_loss = functional.cross_entropy(class_logits.flatten(0, 1), target_class.flatten(), weight)
    targets = full or half
    chosen, true = mask_logits[image, query], targets.masks[image, entity]
    if chosen.shape != true.shape:
        chosen = functional.interpolate(chosen[:, None], true.shape[-2:], mode="bilinear", align_corners=False)[:, 0]
    mask_loss = functional.binary_cross_entropy_with_logits(chosen, true, 1 + EDGE_WEIGHT * targets.edges[image])
    probability = chosen.sigmoid()
    overlap, total = (probability * true).sum((1, 2)), (probability + true).sum((1, 2))
    dice_loss = (1 - (2 * overlap + 1) / (total + 1)).mean()
    return config.class_weight * class_loss + config.mask_weight * mask_loss + config.dice_weight * dice_loss


@torch.no_grad()
def _match(config, class_logits, mask_logits, targets: Targets):
    """Hungarian matching of each image's wanted entities to queries: index arrays (image, query, entity)."""
    logits, masks = mask_logits.flatten(2), targets.masks.flatten(2)
    crossed = torch.einsum("bqp,bnp->bqn", logits, masks)
    mask_cost = functional.softplus(logits).mean(-1)[..., None] - crossed / logits.shape[-1]
    probability = logits.sigmoid()
    overlap = torch.einsum("bqp,bnp->bqn", probability, masks)
    dice_cost = 1 - (2 * overlap + 1) / (probability.sum(-1)[..., None] + masks.sum(-1)[:, None] + 1)
    class_cost = -class_logits.softmax(-1)[..., :1]
    cost = config.class_weight * class_cost + config.mask_weight * mask_cost + config.dice_weight * dice_cost
    triples = []
    for image in range(len(cost)):
        entities = targets.wanted[image].nonzero()[:, 0]
        query, column = linear_sum_assignment(cost[image][:, entities].numpy())
        triples.append(torch.stack([torch.full((len(query),), image), torch.tensor(query), entities[column]]))
    return torch.cat(triples, 1)


def layers_loss(output, config, entity_ids: torch.Tensor) -> torch.Tensor:
    """Mean loss of the decoder's layers of a Mask2Former's output, against entity ids (B, H, W)."""
    full = entity_targets(entity_ids)
    half = full.halved()
    losses = [layer_loss(config, output.class_queries_logits, output.masks_queries_logits, half, full)]
    for layer in output.auxiliary_logits:
        losses.append(layer_loss(config, layer["class_queries_logits"], layer["masks_queries_logits"], half))
    return torch.stack(losses).mean()


class SegmenterTrainer(LabellerTrainer):
    """The segmenter on single frames."""

    name = "segmenter"
    build = staticmethod(build_model)
    processor = PREPROCESSOR
    truth = "exact entity ids"
    recipe = Recipe(1.2e-3)

    def loss(self, budget: Budget) -> torch.Tensor:
        images, entity_ids = draw_frames(self.scenes.video, self.scenes.entity_ids, BATCH_SIZE, self.generator)
        return layers_loss(self.model(pixel_values=normalise(images, PREPARATION)), self.model.config, entity_ids)

    def measure(self, model, finished: bool) -> dict[str, float]:
        images, truth = first_frames(self.held_out if finished else self.held_out[:64])
        return entity_quality(EntitySegmenter(model, PREPARATION).segment(images), truth)
