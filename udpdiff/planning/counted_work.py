"""What a base's networks compute on one clip, and how much disk what they encode fills: before anything was timed.

torch counts the operations of the real classes, without weights or data.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from udpdiff.checkpoints import published, resolve
from udpdiff.planning.speeds import Speed

# NVIDIA's H100 SXM, bfloat16, dense; and the share of it that large trainings commonly reach: of passes with
# much work alone.
_PEAK_FLOPS, _REACHED, _DEVICE, _MUCH_WORK = 989e12, 0.4, "an H100's 989 TFLOP/s", 1e12
_PARTS = ("transformer", "vae", "text_encoder")
_FLOAT16 = 2


def transformer_speed(base: str, size: dict[str, int], passes: int, what: str) -> Speed | None:
    """Return the speed of so many forward passes' work of the transformer per clip.

    Args:
        base: A CogVideoX checkpoint: a folder, `mini:NAME` or a published one.
        size: num_frames, height and width of the clips, pixels.
        passes: Over one clip each.
        what: The passes in words.

    Returns:
        None where the base's shape is not known, or a pass is too little work to count on the share assumed.
    """
    if (parts := _configs(base)) is None:
        return None
    tokens = parts["transformer"]["max_text_seq_length"] + _video_tokens(parts, size)
    return _speed(transformer_flops(base, *_numbers(size)), passes, what, f"over {tokens:,} tokens")


def encoding_speed(base: str, size: dict[str, int], maps: int) -> Speed | None:
    """Return the speed of a stream that encodes so many videos or colormaps per clip; None as `transformer_speed`."""
    if _configs(base) is None:
        return None
    what = f"{maps} pass{'es' * (maps > 1)} of the VAE a clip"
    return _speed(vae_flops(base, *_numbers(size)), maps, what, f"over {size['num_frames']} frames")


def prompt_speed(base: str, captions: int) -> Speed | None:
    """Return the speed of clips with so many captions each; None as `transformer_speed`."""
    if (parts := _configs(base)) is None:
        return None
    tokens = parts["transformer"]["max_text_seq_length"]
    what = f"{captions} passes of the text encoder a clip"
    return _speed(_text_flops(base), captions, what, f"over {tokens} tokens")


def latent_bytes(base: str, size: dict[str, int], maps: int) -> int | None:
    """Return the bytes of a clip's latents in float16, before compression; None where the base is not known."""
    if (parts := _configs(base)) is None:
        return None
    channels, frames, height, width = _latent_shape(parts, size)
    return _FLOAT16 * maps * channels * frames * height * width


def prompt_bytes(base: str, captions: int) -> int | None:
    """Return the bytes of a clip's embedded captions, likewise."""
    if (parts := _configs(base)) is None:
        return None
    return _FLOAT16 * captions * parts["transformer"]["max_text_seq_length"] * parts["text_encoder"]["d_model"]


@cache
def transformer_flops(base: str, num_frames: int, height: int, width: int) -> int:
    """Return the operations of one forward pass over one clip; a multiplication and an addition are two."""
    import torch
    from diffusers import CogVideoXTransformer3DModel

    parts = _configs(base)
    config = parts["transformer"]
    size = {"num_frames": num_frames, "height": height, "width": width}
    channels, frames, latent_height, latent_width = _latent_shape(parts, size)
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
    from diffusers import AutoencoderKLCogVideoX

    return _counted(
        lambda: AutoencoderKLCogVideoX.from_config(_configs(base)["vae"]),
        lambda vae: vae.encode(torch.empty(1, vae.config.in_channels, num_frames, height, width)),
    )


@cache
def _text_flops(base: str) -> int:
    import torch
    from transformers import T5Config, T5EncoderModel

    parts = _configs(base)
    return _counted(
        lambda: T5EncoderModel(T5Config(**parts["text_encoder"])),
        lambda encoder: encoder(torch.empty(1, parts["transformer"]["max_text_seq_length"], dtype=torch.long)),
    )


def _counted(build, run) -> int:
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    with torch.device("meta"):
        network = build()
        with FlopCounterMode(display=False) as counter:
            run(network)
    return counter.get_total_flops()


@cache
def _configs(base: str) -> dict[str, dict[str, Any]] | None:
    """Return the configurations of a base's networks: a folder's own, or as published; None where not known."""
    folder = Path(resolve(base))
    if not folder.is_dir():
        return published.configs(base)
    try:
        return {part: json.loads((folder / part / "config.json").read_text()) for part in _PARTS}
    except (OSError, ValueError):
        return None


def _latent_shape(parts: dict[str, dict[str, Any]], size: dict[str, int]) -> tuple[int, int, int, int]:
    """Return channels, frames, height and width of a clip's latents."""
    vae = parts["vae"]
    side = 2 ** (len(vae["block_out_channels"]) - 1)
    frames = (size["num_frames"] - 1) // int(vae["temporal_compression_ratio"]) + 1
    return vae["latent_channels"], frames, size["height"] // side, size["width"] // side


def _video_tokens(parts: dict[str, dict[str, Any]], size: dict[str, int]) -> int:
    _, frames, height, width = _latent_shape(parts, size)
    patch, frames_per_token = parts["transformer"]["patch_size"], parts["transformer"].get("patch_size_t") or 1
    return -(-frames // frames_per_token) * (height // patch) * (width // patch)


def _numbers(size: dict[str, int]) -> tuple[int, int, int]:
    return size["num_frames"], size["height"], size["width"]


def _speed(forward_flops: float, passes: float, what: str, over: str) -> Speed | None:
    if forward_flops < _MUCH_WORK:
        return None
    basis = f"{what}, {forward_flops / 1e12:,.3g} TFLOP a pass {over}, at {_REACHED:.0%} of {_DEVICE}"
    return Speed(3600 * _PEAK_FLOPS * _REACHED / (passes * forward_flops), "counted", basis)
