"""Checkpoints in, networks out: the parts of a base, the transformer that a run starts from, an exported run.

A reference is a folder, `mini:NAME` or a hub id. Libraries are imported when they load something: scripts of every
kind ask this module for a device.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from udpdiff.checkpoints import hub, local_folder
from udpdiff.default_device import default_device
from udpdiff.model.base_parts import INDEX, RUN_RECIPE, base_folder, base_of, load_base_parts
from udpdiff.storage.sealed import check_folder

if TYPE_CHECKING:
    from diffusers import (
        AutoencoderKLCogVideoX,
        CogVideoXTransformer3DModel,
    )

    from udpdiff.model.checked_pipeline import CheckedPipeline
    from udpdiff.model.pipeline import UDPDiffPipeline


def load_vae(base: str, device: str | None = None, dtype: str = "float32") -> AutoencoderKLCogVideoX:
    """Return the frozen VAE of a CogVideoX checkpoint, given by reference."""
    from diffusers import AutoencoderKLCogVideoX

    folder = local_folder(base, ("vae",))
    vae = AutoencoderKLCogVideoX.from_pretrained(folder, subfolder="vae", dtype=getattr(torch, dtype))
    return vae.eval().requires_grad_(False).to(device or default_device())


def rotary_embedding(
    transformer: CogVideoXTransformer3DModel, latents: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor] | None:
    """Return the rotary embedding for latents (B, F, C, h, w), None for a model with a positional table.

    Asks the pipeline itself: a trainer with a formula of its own agrees with inference at one size only.

    Source: diffusers, pipelines/cogvideo/pipeline_cogvideox.py (0.42), `_prepare_rotary_positional_embeddings`.
    """
    from diffusers import CogVideoXPipeline

    if not transformer.config.use_rotary_positional_embeddings:
        return None
    pipeline = CogVideoXPipeline(None, None, None, transformer, None)
    scale = pipeline.vae_scale_factor_spatial
    _, num_frames, _, height, width = latents.shape
    return pipeline._prepare_rotary_positional_embeddings(height * scale, width * scale, num_frames, latents.device)


def load_run(
    folder: str | Path,
    dtype: torch.dtype | None = None,
    device: str | torch.device = "cpu",
    offload: bool = False,
    shared: dict[str, dict[str, Any]] | None = None,
) -> CheckedPipeline:
    """Return the pipeline of an exported run: `UDPDiffPipeline`, or diffusers' own, checked, for the base run.

    Args:
        dtype: Of all models; by default float32.
        device: Where they are put.
        offload: On a GPU, each model is put there when it computes and waits on the host.
        shared: Parts of bases, by reference, for several calls with one dtype: runs that left the other parts to their base
            are then given the same ones.

    Raises:
        ValueError: The folder is no exported run.
        StorageError: A file of it is not what was exported.
    """
    pipeline = _load_pipeline(Path(folder), {"dtype": dtype or torch.float32}, {} if shared is None else shared)
    if not offload or torch.device(device).type == "cpu":
        return pipeline.to(device)
    pipeline.enable_model_cpu_offload(device=device)
    return pipeline


def _load_pipeline(folder: Path, loading: dict[str, Any], shared: dict[str, dict[str, Any]]) -> CheckedPipeline:
    from udpdiff.model.checked_pipeline import CheckedPipeline
    from udpdiff.model.pipeline import UDPDiffPipeline

    if not (folder / RUN_RECIPE).exists():
        raise ValueError(f"{folder}: got no {RUN_RECIPE}, expected the folder of an exported run. Train the run first.")
    check_folder(folder, (RUN_RECIPE, INDEX, *hub.BASE))
    recipe = json.loads((folder / RUN_RECIPE).read_text(encoding="utf-8"))
    pipeline_class = UDPDiffPipeline if recipe["tasks"] else CheckedPipeline
    parts = {}
    if recipe["export"] == "transformer":  # the other parts are still the base's
        base = base_of(recipe)
        if base not in shared:
            shared[base] = load_base_parts(base, loading)
        parts = {name: part for name, part in shared[base].items() if name != "scheduler"}  # which keeps a call's steps
    return pipeline_class.from_pretrained(folder, trust_remote_code=False, **parts, **loading)


def widened_pipeline(
    base: str, tasks: dict[str, str], task_condition: str = "embedding", dtype: torch.dtype | None = None
) -> UDPDiffPipeline:
    """Return the pipeline of a base checkpoint with a widened, untrained transformer, on the CPU.

    What it is for: trained layers are loaded into it, see `udpdiff.model.lora`.

    Args:
        base: A reference.
        tasks: As in `UDPDiffPipeline`, as is task_condition.
        dtype: Of all models; by default float32.
    """
    from diffusers import CogVideoXTransformer3DModel

    from udpdiff.model.building import task_rows
    from udpdiff.model.expansion import expand_transformer
    from udpdiff.model.pipeline import UDPDiffPipeline

    loading = {"dtype": dtype or torch.float32}
    folder = base_folder(base, whole=True)
    transformer = CogVideoXTransformer3DModel.from_pretrained(folder, subfolder="transformer", **loading)
    transformer = expand_transformer(transformer, task_rows(list(tasks), task_condition)).eval()
    parts = load_base_parts(folder, loading)
    return UDPDiffPipeline(**parts, transformer=transformer, tasks=tasks, task_condition=task_condition)
