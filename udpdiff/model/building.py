"""The transformer of a run at step 0, built without storage and then filled tensor by tensor from the base's files.

So memory holds one network and one tensor, however many processes build it, and a network whose parameters are sharded
holds this process's part alone. Knows nothing of training.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from pathlib import Path

import torch
from diffusers import CogVideoXTransformer3DModel
from torch import nn
from torch.distributed.tensor import DTensor, distribute_tensor

from udpdiff.model.expansion import LAYERS, InitIn, InitOut, widened_config, widened_layers
from udpdiff.model.stored_weights import StoredWeights
from udpdiff.model.transformer import UDPDiffTransformer3DModel

Named = Iterator[tuple[str, torch.Tensor]]
ADDED_LAYERS = ("task_embedding", "stream_projections")  # those that no base has; they start at zero


def task_rows(tasks: Sequence[str], task_condition: str) -> int:
    """Return how many tasks an embedding must tell apart: none for a single one, or where prompts name the task."""
    return len(tasks) if task_condition == "embedding" and len(tasks) > 1 else 0


def empty_transformer(folder: str | Path, tasks: Sequence[str], task_condition: str) -> CogVideoXTransformer3DModel:
    """Return the transformer of a run on the meta device, float32: the base's own for a run without tasks.

    Args:
        folder: Of the base checkpoint.
        tasks: Of the run, in the order of the rows of the task embedding.
        task_condition: `embedding` or `text`.
    """
    config = CogVideoXTransformer3DModel.load_config(folder, subfolder="transformer")
    kind: type[CogVideoXTransformer3DModel] = CogVideoXTransformer3DModel
    if tasks:
        # Through a model's own configuration, which has the defaults that a stored one may leave out.
        with torch.device("meta"):
            full = CogVideoXTransformer3DModel.from_config(config | {"num_layers": 0}).config
        full = dict(full) | {"num_layers": config.get("num_layers", full["num_layers"])}
        config, kind = widened_config(full, task_rows(tasks, task_condition)), UDPDiffTransformer3DModel
    with torch.device("meta"):
        return kind.from_config(config)


def starting_weights(
    folder: str | Path, transformer: CogVideoXTransformer3DModel, init_in: InitIn, init_out: InitOut, seed: int
) -> Named:
    """Return the float32 weights of a run at step 0, which are read one at a time, on the CPU.

    Args:
        folder: Of the base checkpoint.
        transformer: What they are for, from `empty_transformer`.
        init_in: As in `expand_transformer`, as is init_out.
        seed: The random part of the widening depends on it alone.

    Raises:
        ValueError: The base lacks a weight of the network.
    """
    stored = StoredWeights(Path(folder) / "transformer")
    widened: dict[str, torch.Tensor] = {}
    if isinstance(transformer, UDPDiffTransformer3DModel):
        narrow = {name: stored[name].float() for name in LAYERS}
        streams = transformer.config.num_streams
        channels = transformer.config.in_channels // streams, transformer.config.out_channels // streams
        widened = widened_layers(narrow, channels, init_in, init_out, torch.Generator().manual_seed(seed), streams - 1)
    shapes = {name: parameter.shape for name, parameter in transformer.named_parameters()}
    missing = [name for name in shapes if name not in stored and not _is_added(name)]
    if missing:
        raise ValueError(
            f"{folder}/transformer: got no weight {missing[0]!r} ({len(missing)} are missing), expected a whole CogVideoX"
            " base. Fetch it again."
        )
    return _read_each(stored, widened, shapes)


def _read_each(stored: StoredWeights, widened: Mapping[str, torch.Tensor], shapes: Mapping[str, torch.Size]) -> Named:
    for name, shape in shapes.items():
        if name in widened:
            yield name, widened[name]
        else:
            yield name, torch.zeros(shape) if _is_added(name) else stored[name].float()


def _is_added(name: str) -> bool:
    """Return whether no base has this weight."""
    return any(layer in name for layer in ADDED_LAYERS)


def materialise(transformer: CogVideoXTransformer3DModel, device: torch.device | str) -> None:
    """Give a network from `empty_transformer` storage on a device, its parameters not yet filled, its tables complete."""
    transformer.to_empty(device=device)
    # A network without blocks is small, and has the same tables: the positional embedding of CogVideoX-2B.
    tables = type(transformer).from_config(dict(transformer.config) | {"num_layers": 0})
    for name, table in tables.named_buffers():
        module, _, attribute = name.rpartition(".")
        setattr(transformer.get_submodule(module), attribute, table.to(device))


@torch.no_grad()
def fill(transformer: nn.Module, weights: Named, rename: Callable[[str], str] = str, skip: Container[str] = ()) -> None:
    """Copy weights into a network's parameters; of a sharded one, into this process's part.

    Args:
        transformer: Its parameters have storage.
        weights: Whole tensors, by the names that they are stored under.
        rename: From such a name to the network's own.
        skip: The network's names of those that are filled otherwise.
    """
    parameters = dict(transformer.named_parameters())
    for stored_name, weight in weights:
        if (name := rename(stored_name)) not in skip:
            copy_into(parameters[name], weight)


@torch.no_grad()
def copy_into(parameter: torch.Tensor, whole: torch.Tensor) -> None:
    """Copy a whole tensor into a parameter of its shape, or into this process's part of it."""
    whole = whole.to(parameter.device, parameter.dtype)
    if isinstance(parameter, DTensor):
        # Every process has read the whole tensor, so nothing is sent.
        part = distribute_tensor(whole, parameter.device_mesh, parameter.placements, src_data_rank=None)
        parameter.to_local().copy_(part.to_local())
    else:
        parameter.copy_(whole)
