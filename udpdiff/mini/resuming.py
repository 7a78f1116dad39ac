"""The state of an unfinished training of a mini checkpoint, kept beside its folder, from which a killed one goes on.

Weights, optimizer, running mean, random generators and log, in one file that is replaced whole. It says which training it
is of: another stage, seed, length or start begins anew.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers.training_utils import EMAModel

from udpdiff.storage.digests import digest
from udpdiff.storage.files import written_file


class SavedState:
    """The state of one training on disk.

    Args:
        folder: Of the checkpoint; the state lies beside it.
        training: Words that tell this training from others.
        model, optimizer, average, generator, rng: What it is made of.
    """

    def __init__(
        self,
        folder: Path,
        training: str,
        model: torch.nn.Module,
        optimizer: torch.optim.Optimizer,
        average: EMAModel,
        generator: torch.Generator,
        rng: np.random.Generator,
    ) -> None:
        self.path = folder.with_name(f".{folder.name}.state")
        # A state of another architecture is of another training.
        shapes = {name: list(weight.shape) for name, weight in model.named_parameters()}
        self._training = f"{training} {digest(shapes)}"
        self._parts = {"model": model, "optimizer": optimizer, "average": average}
        self._generator, self._rng = generator, rng

    def write(self, **progress: Any) -> None:
        """Replace the state by that of now; `progress` is plain data, which `restore` returns."""
        state = {
            "training": self._training,
            **{name: part.state_dict() for name, part in self._parts.items()},
            "generator": self._generator.get_state(),
            "torch": torch.get_rng_state(),
            "numpy": json.dumps(self._rng.bit_generator.state),  # holds integers of 128 bits
            "progress": progress,
        }
        with written_file(self.path) as staging:
            torch.save(state, staging)

    def restore(self) -> dict[str, Any] | None:
        """Go on from the state, if there is one of this very training; return its progress."""
        if not self.path.exists():
            return None
        device = next(self._parts["model"].parameters()).device
        state = torch.load(self.path, weights_only=True, map_location=device)
        if state["training"] != self._training:
            return None
        for name, part in self._parts.items():
            part.load_state_dict(state[name])
        self._generator.set_state(state["generator"].cpu())
        torch.set_rng_state(state["torch"].cpu())
        self._rng.bit_generator.state = json.loads(state["numpy"])
        return state["progress"]

    def remove(self) -> None:
        """The training is at its end."""
        self.path.unlink(missing_ok=True)
