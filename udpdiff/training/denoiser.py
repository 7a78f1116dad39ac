"""The network a run trains: the base checkpoint's transformer as it is, or widened; and one call of it.

Loads only the transformer and the scheduler of the base: latents and prompts are cached, so neither the VAE nor the
text encoder is needed for training.
"""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import CogVideoXDDIMScheduler, CogVideoXPipeline, CogVideoXTransformer3DModel
from torch import nn

from udpdiff.model.expansion import expand_transformer
from udpdiff.tasks import TASKS
from udpdiff.training.batch import TrainingBatch
from udpdiff.training.settings import TrainingSettings

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


def build_transformer(settings: TrainingSettings, folder: str) -> CogVideoXTransformer3DModel:
    """Return the transformer at step 0, float32: the base's for a run without tasks, else the widened one.

    The random part of the widening depends on the seed alone. Single-task and task-as-text runs get no task embedding.
    """
    base = CogVideoXTransformer3DModel.from_pretrained(folder, subfolder="transformer", dtype=torch.float32)
    if not settings.tasks:
        return base
    embedded = settings.task_condition == "embedding" and len(settings.tasks) > 1
    return expand_transformer(
        base,
        num_tasks=len(TASKS) if embedded else 0,
        init_in=settings.init_in,
        init_out=settings.init_out,
        generator=torch.Generator().manual_seed(settings.seed),
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


def count_tokens(transformer: CogVideoXTransformer3DModel, batch: TrainingBatch) -> int:
    """Return how many tokens attend to each other in one sample: its patches and its prompt."""
    config = transformer.config
    frames, _, height, width = batch.latents.shape[1:]
    patches = frames // (config.patch_size_t or 1) * (height // config.patch_size) * (width // config.patch_size)
    return patches + batch.prompt_embeds.shape[1]


def predict(model: nn.Module, noisy_latents: torch.Tensor, batch: TrainingBatch, rotary: Rotary) -> torch.Tensor:
    """Return the model's output (B, F, C or 2C, h, w) for noisy latents of that shape."""
    return model(
        hidden_states=noisy_latents,
        encoder_hidden_states=batch.prompt_embeds,
        timestep=batch.timesteps,
        image_rotary_emb=rotary,
        attention_kwargs=task_kwargs(model, batch),
        return_dict=False,
    )[0]


def task_kwargs(model: nn.Module, batch: TrainingBatch) -> dict[str, torch.Tensor] | None:
    """Return the `attention_kwargs` that tell the model the tasks, None where it has no task embedding."""
    network = getattr(model, "module", model)
    return {"task_ids": batch.task_ids} if getattr(network.config, "num_tasks", 0) else None
