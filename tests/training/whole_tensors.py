"""All tensors of a part of a checkpoint, for a test to look at."""

from __future__ import annotations

from pathlib import Path

import torch
from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageReader

from udpdiff.training.tensor_files import load_tensors


def read_whole(folder: Path) -> dict[str, torch.Tensor]:
    """Return all tensors of a folder, whole, on the CPU."""
    metadata = HuggingFaceStorageReader(str(folder)).read_metadata().state_dict_metadata
    tensors = {name: torch.empty(entry.size, dtype=entry.properties.dtype) for name, entry in metadata.items()}
    load_tensors(folder, tensors, alone=True)
    return tensors
