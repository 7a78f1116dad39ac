"""Weights of a diffusers folder, read tensor by tensor: none is in memory before it is asked for.

One safetensors file, or several with an index, as published checkpoints have them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

_FILE = "diffusion_pytorch_model.safetensors"


class StoredWeights(Mapping[str, torch.Tensor]):
    """Name -> tensor on the CPU, in the stored dtype, of one model's folder.

    Raises:
        ValueError: There are no safetensors, or the index names a file that is missing or cut short.
    """

    def __init__(self, folder: str | Path) -> None:
        self._folder = Path(folder)
        self._opened: dict[str, Any] = {}
        index = self._folder / f"{_FILE}.index.json"
        if index.is_file():
            self._files: dict[str, str] = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
        elif (self._folder / _FILE).is_file():
            self._files = dict.fromkeys(self._open(_FILE).keys(), _FILE)
        else:
            raise ValueError(
                f"{self._folder}: got neither {_FILE} nor its index, expected the weights of a diffusers model. Save the"
                " model with `save_pretrained`, which writes safetensors."
            )

    def __getitem__(self, name: str) -> torch.Tensor:
        return self._open(self._files[name]).get_tensor(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)

    def _open(self, name: str) -> Any:
        try:
            if name not in self._opened:
                self._opened[name] = safe_open(self._folder / name, framework="pt")
            return self._opened[name]
        except (OSError, SafetensorError) as error:
            raise ValueError(
                f"{self._folder / name}: got a file that cannot be read ({error}), expected safetensors. Fetch it again."
            ) from None
