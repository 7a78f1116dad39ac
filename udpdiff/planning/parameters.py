"""How many parameters the networks of a base have, by arithmetic on their configurations: no library is imported.

Checked against the real classes on the meta device (tests/planning/test_parameters.py).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from udpdiff.checkpoints import hub, published, resolve

PARTS = ("transformer", "vae", "text_encoder")


def base_parts(base: str) -> dict[str, dict[str, Any]] | None:
    """Return the configurations of a base's networks by part: a folder's own, or as published; None where not known."""
    name = (hub.split(base) or (base, None))[0]
    try:
        folder = Path(resolve(name))
    except ValueError:
        return None
    if not folder.is_dir():
        return published.configs(name)
    try:
        return {part: json.loads((folder / part / "config.json").read_text()) for part in PARTS}
    except (OSError, ValueError):
        return None


def _linear(inputs: int, outputs: int) -> int:
    return inputs * outputs + outputs


def hidden_size(transformer: dict[str, Any]) -> int:
    """Return the width of the residual stream."""
    return transformer["num_attention_heads"] * transformer["attention_head_dim"]


def block_parameters(transformer: dict[str, Any]) -> int:
    """Return the parameters of one block."""
    width, time_embed = hidden_size(transformer), transformer["time_embed_dim"]
    norm = _linear(time_embed, 6 * width) + 2 * width
    attention = 4 * _linear(width, width) + 2 * 2 * transformer["attention_head_dim"]
    return 2 * norm + attention + _linear(width, 4 * width) + _linear(4 * width, width)


def block_matrices(transformer: dict[str, Any]) -> int:
    """Return the parameters of the matrices inside all blocks, which Muon steps."""
    return transformer["num_layers"] * 12 * hidden_size(transformer) ** 2


def transformer_parameters(transformer: dict[str, Any], streams: int = 1, num_tasks: int = 0) -> int:
    """Return the parameters of a CogVideoX transformer, widened to so many streams with so many task embeddings."""
    width, time_embed = hidden_size(transformer), transformer["time_embed_dim"]
    text = _linear(transformer["text_embed_dim"], width)
    time = _linear(width, time_embed) + _linear(time_embed, time_embed)
    norms = 2 * width + _linear(time_embed, 2 * width) + 2 * width
    blocks = transformer["num_layers"] * block_parameters(transformer)
    return text + time + norms + blocks + widened_parameters(transformer, streams, num_tasks)


def widened_parameters(transformer: dict[str, Any], streams: int, num_tasks: int) -> int:
    """Return the parameters of the layers that widening changes: patch embedding, output projection, task embedding."""
    width, frames = hidden_size(transformer), transformer.get("patch_size_t")
    patch = transformer["patch_size"] ** 2 * (frames or 1)
    bias = 1 if frames else int(transformer.get("patch_bias", True))  # 1.5's linear layer has one in any case
    patch_embed = streams * transformer["in_channels"] * patch * width + bias * width
    output = _linear(width, streams * transformer["out_channels"] * patch)
    return patch_embed + output + num_tasks * transformer["time_embed_dim"]


def lora_parameters(transformer: dict[str, Any], rank: int) -> int:
    """Return the parameters of low-rank updates of queries, keys, values and outputs of all blocks."""
    return transformer["num_layers"] * 4 * 2 * rank * hidden_size(transformer)


def vae_parameters(vae: dict[str, Any]) -> int:
    """Return the parameters of a CogVideoX VAE, encoder and decoder."""
    channels, layers = vae["block_out_channels"], vae["layers_per_block"]
    latent, pixels = vae["latent_channels"], vae.get("in_channels", 3)
    return _vae_encoder(channels, layers, latent, pixels) + _vae_decoder(channels, layers, latent, pixels)


def _conv(inputs: int, outputs: int, kernel: int) -> int:
    return kernel * inputs * outputs + outputs


def _resnet(inputs: int, outputs: int, latent: int | None) -> int:
    """A residual block; the decoder's norms see the latents as well."""

    def norm(channels: int) -> int:
        return 2 * channels + (2 * _conv(latent, channels, 1) if latent else 0)

    shortcut = _conv(inputs, outputs, 1) if inputs != outputs else 0
    return norm(inputs) + norm(outputs) + _conv(inputs, outputs, 27) + _conv(outputs, outputs, 27) + shortcut


def _levels(channels: Sequence[int], layers: int, latent: int | None) -> int:
    """All levels, with the resampling between them, which is in two dimensions."""
    total, before = 0, channels[0]
    for level, width in enumerate(channels):
        total += sum(_resnet(before if layer == 0 else width, width, latent) for layer in range(layers))
        total += _conv(width, width, 9) if level < len(channels) - 1 else 0
        before = width
    return total


def _vae_encoder(channels: Sequence[int], layers: int, latent: int, pixels: int) -> int:
    last = channels[-1]
    ends = _conv(pixels, channels[0], 27) + 2 * last + _conv(last, 2 * latent, 27)
    return ends + _levels(channels, layers, None) + 2 * _resnet(last, last, None)


def _vae_decoder(channels: Sequence[int], layers: int, latent: int, pixels: int) -> int:
    first, last = channels[-1], channels[0]
    norm_out = 2 * last + 2 * _conv(latent, last, 1)
    ends = _conv(latent, first, 27) + norm_out + _conv(last, pixels, 27)
    return ends + 2 * _resnet(first, first, latent) + _levels(channels[::-1], layers + 1, latent)


def text_parameters(text_encoder: dict[str, Any]) -> int:
    """Return the parameters of a T5 encoder."""
    width, heads = text_encoder["d_model"], text_encoder["num_heads"]
    inner = heads * text_encoder["d_kv"]
    gated = str(text_encoder.get("feed_forward_proj", "relu")).startswith("gated")
    layer = 4 * width * inner + (3 if gated else 2) * width * text_encoder["d_ff"] + 2 * width
    buckets = text_encoder.get("relative_attention_num_buckets", 32) * heads
    return text_encoder["vocab_size"] * width + text_encoder["num_layers"] * layer + buckets + width
