"""Named tensors to a folder of safetensors and back: each process writes and reads its own part, on any number of them.

Tensors may be plain, the same in every process, or sharded (DTensor). What two numbers of processes write differs in
files, never in content. Nothing is pickled. Knows nothing of what the tensors are for.

Source: PyTorch's torch.distributed.checkpoint with its safetensors storage.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
from torch.distributed import checkpoint as dcp
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageReader, HuggingFaceStorageWriter

from udpdiff.training.processes import is_several

# The writer holds one file in memory, twice.
_FILE_BYTES = 2**30
Tensors = Mapping[str, torch.Tensor]


def save_tensors(folder: Path, tensors: Tensors) -> None:
    """Write tensors; all processes call this together, with the same names.

    Raises:
        OSError: A process cannot write; in all of them.
    """
    folder.mkdir(exist_ok=True)
    plain = {name: tensor.detach().contiguous() for name, tensor in tensors.items()}
    writer = HuggingFaceStorageWriter(str(folder), fqn_to_index_mapping=_files(plain), save_distributed=True)
    try:
        with _quiet():
            dcp.save(plain, storage_writer=writer, no_dist=not is_several())
    except CheckpointException as error:  # of any process, in all of them
        raise next(iter(error.failures.values()))[0] from error


def load_tensors(folder: Path, tensors: Tensors, alone: bool = False) -> None:
    """Read what `save_tensors` wrote into tensors of the same names and shapes, in place, in the precision that they have.

    Args:
        folder: Of the files.
        tensors: By name; all processes call this together with the same names.
        alone: This process reads by itself, and others wait or do something else.

    Raises:
        ValueError: The folder lacks one of them, or holds it in another shape.
    """
    reader = HuggingFaceStorageReader(str(folder))
    stored = {name: tuple(entry.size) for name, entry in reader.read_metadata().state_dict_metadata.items()}
    for name, tensor in tensors.items():
        if stored.get(name) != tuple(tensor.shape):
            raise ValueError(
                f"{folder}: got {name!r} of shape {stored.get(name)}, expected {tuple(tensor.shape)}. It was written by"
                " another network."
            )
    with torch.no_grad(), _quiet():
        detached = {name: tensor.detach() for name, tensor in tensors.items()}
        dcp.load(detached, storage_reader=reader, no_dist=alone or not is_several())


def _files(tensors: Tensors) -> dict[str, int]:
    """Return which file each tensor goes to, from 1; a file is written once it is full."""
    number, filled, files = 1, 0, {}
    for name, tensor in tensors.items():
        size = tensor.numel() * tensor.element_size()
        if filled and filled + size > _FILE_BYTES:
            number, filled = number + 1, 0
        files[name], filled = number, filled + size
    return files


@contextmanager
def _quiet():
    """Silence what torch warns of a single process."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=UserWarning, module="torch.distributed.checkpoint")
        yield
