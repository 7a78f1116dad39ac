"""The mini SAM 2, from nothing, on procedural scenes.

A step tracks all entities of one clip from a slightly wrong first frame; the loss compares their competing masks,
one label per pixel, with the truth. In the second stage most steps take the first frames of some clips instead, where a
point in each entity asks for its mask, and half of the scenes are the default run's.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from udpdiff.labelling.propagation import MaskTracker
from udpdiff.mini.quality import entity_quality
from udpdiff.mini.sam2_model import CONFIG, IMAGE_SIZE, MASK_DECODER_MLP_DIM, build_model, model_overrides
from udpdiff.mini.sam2_points import first_frames_loss, point_quality
from udpdiff.mini.sam2_samples import ScenePool, disturb_prompt, normalise
from udpdiff.mini.scenes import DEFAULT_SCENES, VARIED_SCENES, scene_blocks
from udpdiff.mini.training import Budget, Options, Recipe, Trainer

POINT_SHARE, POINT_CLIPS = 0.7, 6  # of the steps of the second stage; clips whose first frames make such a step
DATA = "procedural scenes, 64 x 64, 9 frames, 8 fps: true entities of the first frame, disturbed, tracked to the last"
NOTES = (
    f"{POINT_SHARE:.0%} of the steps of the last stage prompted first frames with a random point in each entity (best of "
    "three masks, predicted IoUs of all); all others tracked. It has no object scores and no object pointers."
)
# (until this share of the budget, lengths drawn from)
FRAME_CURRICULUM = ((0.6, (2, 3, 3, 4)), (0.88, (3, 4, 5, 6)), (1.0, (5, 7, 9)))


def track(model, images: torch.Tensor, masks0: torch.Tensor) -> torch.Tensor:
    """Differentiable tracking of one clip: images (L, 3, S, S), masks0 float (N, H, W) -> logits (N, L-1, H, W).

    Mirrors the predictor: the prompt becomes the output of frame 0, and memories are made of the masks at low
    resolution, scaled up, without overlap.
    """
    backbone_out = model.forward_image(images)
    prompts = F.interpolate(masks0[:, None], (IMAGE_SIZE, IMAGE_SIZE), mode="nearest")
    outputs = {"cond_frame_outputs": {}, "non_cond_frame_outputs": {}}
    for frame_idx in range(len(images)):
        frame = {
            name: [level[frame_idx, None].expand(len(masks0), -1, -1, -1) for level in backbone_out[name]]
            for name in ("backbone_fpn", "vision_pos_enc")
        }
        _, features, positions, sizes = model._prepare_backbone_features(frame)
        current = model.track_step(
            frame_idx=frame_idx,
            is_init_cond_frame=frame_idx == 0,
            current_vision_feats=features,
            current_vision_pos_embeds=positions,
            feat_sizes=sizes,
            point_inputs=None,
            mask_inputs=prompts if frame_idx == 0 else None,
            output_dict=outputs,
            num_frames=len(images),
            run_mem_encoder=False,
        )
        if frame_idx + 1 < len(images):
            high = F.interpolate(current["pred_masks"], (IMAGE_SIZE, IMAGE_SIZE), mode="bilinear")
            high = torch.where(high >= high.amax(0), high, high.clamp(max=-10.0))
            scores = torch.full((len(masks0), 1), 10.0)
            memory, memory_positions = model._encode_new_memory(features, sizes, high, scores, False)
            current["maskmem_features"], current["maskmem_pos_enc"] = memory, memory_positions
        outputs["non_cond_frame_outputs" if frame_idx else "cond_frame_outputs"][frame_idx] = current
    return torch.cat([out["pred_masks"] for out in outputs["non_cond_frame_outputs"].values()], dim=1)


def tracking_loss(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Cross-entropy and soft tube IoU of logits (N, L, H, W) against labels (L, H, W) in 0 .. N, 0 = none.

    Label 0 competes with logit 0, as it does in the argmax of the clean-up.
    """
    scores = torch.cat([torch.zeros_like(logits[:1]), logits]).float()
    log_shares = scores.log_softmax(0)
    cross_entropy = F.nll_loss(log_shares[None], labels[None])
    shares = log_shares[1:].exp().flatten(1)
    truth = F.one_hot(labels, len(scores))[..., 1:].flatten(0, -2).T.float()
    intersection, total = (shares * truth).sum(1), (shares + truth).sum(1)
    soft_iou = (intersection + 1) / (total - intersection + 1)
    return 2 * cross_entropy + (1 - soft_iou).mean()


def clip_loss(model, video: np.ndarray, ids: np.ndarray, rng: np.random.Generator) -> torch.Tensor:
    """Loss of tracking every entity of a disturbed first frame through one clip."""
    prompt = disturb_prompt(ids[0], rng)
    present = np.unique(prompt[prompt > 0])
    masks0 = torch.from_numpy(prompt[None] == present[:, None, None]).float()
    lookup = np.zeros(256, np.int64)
    lookup[present] = np.arange(1, len(present) + 1)
    logits = track(model, normalise(video), masks0)
    return tracking_loss(logits, torch.from_numpy(lookup[ids[1:]]))


def late_line(progress: float) -> float:
    """Share of the peak learning rate: constant, and over the last 40 % of the budget a straight line to 2 %."""
    return min(1.0, 0.02 + 0.98 * (1 - progress) / 0.4)


def draw_num_frames(progress: float, rng: np.random.Generator) -> int:
    """Length of a training clip: mostly short, for many updates; whole clips at the end, against drift."""
    lengths = next(lengths for until, lengths in FRAME_CURRICULUM if progress <= until)
    return int(rng.choice(lengths))


class Sam2Trainer(Trainer):
    """Tracking, from nothing; tracking and points, from the folder that start_from names."""

    name = "sam2"
    train_scenes, held_out_scenes = 4000, 128
    recipe = Recipe(1e-3, warmup_steps=40, schedule=late_line, average_decay=0.99)

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        self.model = build_model(options.seed).train()
        self.rng = np.random.default_rng([options.seed, 1])
        kinds, self.data = (VARIED_SCENES,), DATA
        if self.second:
            tracker = MaskTracker.from_pretrained(options.start_from, device="cpu")
            self.model.load_state_dict(tracker.predictor.state_dict())
            kinds, self.notes = (VARIED_SCENES, DEFAULT_SCENES), NOTES
            self.data += f"; in the last stage half of the scenes are {DEFAULT_SCENES}"
        count = self.train_scenes // len(kinds)
        self.pool = ScenePool([scene_blocks(kind, 0, count, options.cache) for kind in kinds])
        self.held_out = self.load_held_out(VARIED_SCENES)

    def loss(self, budget: Budget) -> torch.Tensor:
        """Of tracking, or of points."""
        rng = self.rng
        with torch.autocast("cpu", torch.bfloat16):
            if self.second and rng.random() < POINT_SHARE:
                clips = [self.pool.sample(budget.step, 2, rng) for _ in range(POINT_CLIPS)]
                return first_frames_loss(self.model, [(video[0], ids[0]) for video, ids in clips], rng)
            clip = self.pool.sample(budget.step, draw_num_frames(budget.progress, rng), rng)
            return clip_loss(self.model, *clip, rng)

    def measure(self, model, finished: bool) -> dict[str, float]:
        """What points find in first frames, and IoU of tubes given the true first frame, over the frames after it.

        tube_iou: of all entities, of solids alone, and of all if they stood still.
        """
        scenes = self.held_out if finished else self.held_out.head(8)
        tracker, started, truth = MaskTracker(model), time.process_time(), scenes.entity_ids[:, 1:]
        first = scenes.entity_ids[:, 0].astype(np.int32)
        tracked = [tracker.track_ids(*clip)[1:] for clip in zip(scenes.video, first, strict=True)]
        seconds = (time.process_time() - started) / len(scenes)
        quality = entity_quality(np.stack(tracked), truth)
        still = entity_quality(np.repeat(first[:, None], truth.shape[1], axis=1), truth)
        return {
            "tube_iou": quality["iou"],
            "tube_iou_solids": quality["iou_solids"],
            "tube_iou_standing_still": still["iou"],
            "core_seconds_per_clip": seconds,
            **point_quality(model, scenes.video[:, 0], scenes.entity_ids[:, 0]),
        }

    def save(self, model, folder: Path) -> None:
        MaskTracker(model).save_pretrained(folder, CONFIG, model_overrides(), MASK_DECODER_MLP_DIM)
