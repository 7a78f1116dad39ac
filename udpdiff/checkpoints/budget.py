"""How long a mini checkpoint trains, what it logs and averages; knows no particular model."""

from __future__ import annotations

import json
import math
import time
from pathlib import Path


class Budget:
    """A training's length in steps (reproducible) or minutes (as far as this machine gets), as progress in [0, 1]."""

    def __init__(self, steps: int | None, minutes: float | None) -> None:
        if (steps is None) == (minutes is None):
            raise ValueError(f"got steps={steps}, minutes={minutes}; expected exactly one of --steps and --minutes")
        self.steps, self.seconds = steps, None if minutes is None else 60 * minutes
        self.step = 0
        self.started = time.monotonic()

    @property
    def elapsed_seconds(self) -> float:
        return time.monotonic() - self.started

    @property
    def progress(self) -> float:
        done = self.step / self.steps if self.steps else self.elapsed_seconds / self.seconds
        return min(1.0, done)

    def learning_rate(self, peak: float, warmup_steps: int, floor: float = 0.01) -> float:
        """Linear warm-up, then a cosine from peak down to floor * peak."""
        cosine = floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * self.progress))
        return peak * min(1.0, (self.step + 1) / warmup_steps) * cosine


def add_budget_arguments(parser) -> None:
    """The options every trainer shares: --out, --steps or --minutes, --seed, --threads, --cache."""
    parser.add_argument("--out", type=Path, required=True, help="folder of the checkpoint")
    parser.add_argument("--steps", type=int, help="optimizer steps (reproducible)")
    parser.add_argument("--minutes", type=float, help="stop after this time instead of a number of steps")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")
    parser.add_argument("--cache", type=Path, default=None, help="where rendered scenes are kept (default: tmp)")


class TrainingLog:
    """Appends {"step", "loss", "seconds", ...} lines to a file and keeps them for the card's curve."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path, self.rows = path, []
        path.write_text("")

    def add(self, **values: float) -> None:
        row = {name: round(value, 5) if isinstance(value, float) else value for name, value in values.items()}
        self.rows.append(row)
        with self.path.open("a") as file:
            file.write(json.dumps(row) + "\n")


def follow(average, model, decay: float) -> None:
    """Move the parameters of `average`, an exponential moving average of `model`, by 1 - decay towards the model's."""
    import torch

    with torch.no_grad():
        torch._foreach_lerp_(list(average.parameters()), list(model.parameters()), 1 - decay)
