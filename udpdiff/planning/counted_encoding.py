"""What encoding takes: how long a base's VAE and text encoder compute, and how much disk what they cache fills.

Counted on the networks without weights or data.
Their convolutions and attention are not worth a formula of our own: torch counts what the real classes do.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

from udpdiff import checkpoints
from udpdiff.planning.counted_work import Speed, read_shape, speed_at

# Of THUDM/CogVideoX-2b and -5b; what is not named is the classes' default.
_PUBLISHED_VAE = {"block_out_channels": [128, 256, 256, 512], "temporal_compression_ratio": 4, "latent_channels": 16}
_PUBLISHED_T5 = {"d_model": 4096, "d_ff": 10240, "d_kv": 64, "num_heads": 64, "num_layers": 24}
_GATED = {"feed_forward_proj": "gated-gelu", "vocab_size": 32128}
_FLOAT16 = 2


def encoding_speed(base: str, size: dict[str, int], maps: int) -> Speed | None:
    """Clips an hour of a stream that encodes so many videos or colormaps per clip.

    size: num_frames, height, width. None where the base's shape is not known or the work is too little to count.
    """
    if read_shape(base) is None:
        return None
    flops = _vae_flops(base, size["num_frames"], size["height"], size["width"])
    return speed_at(
        flops, maps, f"{maps} pass{'es' * (maps > 1)} of the VAE a clip", f"over {size['num_frames']} frames"
    )


def prompt_speed(base: str, captions: int) -> Speed | None:
    """Clips an hour with so many captions each; None as above."""
    if (shape := read_shape(base)) is None:
        return None
    what = f"{captions} passes of the text encoder a clip"
    return speed_at(_text_flops(base, shape.text_tokens), captions, what, f"over {shape.text_tokens} tokens")


def latent_bytes(base: str, size: dict[str, int], maps: int) -> int | None:
    """Bytes of a clip's latents in float16, before compression; None where the base's shape is not known."""
    if read_shape(base) is None:
        return None
    vae = _PUBLISHED_VAE | _config(base, "vae")
    side = 2 ** (len(vae["block_out_channels"]) - 1)
    frames = (size["num_frames"] - 1) // int(vae["temporal_compression_ratio"]) + 1
    return _FLOAT16 * maps * frames * vae["latent_channels"] * (size["height"] // side) * (size["width"] // side)


def prompt_bytes(base: str, captions: int) -> int | None:
    """Bytes of a clip's embedded captions, likewise."""
    if (shape := read_shape(base)) is None:
        return None
    return _FLOAT16 * captions * shape.text_tokens * (_PUBLISHED_T5 | _config(base, "text_encoder"))["d_model"]


@cache
def _vae_flops(base: str, num_frames: int, height: int, width: int) -> int:
    import torch
    from diffusers import AutoencoderKLCogVideoX
    from torch.utils.flop_counter import FlopCounterMode

    with torch.device("meta"):
        vae = AutoencoderKLCogVideoX.from_config(_PUBLISHED_VAE | _config(base, "vae"))
        with FlopCounterMode(display=False) as counter:
            vae.encode(torch.empty(1, vae.config.in_channels, num_frames, height, width))
    return counter.get_total_flops()


@cache
def _text_flops(base: str, tokens: int) -> int:
    import torch
    from torch.utils.flop_counter import FlopCounterMode
    from transformers import T5Config, T5EncoderModel

    with torch.device("meta"):
        encoder = T5EncoderModel(T5Config(**(_config(base, "text_encoder") or _PUBLISHED_T5 | _GATED)))
        with FlopCounterMode(display=False) as counter:
            encoder(torch.empty(1, tokens, dtype=torch.long))
    return counter.get_total_flops()


def _config(base: str, part: str) -> dict:
    """The configuration of a part of a base in a folder; empty for a published one."""
    path = Path(checkpoints.resolve(base)) / part / "config.json"
    return json.loads(path.read_text()) if path.is_file() else {}
