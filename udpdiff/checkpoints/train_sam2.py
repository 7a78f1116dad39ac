"""Train the mini SAM 2 checkpoint from nothing on procedural scenes.

    python -m udpdiff.checkpoints.train_sam2 --out DIR (--steps N | --minutes M) --seed S

A step tracks all entities of one clip from a slightly wrong first frame; the loss compares their competing masks,
one label per pixel, with the truth. With --points, most steps take the first frames of some clips instead, where a
point in each entity asks for its mask, and half of the scenes are the default run's.
"""

from __future__ import annotations

import argparse
import copy
import json
import shutil
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from udpdiff.checkpoints.budget import Budget, TrainingLog, add_budget_arguments
from udpdiff.checkpoints.card import write_card
from udpdiff.checkpoints.labeller_training import by_optimizer
from udpdiff.checkpoints.sam2_model import CONFIG, IMAGE_SIZE, MASK_DECODER_MLP_DIM, build_model, model_overrides
from udpdiff.checkpoints.sam2_points import first_frames_loss, point_quality
from udpdiff.checkpoints.sam2_samples import SCENES, ScenePool, disturb_prompt, normalise
from udpdiff.checkpoints.scene_cache import DEFAULT_SCENES, HELD_OUT_SEED, cached_scenes
from udpdiff.labelling.propagation import MaskTracker
from udpdiff.storage.folders import replace_folder
from udpdiff.training.muon import MuonAdam

HELD_OUT_SCENES = 128
PEAK_LEARNING_RATE, AVERAGE_DECAY = 1e-3, 0.99
POINT_SHARE, POINT_CLIPS = 0.7, 6  # of the steps with --points; clips whose first frames make such a step
DATA = "procedural scenes, 64 x 64, 9 frames, 8 fps: true entities of the first frame, disturbed, tracked to the last"
POINT_DATA = f"{DATA}; in the last steps the same of {DEFAULT_SCENES}"
POINT_NOTES = (
    f"{POINT_SHARE:.0%} of the last {{steps}} steps prompted first frames with a random point in each entity (best of three "
    "masks, predicted IoUs of all); all others tracked. It has no object scores and no object pointers."
)
LOG_EVERY_STEPS, SAVE_EVERY_SECONDS = 25, 720
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


def step_loss(model, pool: ScenePool, budget: Budget, rng: np.random.Generator, points: bool) -> torch.Tensor:
    """Loss of one step: of tracking, or of points."""
    if points and rng.random() < POINT_SHARE:
        clips = [pool.sample(budget.step, 2, rng) for _ in range(POINT_CLIPS)]
        return first_frames_loss(model, [(video[0], ids[0]) for video, ids in clips], rng)
    return clip_loss(model, *pool.sample(budget.step, draw_num_frames(budget.progress, rng), rng), rng)


def tube_ious(predicted: np.ndarray, truth: np.ndarray, min_pixels: int = 12) -> dict[int, float]:
    """Tube IoU, over all frames but the first, of each entity with min_pixels on the first true frame."""
    ids, counts = np.unique(truth[0], return_counts=True)
    ious = {}
    for entity_id in ids[(counts >= min_pixels) & (ids > 0)]:
        ours, true = predicted[1:] == entity_id, truth[1:] == entity_id
        if true.any():
            ious[int(entity_id)] = float((ours & true).sum() / (ours | true).sum())
    return ious


def evaluate(model, count: int, cache: Path | None = None) -> dict[str, float]:
    """Quality on unseen scenes: what points find in first frames, and mean tube IoU given the true first frame.

    tube_iou: of all entities, of solids alone, and of all if they stood still.
    """
    scenes = cached_scenes(SCENES, count, HELD_OUT_SEED, cache)
    tracker, started = MaskTracker(model), time.process_time()
    tracked, still = [], []
    for video, truth in zip(scenes.video, scenes.entity_ids, strict=True):
        tracked.append(tube_ious(tracker.track_ids(video, truth[0].astype(np.int32)), truth))
        still.append(tube_ious(np.repeat(truth[:1], len(truth), axis=0), truth))
    seconds = (time.process_time() - started) / count
    solids = [iou for ious in tracked for entity_id, iou in ious.items() if entity_id > 2]
    everything = [iou for ious in tracked for iou in ious.values()]
    return {
        "tube_iou": round(float(np.mean(everything)), 4),
        "tube_iou_solids": round(float(np.mean(solids)), 4),
        "tube_iou_standing_still": round(float(np.mean([iou for ious in still for iou in ious.values()])), 4),
        "core_seconds_per_clip": round(seconds, 3),
        **point_quality(model, scenes.video[:, 0], scenes.entity_ids[:, 0]),
    }


def learning_rate(progress: float, step: int, warmup_steps: int = 40) -> float:
    """Warm-up, a constant stretch, and over the last 40 % of the budget a straight line to 2 % of the peak."""
    return PEAK_LEARNING_RATE * min(1.0, (step + 1) / warmup_steps, 0.02 + 0.98 * (1 - progress) / 0.4)


def draw_num_frames(progress: float, rng: np.random.Generator) -> int:
    """Length of a training clip: mostly short, for many updates; whole clips at the end, against drift."""
    lengths = next(lengths for until, lengths in FRAME_CURRICULUM if progress <= until)
    return int(rng.choice(lengths))


def train(args: argparse.Namespace) -> None:
    """Train for a number of steps or minutes; save the averaged weights every few minutes and at the end."""
    torch.set_num_threads(args.threads)
    model = build_model(args.seed).train()
    if args.resume:
        model.load_state_dict(MaskTracker.from_pretrained(args.resume, device="cpu").predictor.state_dict())
    averaged = copy.deepcopy(model).eval()
    pool = ScenePool(args.cache, (SCENES, DEFAULT_SCENES) if args.points else (SCENES,))
    rng = np.random.default_rng([args.seed, 1])
    optimizer = MuonAdam(*by_optimizer(model), lr=PEAK_LEARNING_RATE, weight_decay=0.02)
    budget = Budget(args.steps, args.minutes)
    log = TrainingLog(args.out.with_name(f"{args.out.name}.training.jsonl"))
    losses, next_save = [], SAVE_EVERY_SECONDS
    while budget.progress < 1:
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(budget.progress, budget.step)
        with torch.autocast("cpu", torch.bfloat16):
            loss = step_loss(model, pool, budget, rng, args.points)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        budget.step += 1
        _average(averaged, model, min(AVERAGE_DECAY, (budget.step + 1) / (budget.step + 10)))
        losses.append(loss.item())
        if budget.step % LOG_EVERY_STEPS == 0:
            log.add(step=budget.step, loss=sum(losses) / len(losses), seconds=budget.elapsed_seconds)
            losses.clear()
        if budget.elapsed_seconds > next_save:
            save(averaged, args, budget, log, count=HELD_OUT_SCENES // 16)
            next_save = budget.elapsed_seconds + SAVE_EVERY_SECONDS
    save(averaged, args, budget, log, count=HELD_OUT_SCENES)


@torch.no_grad()
def _average(averaged, model, keep: float) -> None:
    for slow, fast in zip(averaged.parameters(), model.parameters(), strict=True):
        slow.lerp_(fast, 1 - keep)


def save(model, args: argparse.Namespace, budget: Budget, log: TrainingLog, count: int) -> None:
    """Measure on held-out scenes and put weights, configuration, log and card in place."""
    quality = evaluate(model, count, args.cache)
    log.add(step=budget.step, seconds=budget.elapsed_seconds, **quality)

    with replace_folder(args.out) as folder:
        MaskTracker(model).save_pretrained(folder, CONFIG, model_overrides(), MASK_DECODER_MLP_DIM)
        shutil.copy(log.path, folder / "training.jsonl")
        describe(folder, budget.step, args, quality, log.rows)


def describe(folder: Path, steps: int, args: argparse.Namespace, quality: dict, rows: list[dict]) -> None:
    """Write the card, counting the steps of the training that this one went on from, if any."""
    resumed = args.resume
    earlier = json.loads((resumed / "training.json").read_text()) if resumed else {"steps": 0, "curve": []}
    curve = earlier["curve"] + [(earlier["steps"] + row["step"], row["loss"]) for row in rows if "loss" in row]
    data, notes = (POINT_DATA, POINT_NOTES.format(steps=steps)) if args.points else (DATA, "")
    write_card(folder, "sam2", data, earlier["steps"] + steps, args.seed, quality, curve, notes)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_budget_arguments(parser)
    parser.add_argument("--resume", type=Path, help="folder whose weights to start from, instead of random ones")
    parser.add_argument("--points", action="store_true", help="train point prompts besides tracking")
    train(parser.parse_args())


if __name__ == "__main__":
    main()
