"""Mini checkpoints of transformers' classes: stored in float16 for their size, loaded in the type their config names."""

from __future__ import annotations

from pathlib import Path


def save_half_weights(model, folder: str | Path) -> None:
    """Store float16 weights without touching the float32 ones in training; the config says float32, so they load as that."""
    half = {name: value.detach().half().contiguous() for name, value in model.state_dict().items()}
    model.save_pretrained(folder, state_dict=half)
