"""Checks of what a sampling call asks for, made before any model runs; each error says got, expected, remedy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from diffusers import CogVideoXDDIMScheduler, CogVideoXDPMScheduler

from udpdiff.model.streams import Streams


def check_streams(streams: Streams, tasks: Sequence[str], task_condition: str) -> None:
    """Raise ValueError unless all tasks share one dense stream, or each has one of its own and no prompt names it."""
    dense = {stream.name: stream.tasks for stream in streams.dense}
    served = [task for names in dense.values() for task in names]
    several = len(dense) > 1
    if sorted(served) != sorted(tasks) or (several and any(len(names) != 1 for names in dense.values())):
        raise ValueError(
            f"Got streams {dense} for the tasks {list(tasks)}, expected one stream for all of them or one for each."
        )
    if several and task_condition == "text":
        raise ValueError(
            f"Got task_condition='text' for streams {dense}, expected 'embedding': a prompt names one task."
        )


def check_transformer(config: Any, streams: Streams, num_tasks: int) -> None:
    """Raise ValueError unless the transformer has the channels of the streams, and a row for each task that needs one.

    num_tasks: How many tasks an embedding tells apart; 0 for none.
    """
    got = (config.in_channels, config.out_channels, getattr(config, "num_streams", 1))
    if got != (streams.total_channels, streams.total_channels, len(streams)):
        raise ValueError(
            f"Got a transformer with {got[0]} input and {got[1]} output channels for {got[2]} stream(s), expected"
            f" {streams.total_channels} of both: the VAE's {streams.channels} for each of {streams.names}. Widen a"
            " CogVideoX base with udpdiff.model.expansion.expand_transformer."
        )
    if num_tasks and config.num_tasks not in (0, num_tasks):
        raise ValueError(
            f"Got a transformer with num_tasks={config.num_tasks} for {num_tasks} tasks, expected a row for each. Name"
            " the tasks that it was trained on, in their order, or widen a base with as many rows."
        )


def check_conditions(
    conditions: Mapping[str, torch.Tensor], streams: Streams, independent: bool, shape: tuple[int, ...]
) -> None:
    """Raise ValueError unless the model can take conditions, and some streams are given latents (B, F, C, h, w)."""
    if conditions and not independent:
        raise ValueError(
            f"Got conditions {list(conditions)}, expected none: this transformer has independent_timesteps=False. Train"
            " one widened with expand_transformer(..., independent_timesteps=True)."
        )
    if not set(conditions) < set(streams.names):
        raise ValueError(f"Got conditions {list(conditions)}, expected some of {streams.names}, but not all.")
    for name, latents in conditions.items():
        if tuple(latents.shape) != shape:
            raise ValueError(
                f"Got conditions[{name!r}] of shape {tuple(latents.shape)}, expected {shape}: clean latents, as"
                " udpdiff.model.latents.encode_videos makes them of clips of the size that is asked for."
            )


def check_size(height: int, width: int, num_frames: int, pixel_multiple: int, frame_multiple: int) -> None:
    """Raise ValueError for a size the model cannot tile, where diffusers would crash late or return fewer frames."""
    if height % pixel_multiple or width % pixel_multiple:
        raise ValueError(
            f"Got height {height} and width {width}, expected multiples of {pixel_multiple} (VAE factor times patch"
            f" size). The nearest below are {height - height % pixel_multiple} and {width - width % pixel_multiple}."
        )
    if (num_frames - 1) % frame_multiple:
        nearest = num_frames - (num_frames - 1) % frame_multiple
        raise ValueError(
            f"Got num_frames {num_frames}, expected one more than a multiple of {frame_multiple}. The nearest below is"
            f" {nearest}."
        )


def check_steps(scheduler: Any, num_inference_steps: int) -> None:
    """Raise ValueError when CogVideoX's schedulers would step to other timesteps than they announce.

    They take the previous timestep as t - T // N, whatever the list they made: right only when the list has
    that very stride, as with `trailing` spacing and N dividing T. Otherwise every step lands on a wrong noise
    level, silently.

    Source: diffusers, schedulers/scheduling_ddim_cogvideox.py (0.42), `step`; its pull request 13125.
    """
    if not isinstance(scheduler, (CogVideoXDDIMScheduler, CogVideoXDPMScheduler)):
        return
    total = scheduler.config.num_train_timesteps
    if not 0 < num_inference_steps <= total:
        raise ValueError(f"Got num_inference_steps {num_inference_steps}, expected 1 to {total}.")
    scheduler.set_timesteps(num_inference_steps)
    strides = torch.diff(scheduler.timesteps)
    if total % num_inference_steps or not torch.all(strides == -(total // num_inference_steps)):
        divisors = [steps for steps in range(1, min(total, 200) + 1) if total % steps == 0]
        raise ValueError(
            f"Got num_inference_steps {num_inference_steps} with timestep_spacing"
            f" {scheduler.config.timestep_spacing!r}, expected a divisor of {total} such as {divisors} with 'trailing'."
            " Choose such a number, and set the spacing with pipeline.scheduler ="
            " type(pipeline.scheduler).from_config(pipeline.scheduler.config, timestep_spacing='trailing')."
        )
