"""Train the mini Depth Anything checkpoint on procedural scenes: `python -m udpdiff.checkpoints.train_depth --out DIR`.

The network regresses disparity in one fixed scale, so that the frames of a clip agree with each other. --start-from goes on
with a checkpoint's weights on scenes as the default run's: fewer and bigger solids.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import torch

from udpdiff.checkpoints.augmentation import distort_images
from udpdiff.checkpoints.labeller_training import HELD_OUT_SEED, parse_arguments, save_half, start_from, train
from udpdiff.checkpoints.scene_cache import DEFAULT_SCENES
from udpdiff.checkpoints.scene_maps import SceneMaps, open_scene_maps
from udpdiff.labelling.depth_anything import DepthAnything
from udpdiff.labelling.image_preparation import ImagePreparation
from udpdiff.sources.scenes import SceneSettings

SIDE, PATCH = 64, 8
BATCH_SIZE, PEAK_LEARNING_RATE = 16, 1.5e-3
TRAIN_SCENES, HELD_OUT_SCENES = 10_000, 256
DISPARITY_SCALE = 4.0  # target = DISPARITY_SCALE / z, about 0.2 (backdrop) to 1.4 (close by)
PREPROCESSOR = {
    "image_processor_type": "DPTImageProcessor",
    "do_resize": True,
    "size": {"height": SIDE, "width": SIDE},
    "keep_aspect_ratio": True,
    "ensure_multiple_of": PATCH,
    "resample": 3,
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": True,
    "image_mean": [0.485, 0.456, 0.406],
    "image_std": [0.229, 0.224, 0.225],
}


def build_model(hidden_size: int = 128, num_layers: int = 4):
    """The published architecture at mini size, with random weights."""
    from transformers import DepthAnythingConfig, DepthAnythingForDepthEstimation, Dinov2Config

    backbone = Dinov2Config(
        image_size=SIDE,
        patch_size=PATCH,
        hidden_size=hidden_size,
        num_hidden_layers=num_layers,
        num_attention_heads=hidden_size // 32,
        out_indices=[max(1, round(num_layers * (index + 1) / 4)) for index in range(4)],
        reshape_hidden_states=False,
        mlp_ratio=3,
    )
    config = DepthAnythingConfig(
        backbone_config=backbone,
        patch_size=PATCH,
        reassemble_hidden_size=hidden_size,
        neck_hidden_sizes=[16, 24, 32, 48],
        fusion_hidden_size=32,
        head_hidden_size=16,
    )
    model = DepthAnythingForDepthEstimation(config)
    # The last ReLU must start alive everywhere.
    torch.nn.init.constant_(model.head.conv3.bias, 0.4)
    return model


def disparity_loss(predicted: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
    """Relative L1 plus L1 of the gradients at two scales; predicted and z: (B, H, W)."""
    target = DISPARITY_SCALE / z
    loss = ((predicted - target).abs() / (target + 0.1)).mean()
    error = predicted - target
    for step in (1, 2):
        across = (error[:, :, step:] - error[:, :, :-step]).abs().mean()
        loss = loss + 0.5 * (across + (error[:, step:] - error[:, :-step]).abs().mean())
    return loss


def draw_loss(model, cache: SceneMaps, preparation: ImagePreparation, generator: torch.Generator) -> torch.Tensor:
    """The loss on one random batch of frames, half of them mirrored."""
    index = torch.randint(len(cache), (BATCH_SIZE,), generator=generator).numpy()
    frame = torch.randint(cache.video.shape[1], (BATCH_SIZE,), generator=generator).numpy()
    images = distort_images(torch.from_numpy(cache.video[index, frame]), generator)
    z = torch.from_numpy(cache.z[index, frame].astype(np.float32))
    mirrored = torch.rand(BATCH_SIZE, generator=generator) < 0.5
    images[mirrored], z[mirrored] = images[mirrored].flip(-1), z[mirrored].flip(-1)
    mean, std = (torch.tensor(numbers)[:, None, None] for numbers in (preparation.mean, preparation.std))
    pixel_values = ((images / 255 - mean) / std).contiguous(memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16):
        predicted = model(pixel_values=pixel_values).predicted_depth
    return disparity_loss(predicted.float(), z)


def measure(model, held_out: SceneMaps, num_clips: int) -> dict[str, float]:
    """Mean delta-1 and RMSE of metric depth on held-out clips, after one scale and shift per clip in disparity."""
    estimator = DepthAnything(model, ImagePreparation.from_config(PREPROCESSOR, PATCH))
    scores = []
    for video, z in zip(held_out.video[:num_clips], held_out.z[:num_clips], strict=True):
        depth, truth = estimator.estimate(video, batch_size=len(video)), z.astype(np.float64)
        design = np.stack([depth.ravel(), np.ones(depth.size)], -1)
        solution = np.linalg.lstsq(design, 1 / truth.ravel(), rcond=None)[0]
        aligned = 1 / np.clip((design @ solution).reshape(truth.shape), 1e-3, None)
        ratio = np.maximum(aligned / truth, truth / aligned)
        scores.append([(ratio < 1.25).mean(), np.sqrt(((aligned - truth) ** 2).mean())])
    delta1_acc, rmse = np.mean(scores, 0)
    return {"delta1_acc": round(float(delta1_acc), 4), "rmse": round(float(rmse), 4)}


def main() -> None:
    args = parse_arguments(__doc__)
    torch.manual_seed(args.seed)
    first = SceneSettings(SIDE, SIDE, 9, 8.0)
    scenes = DEFAULT_SCENES if args.start_from else first
    pairs = dataclasses.replace(scenes, num_frames=2, fps=1.0)
    maps = open_scene_maps(pairs, 0, TRAIN_SCENES, args.cache)
    held_out = open_scene_maps(scenes, HELD_OUT_SEED, HELD_OUT_SCENES, args.cache)
    data = f"single frames of {TRAIN_SCENES} procedural scenes, {pairs}, with their exact metric depth"
    data += f"; before, of {first}" if args.start_from else ""
    preparation = ImagePreparation.from_config(PREPROCESSOR, PATCH)

    def save(model, budget, log):
        quality = measure(model, held_out, HELD_OUT_SCENES if budget.progress == 1 else 32)
        log.add(step=budget.step, seconds=budget.elapsed_seconds, **quality)
        print(log.rows[-1], flush=True)
        save_half(model, args, PREPROCESSOR, data, quality, log)

    model = start_from(build_model(), args.start_from).to(memory_format=torch.channels_last)
    train(
        model, lambda model, generator: draw_loss(model, maps, preparation, generator), save, args, PEAK_LEARNING_RATE
    )


if __name__ == "__main__":
    main()
