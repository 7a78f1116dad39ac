"""What a training's checkpoints may be continued by: the same settings on the same data from the same base."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from udpdiff.storage.dataset import LatentSource
from udpdiff.storage.shards import digest
from udpdiff.training.settings import TrainingSettings

_CHUNK_BYTES = 2**22


def fingerprint(settings: TrainingSettings, source: LatentSource, base_folder: str) -> dict[str, Any]:
    """Return the parts that decide the weights and a `fingerprint` over all of them, json-able."""
    parts = {
        "settings": settings.deciding(),
        "data_sha256": source.digest(),
        "base_sha256": folder_digest(Path(base_folder), ("transformer", "scheduler")),
    }
    return parts | {"fingerprint": digest(parts)}


def folder_digest(folder: Path, subfolders: tuple[str, ...]) -> str:
    """Return the sha256 (hex) of the json and safetensors files in some subfolders, names and content."""
    total = hashlib.sha256()
    for subfolder in subfolders:
        for path in sorted((folder / subfolder).iterdir()):
            if path.suffix in (".json", ".safetensors"):
                total.update(f"{subfolder}/{path.name}\0".encode())
                with open(path, "rb") as file:
                    while chunk := file.read(_CHUNK_BYTES):
                        total.update(chunk)
    return total.hexdigest()
