"""The training loop of all mini checkpoints, and what a trainer of one has to bring.

It knows nothing of any model: a `Trainer` brings model, recipe, loss, measure and a way to save.
"""

from __future__ import annotations

import copy
import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from diffusers.training_utils import EMAModel
from safetensors import SafetensorError

from udpdiff.mini.card import earlier_training, write_card
from udpdiff.mini.resuming import SavedState
from udpdiff.mini.scenes import HELD_OUT_SEED, Scenes, load_scenes
from udpdiff.sources.scenes import SceneClip, SceneSettings, render_clip
from udpdiff.storage.errors import writing
from udpdiff.storage.files import replace_folder
from udpdiff.training.muon import MuonAdam
from udpdiff.training.optimizer import weight_average

LOG_EVERY_STEPS, SAVE_EVERY_SECONDS = 20, 600


def cosine(progress: float, floor: float = 0.01) -> float:
    """Share of the peak learning rate: half a cosine from 1 down to `floor`."""
    return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * progress))


@dataclass(frozen=True)
class Recipe:
    """How weights are moved: Muon for matrices, Adam for the rest, one learning rate for both.

    schedule: share of the peak at a progress in [0, 1], after warmup_steps. average_decay: of the running mean of the
    weights, which is what gets measured and saved; with 0 it is the weights themselves. adam_names, largest_matrix: see
    `split_parameters`; adam_ratio: see `MuonAdam`.
    """

    peak_learning_rate: float
    warmup_steps: int = 100
    schedule: Callable[[float], float] = cosine
    average_decay: float = 0.998
    weight_decay: float = 0.02
    adam_ratio: float = 1.0
    adam_names: tuple[str, ...] = ("embed", "bias")
    largest_matrix: float = 50_000

    def learning_rate(self, budget: Budget) -> float:
        """That of the step to come."""
        warmup = min(1.0, (budget.step + 1) / self.warmup_steps)
        return self.peak_learning_rate * warmup * self.schedule(budget.progress)


class Budget:
    """A training's length in steps (reproducible) or minutes (as far as this machine gets), as progress in [0, 1]."""

    def __init__(self, steps: int | None, minutes: float | None = None) -> None:
        if (steps is None) == (minutes is None):
            raise ValueError(f"got steps={steps}, minutes={minutes}; expected exactly one of --steps and --minutes")
        self.steps, self.seconds = steps, None if minutes is None else 60 * minutes
        self.go_on(0, 0.0)

    def go_on(self, step: int, elapsed_seconds: float) -> None:
        """Count from so many steps and seconds on."""
        self.step, self.started = step, time.monotonic() - elapsed_seconds

    @property
    def elapsed_seconds(self) -> float:
        return time.monotonic() - self.started

    @property
    def progress(self) -> float:
        done = self.step / self.steps if self.steps else self.elapsed_seconds / self.seconds
        return min(1.0, done)


@dataclass(frozen=True)
class Options:
    """One training of a stage: where its folder goes, for how long, and the folders it starts from (see `stages`).

    cache: folder of rendered scenes, by default in the temporary one. device, batch: where the base model is trained,
    and on how many clips a step (None: the stage's own); the other stages are made for a CPU and have their own batches.
    """

    stage: str
    out: Path
    steps: int | None
    minutes: float | None = None
    seed: int = 0
    start_from: Path | None = None
    vae: Path | None = None
    cache: Path | None = None
    device: str = "cpu"
    batch: int | None = None


class Trainer:
    """What is trained. A subclass sets in `__init__`: model, recipe and `data`, words for the card.

    name: of the checkpoint on its card. notes: a paragraph on what a reader would not expect. continues: whether
    start_from is an earlier state of the same checkpoint, whose steps and curve the card counts. Random draws come from
    `generator`, or from `rng` where numpy draws.
    """

    name: str
    model: torch.nn.Module
    recipe: Recipe
    data: str
    notes = ""
    continues = True
    on_any_device = False  # whether loss and measure follow the model to options.device, and options.batch is heard
    train_scenes: int
    held_out_scenes: int

    def __init__(self, options: Options) -> None:
        if not self.on_any_device and (options.device != "cpu" or options.batch):
            raise ValueError(
                f"stage {options.stage}: got a device or a batch of its own; it trains on the CPU, as it is"
            )
        self.options = options
        self.generator = torch.Generator().manual_seed(options.seed)
        self.rng = np.random.default_rng(options.seed)

    @property
    def second(self) -> bool:
        """Whether the training goes on from a trained folder."""
        return self.options.start_from is not None

    def loss(self, budget: Budget) -> torch.Tensor:
        """The loss of one random batch."""
        raise NotImplementedError

    def measure(self, model: torch.nn.Module, finished: bool) -> dict[str, float]:
        """Quality on held-out scenes, on few of them unless finished. May change what is then saved of the model."""
        raise NotImplementedError

    def save(self, model: torch.nn.Module, folder: Path) -> None:
        """Write the checkpoint; log and card are added to it."""
        raise NotImplementedError

    def load_scenes(self, settings: SceneSettings) -> Scenes:
        """The scenes to train on."""
        return load_scenes(settings, 0, self.train_scenes, self.options.cache)

    def load_held_out(self, settings: SceneSettings) -> Scenes:
        """Scenes that nothing is trained on."""
        return load_scenes(settings, HELD_OUT_SEED, self.held_out_scenes, self.options.cache)

    def render_held_out(self, settings: SceneSettings) -> list[SceneClip]:
        """The same with all their truth."""
        return [render_clip(settings, HELD_OUT_SEED + index) for index in range(self.held_out_scenes)]


def train(trainer: Trainer) -> dict[str, float]:
    """Train, printing a line every few steps; put the checkpoint in place every few minutes and at the end.

    What a killed training left goes on from its last checkpoint, to the same end.

    Returns:
        The quality of the finished checkpoint on held-out scenes.
    """
    model, recipe = trainer.model.to(trainer.options.device), trainer.recipe
    parts = split_parameters(model, recipe.adam_names, recipe.largest_matrix)
    optimizer = MuonAdam(
        *parts, lr=recipe.peak_learning_rate, weight_decay=recipe.weight_decay, adam_ratio=recipe.adam_ratio
    )
    average = weight_average(model.parameters(), recipe.average_decay)
    budget, log, losses = Budget(trainer.options.steps, trainer.options.minutes), [], []
    training = repr(replace(trainer.options, cache=None))
    saved = SavedState(trainer.options.out, training, model, optimizer, average, trainer.generator, trainer.rng)
    if state := saved.restore():
        budget.go_on(state["step"], state["seconds"])
        log, losses = state["log"], state["losses"]
    next_save = budget.elapsed_seconds + SAVE_EVERY_SECONDS
    while budget.progress < 1:
        for group in optimizer.param_groups:
            group["lr"] = recipe.learning_rate(budget)
        loss = trainer.loss(budget)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        budget.step += 1
        average.step(model.parameters())
        losses.append(loss.item())
        if budget.step % LOG_EVERY_STEPS == 0:
            _write_line(log, budget, loss=sum(losses) / len(losses))
            losses.clear()
        if budget.elapsed_seconds > next_save and budget.progress < 1:
            _export(trainer, averaged_copy(model, average), budget, log)
            saved.write(step=budget.step, seconds=budget.elapsed_seconds, log=log, losses=losses)
            next_save = budget.elapsed_seconds + SAVE_EVERY_SECONDS
    quality = _export(trainer, averaged_copy(model, average), budget, log)
    saved.remove()
    return quality


def split_parameters(
    model: torch.nn.Module, adam_names: tuple[str, ...], largest_matrix: float
) -> tuple[list[torch.nn.Parameter], list[torch.nn.Parameter]]:
    """The trained weights of a model: hidden matrices and kernels for Muon, and the others for Adam.

    Adam gets vectors, embedding tables, weights with one of `adam_names` in their name, and those of more than
    `largest_matrix` numbers, where orthogonalising costs more of a CPU's step than it gains.
    """
    tables = {id(module.weight) for module in model.modules() if isinstance(module, torch.nn.Embedding)}
    matrices, others = [], []
    for name, weight in model.named_parameters():
        if not weight.requires_grad:
            continue
        hidden = weight.ndim in (2, 4, 5) and id(weight) not in tables and not any(part in name for part in adam_names)
        (matrices if hidden and weight.numel() <= largest_matrix else others).append(weight)
    return matrices, others


@torch.no_grad()
def averaged_copy(model: torch.nn.Module, average: EMAModel) -> torch.nn.Module:
    """A frozen copy of the model that holds the average of its weights."""
    copied = copy.deepcopy(model).eval().requires_grad_(False)
    for weight, mean in zip(copied.parameters(), average.shadow_params, strict=True):
        weight.copy_(mean)
    return copied


def _export(trainer: Trainer, model: torch.nn.Module, budget: Budget, log: list[dict]) -> dict[str, float]:
    quality = trainer.measure(model, finished=budget.progress == 1)
    quality = {name: round(value, 4) if isinstance(value, float) else value for name, value in quality.items()}
    _write_line(log, budget, **quality)
    options, notes = trainer.options, [trainer.notes] if trainer.notes else []
    steps, curve = earlier_training(options.start_from) if trainer.continues else (0, [])
    if steps:
        notes.append(f"The last stage went on from a checkpoint of {steps} steps with a fresh schedule.")
    curve = curve + [(steps + row["step"], row["loss"]) for row in log if "loss" in row]
    with replace_folder(options.out) as folder, writing(options.out, SafetensorError):
        trainer.save(model.to("cpu"), folder)
        (folder / "training.jsonl").write_text("".join(json.dumps(row) + "\n" for row in log))
        write_card(
            folder,
            name=trainer.name,
            data=trainer.data,
            steps=steps + budget.step,
            seed=options.seed,
            quality=quality,
            curve=curve,
            notes="\n\n".join(notes),
        )
    return quality


def _write_line(log: list[dict], budget: Budget, **values: float) -> None:
    """Add {"step", "loss" or figures of quality, "seconds"} to the log and print it."""
    row = {"step": budget.step, **values, "seconds": budget.elapsed_seconds}
    log.append({name: round(value, 5) if isinstance(value, float) else value for name, value in row.items()})
    print(json.dumps(log[-1]), flush=True)


def save_half(model: torch.nn.Module, folder: Path) -> None:
    """Write a model of transformers or diffusers in float16 for its size; its config says float32, so it loads as that."""
    copy.deepcopy(model).half().to(memory_format=torch.contiguous_format).save_pretrained(folder)
    path = folder / "config.json"
    config = json.loads(path.read_text())
    config.pop("_name_or_path", None)  # where it was once loaded from, which means nothing elsewhere
    if "dtype" in config:
        config["dtype"] = "float32"
    path.write_text(json.dumps(config, indent=2) + "\n")
