"""From a completed training to a diffusers folder, which `udpdiff.model.loading.load_run` reads."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from diffusers import CogVideoXTransformer3DModel
from safetensors import SafetensorError
from torch.nn import Module

from udpdiff.checkpoints import places
from udpdiff.finite import check_finite
from udpdiff.model.base_parts import INDEX, RUN_RECIPE, base_folder, load_scheduler
from udpdiff.model.lora import merge_lora, save_adapter
from udpdiff.storage.errors import writing
from udpdiff.storage.files import replace_folder, write_json, write_text
from udpdiff.storage.sealed import seal_folder
from udpdiff.tasks import get_task
from udpdiff.training.card import CARD, model_card
from udpdiff.training.checkpoint import load_result
from udpdiff.training.log import LOG, read_log
from udpdiff.training.network import DTYPES, run_streams, starting_transformer
from udpdiff.training.settings import TrainingSettings

_SHARED_PARTS = ("vae", "text_encoder", "tokenizer")
ADAPTER_FOLDER = "adapter"


def export_run(
    settings: TrainingSettings,
    checkpoints: Path,
    output: Path,
    step: int,
    clips: Mapping[str, int] | None = None,
    data: str = "",
) -> None:
    """Write the model of `checkpoints/checkpoint-<step>` as `output`, replacing what is there once all is written.

    The averaged weights if there are any, in the precision trained with. `export: pipeline` gives a whole pipeline
    folder; `export: transformer` leaves VAE, text encoder and tokenizer to the base checkpoint that `run.json` names.
    Low-rank updates are merged into the weights, and kept apart as well, in the folder `adapter` (see `model.lora`). The
    digests of all files stand beside them, and a card, README.md.

    Args:
        clips: How many it was trained on, by task, for the card.
        data: What these are, in words, for it too.

    Raises:
        DamagedCheckpoint: The checkpoint is not what was written.
        NotFinite: Weights leave the range of the precision trained with.
        StorageError: A file cannot be written; what was there stays.
    """
    whole = settings.export == "pipeline"
    base = Path(base_folder(settings.base, whole=whole))
    with replace_folder(output) as folder:
        transformer = trained_transformer(settings, str(base), checkpoints, step)
        entries = _task_entries(settings)
        streams = {stream.name: list(stream.tasks) for stream in run_streams(settings, transformer).streams}
        if settings.lora_rank:
            with writing(output, SafetensorError):
                save_adapter(transformer, folder / ADAPTER_FOLDER, {**entries, "streams": streams})
            merge_lora(transformer)
            _round(transformer, settings)
        for name, weight in transformer.named_parameters():
            check_finite(weight, f"the weights {name}", weight.dtype, "training.mixed_precision")
        scheduler = load_scheduler(str(base))
        with writing(output, SafetensorError):
            transformer.save_pretrained(folder / "transformer")
            scheduler.save_pretrained(folder / "scheduler")
        if whole:
            for part in _SHARED_PARTS:
                with writing(output, shutil.Error):
                    shutil.copytree(base / part, folder / part)
        write_json(folder / INDEX, pipeline_index(base, entries))
        recipe: dict[str, Any] = {
            "run": settings.run,
            "clips": dict(clips or {}),
            "data": data,
            "base": settings.base,
            "export": settings.export,
            **entries,
        }
        if settings.base.startswith(places.FOLDER):  # outside its workflow nobody knows what the name stands for
            recipe["base_folder"] = str(base)
        write_json(folder / RUN_RECIPE, {**recipe, "streams": streams})
        for name in (LOG, "provenance.json"):
            if (checkpoints / name).exists():
                with writing(output):
                    shutil.copy2(checkpoints / name, folder / name)
        card = model_card(asdict(settings), clips or {}, read_log(checkpoints / LOG), data=data)
        write_text(folder / CARD, card)
        seal_folder(folder)


def trained_transformer(
    settings: TrainingSettings, base: str, checkpoints: Path, step: int
) -> CogVideoXTransformer3DModel:
    """Return the transformer of a checkpoint in the precision trained with, its low-rank updates float32 beside the weights.

    Memory holds it once, and one tensor more.
    """
    transformer = starting_transformer(settings, base, skip_trained=True)
    if not settings.lora_rank:
        _round(transformer, settings)
    trained = {name: weight for name, weight in transformer.named_parameters() if weight.requires_grad}
    load_result(checkpoints, step, trained)
    return transformer.eval()


def _round(transformer: CogVideoXTransformer3DModel, settings: TrainingSettings) -> None:
    Module.to(transformer, DTYPES[settings.mixed_precision])  # diffusers' own warns of modules, and names none


def _task_entries(settings: TrainingSettings) -> dict[str, Any]:
    """Return how tasks are told to the model, and each with its colormap, in the order of the rows of the embedding."""
    return {
        "task_condition": settings.task_condition,
        "tasks": {task: settings.colormaps.get(task, get_task(task).colormaps[0]) for task in settings.tasks},
    }


def pipeline_index(base: Path, entries: Mapping[str, Any]) -> dict[str, Any]:
    """Return the model_index.json of a run.

    Args:
        base: Folder of the base checkpoint, whose own says what the other parts are.
        entries: `task_condition` and `tasks` of the run.
    """
    index = json.loads((base / INDEX).read_text(encoding="utf-8"))
    index |= {"scheduler": ["diffusers", "CogVideoXDDIMScheduler"]}
    if not entries["tasks"]:
        return index | {"_class_name": "CogVideoXPipeline"}
    network = ["udpdiff.model.transformer", "UDPDiffTransformer3DModel"]
    return index | {"_class_name": "UDPDiffPipeline", "transformer": network} | entries
