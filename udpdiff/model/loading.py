"""Loading of the models a run starts from, and of exported runs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from diffusers import CogVideoXDDIMScheduler, CogVideoXPipeline, CogVideoXTransformer3DModel

from udpdiff.model.expansion import expand_transformer
from udpdiff.model.latents import default_device as default_device

RUN_RECIPE = "run.json"

Rotary = tuple[torch.Tensor, torch.Tensor] | None

# Layers that a low-rank update cannot stand in for: they changed shape, or did not exist.
_WIDENED_LAYERS = ("patch_embed.proj", "proj_out", "task_embedding")
_LORA_TARGETS = ["to_q", "to_k", "to_v", "to_out.0"]


def base_folder(reference: str, whole: bool = False) -> str:
    """Return the local folder of a base checkpoint: a folder, `mini:NAME` or a hub id, which is fetched if need be.

    whole: with the VAE, text encoder and tokenizer, which only an export needs.
    """
    if not Path(reference).is_dir():
        from udpdiff import checkpoints

        reference = checkpoints.resolve(reference)
    if Path(reference).is_dir():
        return reference
    from huggingface_hub import snapshot_download

    parts = ["transformer", "scheduler"] + (["vae", "text_encoder", "tokenizer"] if whole else [])
    return snapshot_download(reference, allow_patterns=["model_index.json", *(f"{part}/*" for part in parts)])


def load_scheduler(folder: str) -> CogVideoXDDIMScheduler:
    """Return the base's noise schedule as a DDIM scheduler with `trailing` timesteps.

    Deterministic sampling is what makes runs comparable seed by seed; the spacing is set because stored copies of the
    hub's configuration disagree on it.
    """
    return CogVideoXDDIMScheduler.from_pretrained(folder, subfolder="scheduler", timestep_spacing="trailing")


def build_transformer(
    folder: str, tasks: Sequence[str], task_condition: str, init_in: str, init_out: str, seed: int
) -> CogVideoXTransformer3DModel:
    """Return the transformer at step 0, float32: the base's for a run without tasks, else the widened one."""
    base = CogVideoXTransformer3DModel.from_pretrained(folder, subfolder="transformer", dtype=torch.float32)
    if not tasks:
        return base
    embedded = task_condition == "embedding" and len(tasks) > 1
    return expand_transformer(
        base,
        num_tasks=len(tasks) if embedded else 0,
        init_in=init_in,
        init_out=init_out,
        generator=torch.Generator().manual_seed(seed % 2**64),
    )


def add_lora(transformer: CogVideoXTransformer3DModel, rank: int) -> None:
    """Freeze the transformer but for low-rank updates of its attention and for the layers that widening touched.

    Raises ValueError when `peft` is not installed.
    """
    try:
        from peft import LoraConfig
    except ImportError:
        raise ValueError(
            f"lora_rank: got {rank}, but LoRA needs the package `peft`, which is not installed."
            " Install it, or set lora_rank to null for full fine-tuning."
        ) from None
    # The adapter's own start is random, and a resumed run must not depend on what drew numbers before.
    torch.manual_seed(0)
    transformer.add_adapter(LoraConfig(r=rank, lora_alpha=rank, target_modules=_LORA_TARGETS))
    for name, parameter in transformer.named_parameters():
        if "lora_" in name or any(layer in name for layer in _WIDENED_LAYERS):
            parameter.requires_grad_(True)


def load_trained(transformer: CogVideoXTransformer3DModel, weights: dict[str, torch.Tensor]) -> None:
    """Put trained weights in their places; ValueError when they are not exactly the trained ones of this model."""
    expected = {name for name, parameter in transformer.named_parameters() if parameter.requires_grad}
    if set(weights) != expected:
        odd = sorted(set(weights) ^ expected)
        raise ValueError(f"Got weights of another model ({odd[:3]} ... differ), expected those of this run's.")
    transformer.load_state_dict(weights, strict=False)


def rotary_embedding(transformer: CogVideoXTransformer3DModel, latents: torch.Tensor) -> Rotary:
    """Return the rotary embedding for latents (B, F, C, h, w), None for a model with a positional table.

    Asks the pipeline itself: a trainer with a formula of its own agrees with inference at one size only.

    Source: diffusers, pipelines/cogvideo/pipeline_cogvideox.py (0.42), `_prepare_rotary_positional_embeddings`.
    """
    if not transformer.config.use_rotary_positional_embeddings:
        return None
    pipeline = CogVideoXPipeline(None, None, None, transformer, None)
    scale = pipeline.vae_scale_factor_spatial
    _, num_frames, _, height, width = latents.shape
    return pipeline._prepare_rotary_positional_embeddings(height * scale, width * scale, num_frames, latents.device)


def load_run(
    folder: str | Path, dtype: torch.dtype | None = None, device: str | torch.device = "cpu"
) -> CogVideoXPipeline:
    """Return the pipeline of an exported run: `UDPDiffPipeline`, or diffusers' own for the base run.

    dtype: of all models; by default float32. device: where they are put. For `export: transformer` the rest comes
    from the base checkpoint, which must still be in its place. Raises ValueError for a folder that is no exported run.
    """
    return _load_pipeline(Path(folder), {"dtype": dtype or torch.float32}).to(device)


def _load_pipeline(folder: Path, loading: dict[str, Any]) -> CogVideoXPipeline:
    from udpdiff.model.pipeline import UDPDiffPipeline

    if not (folder / RUN_RECIPE).exists():
        raise ValueError(f"{folder}: got no {RUN_RECIPE}, expected the folder of an exported run. Train the run first.")
    recipe = json.loads((folder / RUN_RECIPE).read_text(encoding="utf-8"))
    if recipe["export"] == "pipeline":
        pipeline_class = UDPDiffPipeline if recipe["tasks"] else CogVideoXPipeline
        return pipeline_class.from_pretrained(folder, **loading)
    base = base_folder(recipe["base"], whole=True)
    parts = CogVideoXPipeline.from_pretrained(base, transformer=None, **loading).components
    parts |= {"transformer": _load_transformer(folder, recipe, loading), "scheduler": load_scheduler(str(folder))}
    if not recipe["tasks"]:
        return CogVideoXPipeline(**parts)
    return UDPDiffPipeline(**parts, **{name: recipe[name] for name in ("task_condition", "tasks")})


def _load_transformer(folder: Path, recipe: dict[str, Any], loading: dict[str, Any]) -> CogVideoXTransformer3DModel:
    from udpdiff.model.transformer import UDPDiffTransformer3DModel

    transformer_class = UDPDiffTransformer3DModel if recipe["tasks"] else CogVideoXTransformer3DModel
    return transformer_class.from_pretrained(folder, subfolder="transformer", **loading)
