"""Samples of a CogVideoXPipeline folder on fixed prompts, as one picture to look at."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

PROMPTS = (
    "A red ball and a blue cube on a grey floor.",
    "A large green cone stays and a small yellow ball rolls left. The floor is sandy, the backdrop blue sky. "
    "The camera is still.",
    "A large shiny purple ball rolls right. The floor is checkered wooden, the backdrop a sunset. The camera is still.",
    "A white cylinder bounces and a red cube slides left. The floor is dark, the backdrop a night sky. "
    "The camera moves in.",
    "A yellow cube and a pink cone on a grassy floor.",
    "A large striped orange cylinder stays, a blue ball rolls right and a green cube spins. The floor is grey, "
    "the backdrop a grey wall. The camera moves left.",
    "A cyan ball and an orange cone on a wooden floor.",
    "A large checkered white cube stays and a small red ball rolls closer. The floor is striped grassy, "
    "the backdrop blue sky. The camera moves right.",
)


def sample(
    folder: str | Path, prompts=PROMPTS, steps: int = 25, guidance_scale: float = 4.0, seed: int = 0
) -> np.ndarray:
    """uint8 (N, T, H, W, 3) by the stock pipeline."""
    from diffusers import CogVideoXPipeline

    pipeline = CogVideoXPipeline.from_pretrained(folder, dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    config = pipeline.transformer.config
    frames = pipeline(
        prompt=list(prompts),
        height=config.sample_height * 4,
        width=config.sample_width * 4,
        num_frames=config.sample_frames,
        num_inference_steps=steps,
        guidance_scale=guidance_scale,
        max_sequence_length=config.max_text_seq_length,
        generator=torch.Generator().manual_seed(seed),
        output_type="np",
    ).frames
    return (np.asarray(frames) * 255).round().astype(np.uint8)


def write_sheet(folder: str | Path, path: Path, **options) -> None:
    """One row per prompt: frames 0, 2, 4, 6, 8, twice enlarged; two columns of rows."""
    from PIL import Image

    videos = sample(folder, **options)
    rows = [np.concatenate(list(video[::2]), axis=1) for video in videos]
    half = (len(rows) + 1) // 2
    rows += [np.zeros_like(rows[0])] * (2 * half - len(rows))
    sheet = np.concatenate([np.concatenate([rows[i], rows[i + half]], axis=1) for i in range(half)])
    Image.fromarray(sheet).resize((sheet.shape[1] * 2, sheet.shape[0] * 2), Image.Resampling.NEAREST).save(path)
