"""The training loop that the mini segmenter and the mini depth estimator share, and how they are put in place.

It knows nothing of what is trained: a trainer hands in a model, a loss and a way to save.
"""

from __future__ import annotations

import argparse
import copy
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import torch

from udpdiff.checkpoints.budget import Budget, TrainingLog, add_budget_arguments
from udpdiff.checkpoints.card import write_card
from udpdiff.storage.folders import replace_folder
from udpdiff.training.muon import MuonAdam

HELD_OUT_SEED = 10_000_000  # seeds from here on are never trained on
WARMUP_STEPS, AVERAGE_DECAY, WEIGHT_DECAY = 100, 0.998, 0.02
LARGEST_MATRIX = 50_000  # orthogonalising a larger one costs more of a CPU step than it gains
LOG_EVERY_STEPS, SAVE_EVERY_SECONDS = 20, 240


def parse_arguments(description: str) -> argparse.Namespace:
    """--out, --steps or --minutes, --seed, --threads, --cache, --start-from."""
    parser = argparse.ArgumentParser(description=description)
    add_budget_arguments(parser)
    parser.add_argument("--start-from", type=Path, help="checkpoint whose weights to go on from (default: random)")
    return parser.parse_args()


def train(
    model: torch.nn.Module,
    draw_loss: Callable[[torch.nn.Module, torch.Generator], torch.Tensor],
    save: Callable[[torch.nn.Module, Budget, TrainingLog], None],
    args: argparse.Namespace,
    peak_learning_rate: float,
    warmup_steps: int = WARMUP_STEPS,
) -> None:
    """Muon and Adam with warm-up and cosine decay; what gets saved is an average of the weights.

    `draw_loss` draws its batch from the generator. `save` gets the average, every few minutes and at the end.
    """
    torch.set_num_threads(args.threads)
    generator = torch.Generator().manual_seed(args.seed)
    matrices, others = by_optimizer(model)
    optimizer = MuonAdam(matrices, others, lr=peak_learning_rate, weight_decay=WEIGHT_DECAY)
    averaged = copy.deepcopy(model).eval()
    budget, log = Budget(args.steps, args.minutes), TrainingLog(log_path(args.out))
    losses, next_save = [], SAVE_EVERY_SECONDS
    while budget.progress < 1:
        for group in optimizer.param_groups:
            group["lr"] = budget.learning_rate(peak_learning_rate, warmup_steps)
        loss = draw_loss(model, generator)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        budget.step += 1
        _average(averaged, model, min(AVERAGE_DECAY, (budget.step + 1) / (budget.step + 10)))
        losses.append(loss.item())
        if budget.step % LOG_EVERY_STEPS == 0:
            log.add(step=budget.step, loss=sum(losses) / len(losses), seconds=budget.elapsed_seconds)
            losses.clear()
        if budget.elapsed_seconds > next_save:
            save(averaged, budget, log)
            next_save = budget.elapsed_seconds + SAVE_EVERY_SECONDS
    save(averaged, budget, log)


def start_from(model, folder: Path | None):
    """The model with a checkpoint's weights, if one is named; parameters that it lacks keep the model's own start."""
    if folder is None:
        return model
    loaded, report = type(model).from_pretrained(
        folder, config=model.config, dtype=torch.float32, output_loading_info=True
    )
    for name in report["missing_keys"]:
        loaded.get_parameter(name).data.copy_(model.get_parameter(name))
    return loaded


def log_path(out: Path) -> Path:
    """Where the log grows: beside the folder, which is replaced as a whole; each save copies it inside."""
    return out.with_name(out.name + ".training.jsonl")


def save_half(model, args, preprocessor: dict, data: str, quality: dict, log: TrainingLog, notes: str = "") -> None:
    """Put a transformers model in place: float16 weights, image processor configuration, log and card."""

    with replace_folder(args.out) as folder:
        copy.deepcopy(model).half().to(memory_format=torch.contiguous_format).save_pretrained(folder)
        (folder / "preprocessor_config.json").write_text(json.dumps(preprocessor, indent=2) + "\n")
        shutil.copy(log_path(args.out), folder / "training.jsonl")
        describe(folder, args, data, quality, log.rows, notes)


def describe(
    folder: Path, args, data: str, quality: dict, rows: list[dict], notes: str = "", name: str | None = None
) -> None:
    """Write the card; steps and curve of the checkpoint that the training started from come first.

    notes: said instead of the usual words where the training started from a checkpoint. name: of the checkpoint, by
    default that of the folder to be written.
    """
    steps, curve = 0, []
    if args.start_from and (args.start_from / "training.json").exists():
        earlier = json.loads((args.start_from / "training.json").read_text())
        steps, curve = earlier["steps"], [tuple(point) for point in earlier["curve"]]
        notes = notes or (
            f"Trained in stages; the last one went on from a checkpoint of {steps} steps with a fresh schedule."
        )
    curve += [(steps + row["step"], row["loss"]) for row in rows if "loss" in row]
    write_card(folder, name or args.out.name, data, steps + rows[-1]["step"], args.seed, quality, curve, notes)


def by_optimizer(model: torch.nn.Module):
    """Hidden matrices and kernels for Muon; embeddings, tables, large matrices and vectors for Adam."""
    tables = {id(module.weight) for module in model.modules() if isinstance(module, torch.nn.Embedding)}
    matrices, others = [], []
    for name, weight in model.named_parameters():
        hidden = weight.ndim in (2, 4, 5) and "embed" not in name and "bias" not in name and id(weight) not in tables
        (matrices if hidden and weight.numel() <= LARGEST_MATRIX else others).append(weight)
    return matrices, others


@torch.no_grad()
def _average(averaged: torch.nn.Module, model: torch.nn.Module, keep: float) -> None:
    for slow, fast in zip(averaged.parameters(), model.parameters(), strict=True):
        slow.lerp_(fast, 1 - keep)
    for slow, fast in zip(averaged.buffers(), model.buffers(), strict=True):
        slow.copy_(fast)
