"""Widening a CogVideoX transformer from the video to several streams, without disturbing what it knows.

Only the patch embedding's input and the output projection change shape; everything else is copied. Both layers are
channel-major, so the channels of every further stream append after the video's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

import torch
from diffusers import CogVideoXTransformer3DModel
from einops import rearrange

from udpdiff.config.training import InitIn, InitOut
from udpdiff.model.transformer import PARENT_PARAMETERS, UDPDiffTransformer3DModel

LAYERS = ("patch_embed.proj.weight", "proj_out.weight", "proj_out.bias")  # those that widening changes
# Of the size of the video's weights; found by trial at the mini scale. A faint way in leaves the video's share of what
# the layer norms pass on nearly whole; the way out makes up for it.
_ORTHOGONAL_IN_SCALE, _ORTHOGONAL_OUT_SCALE = 0.3, 1.5


def expand_transformer(
    base: CogVideoXTransformer3DModel,
    num_tasks: int,
    init_in: InitIn = "zero",
    init_out: InitOut = "copy",
    generator: torch.Generator | None = None,
    num_streams: int = 2,
    independent_timesteps: bool = False,
) -> UDPDiffTransformer3DModel:
    """Return a new transformer with `num_streams` times the channels of `base`, which is left as it was.

    `zero` in with `copy` out, and the task embedding at zero, leaves the video's part of the output exactly as the base
    predicts it; `orthogonal` in both hands the dense latents, noise included, past the video's from the start, which
    a short training would otherwise spend most of its steps on. Device, dtype and train mode follow `base`.

    Args:
        base: Any CogVideoX.
        num_tasks: As in `UDPDiffTransformer3DModel`, as are num_streams and independent_timesteps.
        init_in: The input channels of each dense stream: `zero`; `copy` of the video's weights; `half`, those weights
            shared out equally among all streams, which keeps the scale of the activations; `resample`, video channels
            drawn with replacement; `orthogonal`, directions of the hidden space that neither the base nor another
            stream writes its latents to or reads them from.
        init_out: The output channels of each dense stream: `copy`, `resample`, `zero`, or `orthogonal`, which reads
            those same directions.
        generator: On the CPU, for `resample` and `orthogonal`.

    Raises:
        ValueError: The initialisation is unknown or lacks its generator, the hidden size has too few free directions
            for `orthogonal`, or the base is widened already.

    Source: UDPDiff, section 4.1 ("resampling the original channel weights"), which leaves the reading open;
    `orthogonal` is this project's.
    """
    if isinstance(base, UDPDiffTransformer3DModel):
        raise ValueError(
            f"Got a UDPDiffTransformer3DModel with {base.config.in_channels} channels, expected a CogVideoX base."
            " It is widened already; train it as it is."
        )
    state = {name: tensor.detach().clone() for name, tensor in base.state_dict().items()}
    channels = base.config.in_channels, base.config.out_channels
    state |= widened_layers(state, channels, init_in, init_out, generator, num_streams - 1)
    # Built without storage, then given tensors: a 5B base would otherwise spend minutes on a random initialisation.
    with torch.device("meta"):
        widened = UDPDiffTransformer3DModel(
            **widened_config(base.config, num_tasks, num_streams, independent_timesteps=independent_timesteps)
        )
    _assign(widened, state, base)
    return widened.train(base.training)


def widened_config(
    config: Mapping[str, Any], num_tasks: int, num_streams: int = 2, independent_timesteps: bool = False
) -> dict[str, Any]:
    """Return the arguments of the widened transformer, of a base's configuration."""
    arguments = {name: config[name] for name in PARENT_PARAMETERS if name in config}
    arguments |= {name: num_streams * config[name] for name in ("in_channels", "out_channels")}
    return arguments | {
        "num_tasks": num_tasks,
        "num_streams": num_streams,
        "independent_timesteps": independent_timesteps,
    }


def widened_layers(
    state: Mapping[str, torch.Tensor],
    channels: tuple[int, int],
    init_in: InitIn,
    init_out: InitOut,
    generator: torch.Generator | None = None,
    dense: int = 1,
) -> dict[str, torch.Tensor]:
    """Return the tensors that widening changes, as they are at step 0; the three of LAYERS are all that it reads.

    Args:
        state: Of the base, name -> tensor.
        channels: In and out, of the base.
        init_in: As in `expand_transformer`, as are init_out and generator.
        dense: How many dense streams.

    Raises:
        ValueError: As `expand_transformer`.
    """
    _check(init_in, init_out, generator)
    weight_in, weight_out, bias_out = (state[name] for name in LAYERS)
    free = _free_directions(weight_in, weight_out, generator, dense) if "orthogonal" in (init_in, init_out) else None
    wide_in = _widen_input(weight_in, channels[0], dense, init_in, generator, free)
    rows = [_output_rows(channels[1], init_out, generator) for _ in range(dense)]
    wide_out, wide_bias = (_widen_output(tensor, channels[1], rows) for tensor in (weight_out, bias_out))
    if init_out == "orthogonal":
        directions = _ORTHOGONAL_OUT_SCALE * _row_size(weight_out) * free.T
        wide_out[len(weight_out) :] = directions.to(weight_out)
    return dict(zip(LAYERS, (wide_in, wide_out, wide_bias), strict=True))


def _assign(
    widened: UDPDiffTransformer3DModel, state: dict[str, torch.Tensor], base: CogVideoXTransformer3DModel
) -> None:
    """Give the model its tensors: those of the state, zeros where it lacks some, and the base's buffers."""
    for name, tensor in widened.state_dict().items():  # the embeddings of tasks and of other streams' timesteps
        if name not in state:
            state[name] = torch.zeros(tensor.shape, dtype=base.dtype, device=base.device)
    widened.load_state_dict(state, assign=True)
    # The positional table of the sincos models is a buffer outside the state dict.
    for name, buffer in base.named_buffers():
        module, _, attribute = name.rpartition(".")
        setattr(widened.get_submodule(module), attribute, buffer.detach().clone())


def _check(init_in: str, init_out: str, generator: torch.Generator | None) -> None:
    for name, value, choices in (
        ("init_in", init_in, get_args(InitIn)),
        ("init_out", init_out, get_args(InitOut)),
    ):
        if value not in choices:
            raise ValueError(f"Unknown {name}: got {value!r}, expected one of {choices}.")
    for drawing in {"resample", "orthogonal"} & {init_in, init_out}:
        if generator is None:
            raise ValueError(f"Got generator=None, expected a seeded torch.Generator: `{drawing}` draws at random.")


def _draw_channels(channels: int, generator: torch.Generator) -> torch.Tensor:
    """Draw as many channel numbers as there are channels, with replacement."""
    return torch.randint(channels, (channels,), generator=generator, device=generator.device).cpu()


def _free_directions(
    weight_in: torch.Tensor, weight_out: torch.Tensor, generator: torch.Generator, dense: int
) -> torch.Tensor:
    """Draw as many orthonormal directions as the patches of all dense streams have values, free of the base's own.

    Float64 (D, dense * C * patch), D the hidden size; orthogonal to what the base reads and writes.
    """
    written = weight_in.detach().cpu().double().flatten(1)
    used = torch.cat((written, weight_out.detach().cpu().double().T), dim=1)
    hidden, values = written.shape
    if hidden < used.shape[1] + dense * values:
        raise ValueError(
            f"Got a hidden size of {hidden} for {1 + dense} streams with patches of {values} values, expected at least"
            f" {used.shape[1] + dense * values}: init `orthogonal` finds no free directions. Choose another."
        )
    basis = torch.linalg.qr(used).Q
    drawn = torch.randn(hidden, dense * values, dtype=torch.float64, generator=generator)
    return torch.linalg.qr(drawn - basis @ (basis.T @ drawn)).Q


def _row_size(weight: torch.Tensor) -> float:
    """Return the typical norm of a weight's rows."""
    return float(weight.detach().flatten(1).norm() / len(weight) ** 0.5)


def _widen_input(
    weight: torch.Tensor,
    channels: int,
    dense: int,
    init_in: InitIn,
    generator: torch.Generator | None,
    free: torch.Tensor | None,
) -> torch.Tensor:
    """Widen the patch embedding: Conv2d (D, C, p, p) of 1.0, or Linear (D, C * p_t * p * p) of 1.5."""
    video = weight.reshape(weight.shape[0], channels, -1)
    if init_in == "zero":
        added = [torch.zeros_like(video)] * dense
    elif init_in == "copy":
        added = [video] * dense
    elif init_in == "half":
        video = video / (1 + dense)
        added = [video] * dense
    elif init_in == "orthogonal":
        directions = _ORTHOGONAL_IN_SCALE * _row_size(weight.flatten(1).T) * free
        added = [directions.to(weight).reshape(len(video), dense * channels, -1)]
    else:
        added = [video[:, _draw_channels(channels, generator)] for _ in range(dense)]
    return torch.cat((video, *added), dim=1).reshape(len(video), -1, *weight.shape[2:])


def _output_rows(channels: int, init_out: InitOut, generator: torch.Generator | None) -> torch.Tensor | None:
    """Return which video channel each output channel of a dense stream starts from, long (C,); None for zeros."""
    if init_out in ("zero", "orthogonal"):
        return None
    return torch.arange(channels) if init_out == "copy" else _draw_channels(channels, generator)


def _widen_output(tensor: torch.Tensor, channels: int, rows: list[torch.Tensor | None]) -> torch.Tensor:
    """Widen the output projection's weight (C * patch, D) or bias (C * patch,)."""
    video = rearrange(tensor, "(channel patch) ... -> channel patch ...", channel=channels)
    added = [torch.zeros_like(video) if each is None else video[each.to(video.device)] for each in rows]
    return rearrange(torch.cat((video, *added)), "channel patch ... -> (channel patch) ...")
