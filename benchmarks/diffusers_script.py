"""diffusers' own LoRA training script, unmodified and given by path, on a base of random weights and one video.

Written for examples/cogvideo/train_cogvideox_lora.py of huggingface/diffusers, whose arguments these are; it is not in
the wheel. It encodes the video once, but each prompt in every step.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np

from benchmarks import shapes
from benchmarks.trainers import Recipe
from udpdiff.video_io import encode_mp4

_WARM_UP_STEPS = 2


def write_base(recipe: Recipe, name: str, folder: Path) -> Path:
    """Write a base checkpoint of the recipe's shape and return its folder.

    Args:
        name: Of the shape; the script reads from the folder's name that a 5B model is kept in bfloat16.
    """
    base = folder / f"base-{name}"
    dtype = "bfloat16" if "5b" in name else "float16"
    parts = shapes.components(recipe.shape, recipe.device, dtype)
    pipeline = shapes.stock_pipeline(parts, shapes.base_transformer(recipe.shape, recipe.device, dtype))
    pipeline.save_pretrained(base)
    return base


def write_videos(recipe: Recipe, folder: Path) -> Path:
    """Write videos and prompts in the form that the script reads, and return their folder."""
    videos, shape = folder / "videos", recipe.shape
    videos.mkdir(parents=True, exist_ok=True)
    frames = np.random.default_rng(0).integers(
        256, size=(shape.num_frames, shape.height, shape.width, 3), dtype=np.uint8
    )
    names = [f"{number}.mp4" for number in range(recipe.batch_size)]
    for name in names:
        (videos / name).write_bytes(encode_mp4(frames, 8, lossless=False))
    (videos / "videos.txt").write_text("\n".join(names) + "\n")
    (videos / "prompts.txt").write_text("\n".join("A red ball rolls." for _ in names) + "\n")
    return videos


def script_arguments(recipe: Recipe, base: Path, videos: Path, output: Path, steps: int) -> list[str]:
    """Return the script's command line for the recipe."""
    shape = recipe.shape
    words = {
        "pretrained_model_name_or_path": base,
        "instance_data_root": videos,
        "video_column": "videos.txt",
        "caption_column": "prompts.txt",
        "height": shape.height,
        "width": shape.width,
        "fps": 8,
        "max_num_frames": shape.num_frames,
        "rank": recipe.rank,
        "lora_alpha": recipe.rank,
        "mixed_precision": recipe.mixed_precision,
        "train_batch_size": recipe.batch_size,
        "max_train_steps": steps,
        "optimizer": "adamw",
        "learning_rate": 1e-5,
        "lr_scheduler": "constant",
        "lr_warmup_steps": 0,
        "max_grad_norm": 1.0,
        "seed": 0,
        "output_dir": output,
    }
    flags = ["--gradient_checkpointing"] if recipe.gradient_checkpointing else []
    return [word for name, value in words.items() for word in (f"--{name}", str(value))] + flags


def time_script(script: Path, recipe: Recipe, base: Path, videos: Path, folder: Path, steps: int) -> dict:
    """Return the seconds of so many steps after some to warm up, and the peak memory of the process, GB.

    Raises:
        subprocess.CalledProcessError: The script failed; its own message stands on stderr.
    """
    record, count = folder / "record.json", steps + _WARM_UP_STEPS
    words = script_arguments(recipe, base, videos, folder / "script-output", count + 1)
    command = [sys.executable, "-m", "benchmarks.watched", str(record), str(count), str(script), *words]
    subprocess.run(command, check=True)
    found = json.loads(record.read_text())
    return {"step_seconds": found["step_seconds"][_WARM_UP_STEPS - 1 :][-steps:], "peak_gpu_gb": found["peak_gpu_gb"]}
