"""Wall-clock seconds per stage of a call, honest on a GPU, where work is queued before it is done."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def timed(timings: dict[str, float], stage: str, device: torch.device) -> Iterator[None]:
    """Add the seconds spent in the block to `timings[stage]`, waiting for the device at both ends."""
    _synchronize(device)
    start = time.perf_counter()
    try:
        yield
    finally:
        _synchronize(device)
        timings[stage] = timings.get(stage, 0.0) + time.perf_counter() - start


def _synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


@contextmanager
def timed_parts(pipeline) -> Iterator[dict[str, float]]:
    """Time the parts of one call of any CogVideoX pipeline: `text_encoder`, `vae`, and `transformer` for the rest.

    Yields the dict that is filled; set its `total` inside the block. Works on the stock pipeline as on ours.
    """
    timings: dict[str, float] = {"text_encoder": 0.0, "vae": 0.0}
    stages = {"encode_prompt": "text_encoder", "decode_latents": "vae"}
    originals = {method: getattr(pipeline, method) for method in stages}

    def wrapped(method: str):
        def call(*args, **kwargs):
            with timed(timings, stages[method], pipeline._execution_device):
                return originals[method](*args, **kwargs)

        return call

    for method in stages:
        setattr(pipeline, method, wrapped(method))
    try:
        yield timings
        timings["transformer"] = timings["total"] - timings["text_encoder"] - timings["vae"]
    finally:
        for method in stages:
            delattr(pipeline, method)
