"""Train the mini entity segmenter on procedural scenes: `python -m udpdiff.checkpoints.train_segmenter --out DIR`.

Mask2Former's objective (Hungarian matching, cross entropy, mask loss, dice), evaluated on all pixels, which is
cheaper than sampling points when images are small, with more weight where two entities meet.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch.nn import functional

from udpdiff.checkpoints.augmentation import distort_images
from udpdiff.checkpoints.labeller_training import HELD_OUT_SEED, parse_arguments, save_half, start_from, train
from udpdiff.checkpoints.scene_maps import SceneMaps, open_scene_maps
from udpdiff.labelling.image_preparation import ImagePreparation
from udpdiff.labelling.segmenter import EntitySegmenter
from udpdiff.sources.ray_casting import FIRST_SOLID_ID
from udpdiff.sources.scenes import SceneSettings

SIDE = 64
STRIDES = (2, 4, 8, 16)
BATCH_SIZE = 12
TRAIN_SCENES, HELD_OUT_SCENES = 10_000, 256
DATA = f"single frames of {TRAIN_SCENES} procedural scenes, with their exact entity ids"
MIN_TRUE_PIXELS = 6  # smaller visible parts are not asked for
MIN_MEASURED_PIXELS = 12
EDGE_WEIGHT = 4.0
PEAK_LEARNING_RATE = 1.2e-3
POSITIONS = "swin.embeddings.position_embeddings"
PREPROCESSOR = {
    "image_processor_type": "Mask2FormerImageProcessor",
    "do_resize": True,
    "size": {"height": SIDE, "width": SIDE},  # the positions that the backbone learned are for this size
    "size_divisor": STRIDES[-1],
    "resample": 3,
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": True,
    "image_mean": [0.485, 0.456, 0.406],
    "image_std": [0.229, 0.224, 0.225],
    "num_labels": 1,
    "ignore_index": 255,
}


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


def draw_frames(maps: SceneMaps, count: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Random frames, distorted, half of them mirrored: float32 (B, 3, H, W) in [0, 255], entity ids (B, H, W)."""
    index = torch.randint(len(maps), (count,), generator=generator).numpy()
    frame = torch.randint(maps.video.shape[1], (count,), generator=generator).numpy()
    images = distort_images(torch.from_numpy(maps.video[index, frame]), generator)
    entity_ids = torch.from_numpy(maps.entity_ids[index, frame])
    mirrored = torch.rand(count, generator=generator) < 0.5
    images[mirrored], entity_ids[mirrored] = images[mirrored].flip(-1), entity_ids[mirrored].flip(-1)
    return images, entity_ids


def draw_loss(model, maps: SceneMaps, preparation: ImagePreparation, generator: torch.Generator) -> torch.Tensor:
    """The loss on one random batch of frames, summed over the decoder's layers."""
    images, entity_ids = draw_frames(maps, BATCH_SIZE, generator)
    mean, std = (torch.tensor(numbers)[:, None, None] for numbers in (preparation.mean, preparation.std))
    output = model(pixel_values=(images / 255 - mean) / std)
    full = entity_targets(entity_ids)
    half = full.halved()
    loss = layer_loss(model.config, output.class_queries_logits, output.masks_queries_logits, half, full)
    for layer in output.auxiliary_logits:
        loss = loss + layer_loss(model.config, layer["class_queries_logits"], layer["masks_queries_logits"], half)
    return loss / (1 + len(output.auxiliary_logits))


def measure(model, images: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """How well a model segments images uint8 (B, H, W, 3) with truth (B, H, W): see `entity_quality`."""
    segmenter = EntitySegmenter(model, ImagePreparation.from_config(PREPROCESSOR, STRIDES[-1]))
    return entity_quality(segmenter.segment(images), truth)


def entity_quality(predictions: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """Mean IoU per entity after Hungarian matching (a missed entity counts 0), over all entities and over solids.

    Both are entity ids (B, H, W). `surplus` is the number of unmatched predicted entities per image.
    """
    everything, solids, surplus = [], [], 0
    for predicted, true in zip(predictions, truth, strict=True):
        names = [name for name in np.unique(true) if (true == name).sum() >= MIN_MEASURED_PIXELS]
        guesses = [name for name in np.unique(predicted) if name]
        table = np.zeros((len(names), max(1, len(guesses))))
        for row, name in enumerate(names):
            for column, guess in enumerate(guesses):
                both, either = (true == name) & (predicted == guess), (true == name) | (predicted == guess)
                table[row, column] = both.sum() / either.sum()
        scores = dict.fromkeys(names, 0.0)
        for row, column in zip(*linear_sum_assignment(-table), strict=True):
            scores[names[row]] = table[row, column]
        everything += scores.values()
        solids += [score for name, score in scores.items() if name >= FIRST_SOLID_ID]
        surplus += max(0, len(guesses) - len(names))
    numbers = {
        "iou": np.mean(everything),
        "iou_solids": np.mean(solids),
        "solids_above_half": np.mean(np.array(solids) > 0.5),
        "surplus": surplus / len(truth),
    }
    return {name: round(float(value), 4) for name, value in numbers.items()}


def main() -> None:
    args = parse_arguments(__doc__)
    torch.manual_seed(args.seed)
    maps = open_scene_maps(SceneSettings(SIDE, SIDE, 2, 1.0), 0, TRAIN_SCENES, args.cache)
    held_out = open_scene_maps(SceneSettings(SIDE, SIDE, 9, 8.0), HELD_OUT_SEED, HELD_OUT_SCENES, args.cache)
    preparation = ImagePreparation.from_config(PREPROCESSOR, STRIDES[-1])

    def save(model, budget, log):
        count = HELD_OUT_SCENES if budget.progress == 1 else 64
        quality = measure(model, held_out.video[:count, 0], held_out.entity_ids[:count, 0])
        log.add(step=budget.step, seconds=budget.elapsed_seconds, **quality)
        print(log.rows[-1], flush=True)
        save_half(model, args, PREPROCESSOR, DATA, quality, log)

    train(
        start_from(build_model(), args.start_from),
        lambda model, generator: draw_loss(model, maps, preparation, generator),
        save,
        args,
        PEAK_LEARNING_RATE,
    )


if __name__ == "__main__":
    main()
