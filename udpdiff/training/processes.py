"""The processes of one training: who is first, and how they agree. One process alone agrees with itself.

Knows nothing of models.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar

from accelerate import Accelerator
from accelerate.utils import DistributedDataParallelKwargs, DistributedType, InitProcessGroupKwargs
from torch import distributed

Value = TypeVar("Value")


class OtherProcessFailed(RuntimeError):
    """The process that decides for all has failed; its own message says why."""


# Processes wait for each other while one hashes a large base; ten minutes, NCCL's own limit, are too few.
_PATIENCE = timedelta(hours=2)
_ALLOWED = (DistributedType.NO, DistributedType.MULTI_GPU, DistributedType.MULTI_CPU)


def start_processes(mixed_precision: str, cpu: bool = False) -> Accelerator:
    """Join the processes that were started together, as RANK and WORLD_SIZE say; one alone without them.

    Args:
        mixed_precision: "no", bf16 or fp16.
        cpu: Leave GPUs alone.

    Raises:
        ValueError: accelerate was configured for another kind of training, or did not join the others.
    """
    handlers = [DistributedDataParallelKwargs(gradient_as_bucket_view=True), InitProcessGroupKwargs(timeout=_PATIENCE)]
    accelerator = Accelerator(mixed_precision=mixed_precision, cpu=cpu, kwargs_handlers=handlers)
    if accelerator.distributed_type not in _ALLOWED:
        raise ValueError(
            f"Got accelerate's {accelerator.distributed_type.value}, expected one process or several equal ones: sharding"
            " is chosen by training.sharding. Unset accelerate's own configuration."
        )
    started = int(os.environ.get("WORLD_SIZE") or 1)
    if started != accelerator.num_processes:
        raise ValueError(
            f"WORLD_SIZE: got {started} processes of which {accelerator.num_processes} joined, expected all. Each would"
            " train by itself; start them by `python -m scripts.launch` or torchrun."
        )
    return accelerator


def is_several() -> bool:
    """Return whether there is more than one process."""
    return distributed.is_initialized() and distributed.get_world_size() > 1


def position() -> tuple[int, int]:
    """Return this process's number and how many there are."""
    return (distributed.get_rank(), distributed.get_world_size()) if is_several() else (0, 1)


def from_first(value: Value) -> Value:
    """Return the value that the first process gave, in all of them."""
    if not is_several():
        return value
    box = [value]
    distributed.broadcast_object_list(box, src=0)
    return box[0]


def first_does(action: Callable[[], Value]) -> Value:
    """Return what an action gives in the first process, in all of them; where it fails, all stop.

    Raises:
        OtherProcessFailed: In the others, where the first one raises an error of its own.
    """
    if not is_several():
        return action()
    if position()[0]:
        value, failure = from_first((None, None))
        if failure:
            raise OtherProcessFailed(f"the first process stopped: {failure}")
        return value
    try:
        value = action()
    except BaseException as error:
        from_first((None, repr(error)))
        raise
    return from_first((value, None))[0]


def from_all(value: Value) -> list[Value]:
    """Return what each process gave, in their order."""
    if not is_several():
        return [value]
    values: list[Any] = [None] * distributed.get_world_size()
    distributed.all_gather_object(values, value)
    return values


def wait_for_all() -> None:
    """Return once every process has come here."""
    from_all(None)
