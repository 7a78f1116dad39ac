"""What networks compute on one clip, and how fast a device is at it: before anything was timed.

torch counts the operations of the real classes, without weights or data. Of a device's peak speed for the type that the
work is done in, a share is taken that large trainings commonly reach.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

from udpdiff.planning.devices import REACHED_SHARE, Device
from udpdiff.planning.parameters import base_parts, text_parameters
from udpdiff.planning.speeds import Speed
from udpdiff.planning.training_memory import tokens

_MUCH_WORK = 1e12  # operations of a pass that keeps a GPU busy; of less nothing is said
_FLOAT16 = 2


@dataclass(frozen=True)
class Work:
    """Passes over one clip.

    Attributes:
        what: In words.
        passes: How many.
        flops: Operations of one; a multiplication and an addition are two.
        dtype: float32, bfloat16 or float16.
        convolutions: Rather than products of matrices.
    """

    what: str
    passes: float
    flops: float
    dtype: str
    convolutions: bool = False

    def seconds(self, device: Device) -> float:
        return self.passes * self.flops / (REACHED_SHARE * device.peak_flops(self.dtype, self.convolutions))


def counted_speed(device: Device, works: Iterable[Work | None]) -> Speed | None:
    """Return the speed of clips with so much work each; None where a part is not known or too little to say anything."""
    works = list(works)
    if not works or None in works or any(work.flops < _MUCH_WORK for work in works):
        return None
    words = [f"{work.what} ({work.flops / 1e12:,.3g} TFLOP, {work.dtype})" for work in works]
    basis = f"{' and '.join(words)} a clip, at {REACHED_SHARE:.0%} of the peak of the {device.label}"
    return Speed(3600 / sum(work.seconds(device) for work in works), "counted", basis)


def transformer_work(base: str, size: dict[str, int], passes: float, dtype: str, what: str) -> Work | None:
    """Return forward passes' work of the transformer, by a checkpoint reference; None where its shape is not known."""
    if (parts := base_parts(base)) is None:
        return None
    over = f"{what} over {tokens(parts, size):,} tokens"
    return Work(over, passes, transformer_flops(base, *_numbers(size)), dtype)


def encoding_work(base: str, size: dict[str, int], maps: float, dtype: str) -> Work | None:
    """Return the VAE's work of encoding so many videos or colormaps."""
    if base_parts(base) is None:
        return None
    what = f"{maps:.3g} encoding{'s' * (maps > 1)} of {size['num_frames']} frames"
    return Work(what, maps, vae_flops(base, *_numbers(size)), dtype, convolutions=True)


def decoding_work(base: str, size: dict[str, int], maps: float, dtype: str) -> Work | None:
    """Return the VAE's work of decoding so many videos."""
    if base_parts(base) is None:
        return None
    return Work(f"{maps:.3g} decoded videos", maps, vae_decoder_flops(base, *_numbers(size)), dtype, convolutions=True)


def prompt_work(base: str, captions: float, dtype: str) -> Work | None:
    """Return the text encoder's work of so many captions."""
    if (parts := base_parts(base)) is None:
        return None
    length = parts["transformer"]["max_text_seq_length"]
    return Work(f"{captions:g} prompts of {length} tokens", captions, text_flops(base), dtype)


def latent_bytes(base: str, size: dict[str, int], maps: int) -> int | None:
    """Return the bytes of a clip's latents in float16, before compression; None where the base is not known."""
    if (parts := base_parts(base)) is None:
        return None
    channels, frames, height, width = latent_shape(parts, size)
    return _FLOAT16 * maps * channels * frames * height * width


def prompt_bytes(base: str, captions: int) -> int | None:
    """Return the bytes of a clip's embedded captions, likewise."""
    if (parts := base_parts(base)) is None:
        return None
    return _FLOAT16 * captions * parts["transformer"]["max_text_seq_length"] * parts["text_encoder"]["d_model"]


@cache
def transformer_flops(base: str, num_frames: int, height: int, width: int) -> int:
    """Return the operations of one forward pass over one clip; a multiplication and an addition are two."""
    import torch
    from diffusers import CogVideoXTransformer3DModel

    parts = base_parts(base)
    config = parts["transformer"]
    size = {"num_frames": num_frames, "height": height, "width": width}
    channels, frames, latent_height, latent_width = latent_shape(parts, size)
    frames += -frames % (config.get("patch_size_t") or 1)  # CogVideoX 1.5 pads in front
    return _counted(
        lambda: CogVideoXTransformer3DModel.from_config(config),
        lambda model: model(
            torch.empty(1, frames, channels, latent_height, latent_width),
            torch.empty(1, config["max_text_seq_length"], parts["text_encoder"]["d_model"]),
            torch.empty(1),
            # Rotary embeddings are products of single numbers, which the counter passes over.
        ),
    )


@cache
def vae_flops(base: str, num_frames: int, height: int, width: int) -> int:
    """Return the operations of encoding one clip."""
    import torch

    return _counted(
        lambda: _vae(base),
        lambda vae: vae.encode(torch.empty(1, vae.config.in_channels, num_frames, height, width)),
    )


@cache
def vae_decoder_flops(base: str, num_frames: int, height: int, width: int) -> int:
    """Return the operations of decoding one clip."""
    import torch

    shape = latent_shape(base_parts(base), {"num_frames": num_frames, "height": height, "width": width})
    return _counted(lambda: _vae(base), lambda vae: vae.decode(torch.empty(1, *shape)))


@cache
def text_flops(base: str) -> int:
    """Return the operations of encoding one prompt: two for each weight and token, the vocabulary's left out."""
    parts = base_parts(base)
    encoder = parts["text_encoder"]
    weights = text_parameters(encoder) - encoder["vocab_size"] * encoder["d_model"]
    length, inner = parts["transformer"]["max_text_seq_length"], encoder["num_heads"] * encoder["d_kv"]
    return 2 * weights * length + 4 * encoder["num_layers"] * length**2 * inner


def _vae(base: str):
    from diffusers import AutoencoderKLCogVideoX

    return AutoencoderKLCogVideoX.from_config(base_parts(base)["vae"])


def _counted(build, run) -> int:
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    with torch.device("meta"):
        network = build()
        with FlopCounterMode(display=False) as counter:
            run(network)
    return counter.get_total_flops()


def latent_shape(parts: dict[str, dict[str, Any]], size: dict[str, int]) -> tuple[int, int, int, int]:
    """Return channels, frames, height and width of a clip's latents."""
    vae = parts["vae"]
    side = 2 ** (len(vae["block_out_channels"]) - 1)
    frames = (size["num_frames"] - 1) // int(vae["temporal_compression_ratio"]) + 1
    return vae["latent_channels"], frames, size["height"] // side, size["width"] // side


def _numbers(size: dict[str, int]) -> tuple[int, int, int]:
    return size["num_frames"], size["height"], size["width"]
