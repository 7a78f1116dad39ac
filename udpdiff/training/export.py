"""From a completed training to a diffusers folder, and back: `export_run` writes it, `load_run` reads it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from udpdiff.storage.folders import replace_folder
from udpdiff.tasks import get_task
from udpdiff.training.checkpointing import load_checkpoint
from udpdiff.training.denoiser import add_lora, base_folder, build_transformer, load_scheduler, load_trained
from udpdiff.training.settings import TrainingSettings

if TYPE_CHECKING:
    from diffusers import CogVideoXPipeline, CogVideoXTransformer3DModel

_RECIPE = "run.json"
_SHARED_PARTS = ("vae", "text_encoder", "tokenizer")
_SMALL_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


def export_run(settings: TrainingSettings, checkpoints: Path, output: Path, step: int) -> None:
    """Write the model of `checkpoints/checkpoint-<step>` as `output`, replacing what is there once all is written.

    The averaged weights if there are any, in the precision trained with. `export: pipeline` gives a whole pipeline
    folder; `export: transformer` leaves VAE, text encoder and tokenizer to the base checkpoint that `run.json` names.
    """
    whole = settings.export == "pipeline"
    base = Path(base_folder(settings.base, whole=whole))
    with replace_folder(output) as folder:
        transformer = trained_transformer(settings, str(base), checkpoints, step)
        if settings.mixed_precision in _SMALL_DTYPES:
            transformer.to(_SMALL_DTYPES[settings.mixed_precision])
        transformer.save_pretrained(folder / "transformer")
        load_scheduler(str(base)).save_pretrained(folder / "scheduler")
        if whole:
            for part in _SHARED_PARTS:
                shutil.copytree(base / part, folder / part)
            index = json.loads((base / "model_index.json").read_text(encoding="utf-8"))
            _write_json(folder / "model_index.json", index | _index_entries(settings, transformer))
        recipe = {"run": settings.run, "base": settings.base, "export": settings.export, **_task_entries(settings)}
        _write_json(folder / _RECIPE, recipe)
        for name in ("train.jsonl", "provenance.json"):
            if (checkpoints / name).exists():
                shutil.copy2(checkpoints / name, folder / name)


def trained_transformer(
    settings: TrainingSettings, base: str, checkpoints: Path, step: int
) -> CogVideoXTransformer3DModel:
    """Return the transformer of a checkpoint, float32, its low-rank updates merged into the weights."""
    transformer = build_transformer(settings, base)
    if settings.lora_rank:
        add_lora(transformer, settings.lora_rank)
    checkpoint = load_checkpoint(checkpoints, step)
    load_trained(transformer, checkpoint.average or checkpoint.weights)
    if settings.lora_rank:
        transformer.fuse_lora()
        transformer.unload_lora()
    return transformer.eval()


def load_run(
    folder: str | Path, dtype: torch.dtype | None = None, device: str | torch.device = "cpu"
) -> CogVideoXPipeline:
    """Return the pipeline of an exported run: `UDPDiffPipeline`, or diffusers' own for the base run.

    dtype: of all models; by default float32. device: where they are put. For `export: transformer` the rest comes
    from the base checkpoint, which must still be in its place. Raises ValueError for a folder that is no exported run.
    """
    return _load_pipeline(Path(folder), {"dtype": dtype or torch.float32}).to(device)


def _load_pipeline(folder: Path, loading: dict[str, Any]) -> CogVideoXPipeline:
    from diffusers import CogVideoXPipeline

    from udpdiff.model.pipeline import UDPDiffPipeline

    if not (folder / _RECIPE).exists():
        raise ValueError(f"{folder}: got no {_RECIPE}, expected the folder of an exported run. Train the run first.")
    recipe = json.loads((folder / _RECIPE).read_text(encoding="utf-8"))
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
    from diffusers import CogVideoXTransformer3DModel

    from udpdiff.model.transformer import UDPDiffTransformer3DModel

    transformer_class = UDPDiffTransformer3DModel if recipe["tasks"] else CogVideoXTransformer3DModel
    return transformer_class.from_pretrained(folder, subfolder="transformer", **loading)


def _task_entries(settings: TrainingSettings) -> dict[str, Any]:
    return {
        "task_condition": settings.task_condition,
        "tasks": {task: settings.colormaps.get(task, get_task(task).colormap) for task in settings.tasks},
    }


def _index_entries(settings: TrainingSettings, transformer: CogVideoXTransformer3DModel) -> dict[str, Any]:
    """Return what model_index.json says otherwise than the base's."""
    entries = {"scheduler": ["diffusers", "CogVideoXDDIMScheduler"]}
    if not settings.tasks:
        return entries | {"_class_name": "CogVideoXPipeline"}
    network = type(transformer)
    entries |= {"_class_name": "UDPDiffPipeline", "transformer": [network.__module__, network.__name__]}
    return entries | _task_entries(settings)


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
