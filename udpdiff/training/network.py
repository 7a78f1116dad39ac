"""The network of a run at step 0, in the form that its processes train it in: whole in each, or sharded over all."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
from diffusers import CogVideoXTransformer3DModel
from torch import distributed, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard

from udpdiff.model.building import copy_into, empty_transformer, fill, materialise, starting_weights
from udpdiff.model.lora import add_lora
from udpdiff.model.streams import Streams
from udpdiff.storage.digests import digest
from udpdiff.training.compilation import compile_blocks
from udpdiff.training.settings import TrainingSettings

DTYPES = {"no": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
_WRAPPED = ".base_layer"  # what peft puts into the names of layers that it wraps


def starting_transformer(
    settings: TrainingSettings,
    folder: str,
    device: torch.device | str = "cpu",
    shard: Callable[[nn.Module], None] | None = None,
    skip_trained: bool = False,
) -> CogVideoXTransformer3DModel:
    """Return the network of a run at step 0, with its low-rank updates if it has some.

    Trained weights are float32. Frozen ones, of a run with low-rank updates, are kept in the precision they are used in.

    Args:
        settings: Of the run.
        folder: Of the base checkpoint.
        device: Where its weights lie.
        shard: Applied before there are any weights, see `shard_over_processes`.
        skip_trained: Leave the trained weights unfilled, for a checkpoint to fill.
    """
    transformer = empty_transformer(folder, tuple(settings.tasks), settings.task_condition)
    weights = starting_weights(folder, transformer, settings.init_in, settings.init_out, settings.seed)
    if settings.lora_rank:
        with torch.device("meta"):
            add_lora(transformer, settings.lora_rank)
        for parameter in transformer.parameters():
            if not parameter.requires_grad:
                parameter.data = parameter.data.to(DTYPES[settings.mixed_precision])
    if settings.compile:
        compile_blocks(transformer)
    if shard:
        shard(transformer)
    materialise(transformer, device)
    parameters = dict(transformer.named_parameters())
    trained = {name for name, parameter in parameters.items() if parameter.requires_grad}
    wrapped = {name.replace(_WRAPPED, ""): name for name in parameters if _WRAPPED in name}
    fill(transformer, weights, lambda name: wrapped.get(name, name), skip=trained if skip_trained else ())
    if not skip_trained:
        _start_low_rank(parameters, settings.seed)
    return transformer


def _start_low_rank(parameters: Mapping[str, torch.Tensor], seed: int) -> None:
    """Start low-rank updates as peft does, the first factor at random and the second at zero.

    Each depends on the seed and its own name alone.
    """
    for name, parameter in parameters.items():
        if "lora_A" in name:
            generator = torch.Generator().manual_seed(int(digest([seed, name])[:15], 16))
            whole = torch.empty(parameter.shape)
            copy_into(parameter, nn.init.kaiming_uniform_(whole, a=math.sqrt(5), generator=generator))
        elif "lora_B" in name:
            copy_into(parameter, torch.zeros(parameter.shape))


def shard_over_processes(mixed_precision: str, device: torch.device) -> Callable[[CogVideoXTransformer3DModel], None]:
    """Return what shards a network's parameters over all processes: each block is gathered when it computes.

    Shards are float32, computation is in `mixed_precision`, gradients are summed in float32.

    Args:
        mixed_precision: "no" or bf16.
        device: Of this process.

    Source: PyTorch's FSDP2, torch.distributed.fsdp.fully_shard.
    """
    mesh = init_device_mesh(device.type, (distributed.get_world_size(),))
    # Inputs stay as they are, the rotary table float32 as at sampling: autocast rounds what a layer wants rounded.
    policy = MixedPrecisionPolicy(
        param_dtype=DTYPES[mixed_precision], reduce_dtype=torch.float32, cast_forward_inputs=False
    )

    def shard(transformer: CogVideoXTransformer3DModel) -> None:
        for block in transformer.transformer_blocks:
            fully_shard(block, mesh=mesh, mp_policy=policy)
        fully_shard(transformer, mesh=mesh, mp_policy=policy)

    return shard


def is_sharded(transformer: nn.Module) -> bool:
    """Return whether the parameters are shards."""
    return isinstance(transformer, FSDPModule)


def run_streams(settings: TrainingSettings, transformer: CogVideoXTransformer3DModel) -> Streams:
    """Return the streams of a run of the workflow: the video, and one dense stream that shows its tasks in turn."""
    channels = transformer.config.in_channels // (2 if settings.tasks else 1)
    return Streams.in_turn(tuple(settings.tasks), channels, settings.dense_weight)
