"""How mini checkpoints are stored: in float16 for their size, loaded in the type their config names."""

from __future__ import annotations

import json
from pathlib import Path


def save_half_weights(model, folder: str | Path) -> None:
    """Store float16 weights without touching the float32 ones in training; the config says float32, so they load as that."""
    half = {name: value.detach().half().contiguous() for name, value in model.state_dict().items()}
    model.save_pretrained(folder, state_dict=half)


def forget_source(folder: Path) -> None:
    """Drop from a saved model's config the path that it once was loaded from, which means nothing elsewhere."""
    path = folder / "config.json"
    config = json.loads(path.read_text())
    config.pop("_name_or_path", None)
    path.write_text(json.dumps(config, indent=2) + "\n")
