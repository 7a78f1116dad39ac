"""Networks of the published shapes with random weights: for times and memory, which do not depend on what was learnt."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from diffusers import (
    AutoencoderKLCogVideoX,
    CogVideoXDDIMScheduler,
    CogVideoXPipeline,
    CogVideoXTransformer3DModel,
)
from transformers import AutoTokenizer, T5Config, T5EncoderModel

from udpdiff.checkpoints import resolve
from udpdiff.config.schema import ClipSize
from udpdiff.model.pipeline import UDPDiffPipeline
from udpdiff.model.transformer import UDPDiffTransformer3DModel
from udpdiff.planning.counted_work import latent_shape
from udpdiff.planning.parameters import base_parts

MINI = "mini:cogvideox"
TASKS = {"seg": "pixelplanes", "depth": "spectral"}
DTYPES = ("bfloat16", "float16", "float32")


@dataclass(frozen=True)
class Shape:
    """A base by reference, and the size of its clips, pixels."""

    base: str
    height: int
    width: int
    num_frames: int

    @property
    def clip_size(self) -> ClipSize:
        return ClipSize(height=self.height, width=self.width, num_frames=self.num_frames, fps=8)

    @property
    def latents(self) -> tuple[int, int, int, int]:
        """Channels, frames, height and width of a clip's latents."""
        return latent_shape(base_parts(self.base), self.clip_size.model_dump())


SHAPES = {
    "mini": Shape(MINI, 64, 64, 9),
    "2b": Shape("THUDM/CogVideoX-2b", 480, 720, 49),
    "5b": Shape("THUDM/CogVideoX-5b", 480, 720, 49),
    "1.5-5b": Shape("zai-org/CogVideoX1.5-5B", 768, 1360, 81),
}


def configs(shape: Shape) -> dict[str, dict[str, Any]]:
    """Return the configurations of transformer, vae and text_encoder."""
    return base_parts(shape.base)


@contextlib.contextmanager
def drawn_on(device: str, dtype: str, seed: int = 0) -> Iterator[None]:
    """Networks built inside get random weights of this dtype on this device at once, without a copy on the host."""
    before = torch.get_default_dtype()
    torch.manual_seed(seed)
    torch.set_default_dtype(getattr(torch, dtype))
    try:
        with torch.device(device):
            yield
    finally:
        torch.set_default_dtype(before)


def base_transformer(shape: Shape, device: str, dtype: str) -> CogVideoXTransformer3DModel:
    """Return diffusers' own, in eval mode."""
    with drawn_on(device, dtype):
        return CogVideoXTransformer3DModel.from_config(configs(shape)["transformer"]).eval()


def widened_transformer(shape: Shape, num_tasks: int, device: str, dtype: str) -> UDPDiffTransformer3DModel:
    """Return ours with one dense stream, in eval mode; num_tasks: rows of the task embedding, 0 for a single task."""
    config = configs(shape)["transformer"]
    config |= {name: 2 * config[name] for name in ("in_channels", "out_channels")}
    with drawn_on(device, dtype):
        return UDPDiffTransformer3DModel.from_config(config, num_tasks=num_tasks).eval()


def components(shape: Shape, device: str, dtype: str) -> dict[str, Any]:
    """Return the other parts of a pipeline. The tokenizer is the mini one: what a prompt costs depends on its length."""
    parts = configs(shape)
    with drawn_on(device, dtype):
        vae = AutoencoderKLCogVideoX.from_config(parts["vae"]).eval()
        text_encoder = T5EncoderModel(T5Config(**parts["text_encoder"])).eval()
    scheduler = CogVideoXDDIMScheduler.from_pretrained(resolve(MINI), subfolder="scheduler")
    tokenizer = AutoTokenizer.from_pretrained(resolve(MINI), subfolder="tokenizer", trust_remote_code=False)
    return {"vae": vae, "text_encoder": text_encoder, "scheduler": scheduler, "tokenizer": tokenizer}


def stock_pipeline(parts: dict[str, Any], transformer: CogVideoXTransformer3DModel) -> CogVideoXPipeline:
    """Return diffusers' own pipeline, without a progress bar."""
    pipeline = CogVideoXPipeline(**parts, transformer=transformer)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def our_pipeline(parts: dict[str, Any], transformer: UDPDiffTransformer3DModel) -> UDPDiffPipeline:
    """Return ours, of depth alone where the transformer has no task embedding, without a progress bar."""
    tasks = TASKS if transformer.config.num_tasks else {"depth": TASKS["depth"]}
    pipeline = UDPDiffPipeline(**parts, transformer=transformer, tasks=tasks)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline
