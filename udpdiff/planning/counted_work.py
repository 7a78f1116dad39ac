"""How long the transformer computes on one clip, counted from its shape: for plans made before a step was ever timed.

Blocks alone: what embeds, normalises and modulates is little beside them; VAE and text encoder are `counted_encoding`'s.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from udpdiff import checkpoints
from udpdiff.planning.plan import Speed

# NVIDIA's H100 SXM, bfloat16, dense; and the share of it that large trainings commonly reach: of passes with
# much work alone.
_PEAK_FLOPS, _REACHED, _DEVICE, _MUCH_WORK = 989e12, 0.4, "an H100's 989 TFLOP/s", 1e12
_PUBLISHED = {  # heads, blocks; heads of 64, 2 x 2 patches, 226 text tokens, a VAE of 8 x 8 px and 4 frames
    "CogVideoX-2b": (30, 30),
    "CogVideoX-5b": (48, 42),
}


@dataclass(frozen=True)
class TransformerShape:
    """pixels: side of a token in the video; frames: of the video in one of the latents, after the first."""

    width: int
    blocks: int
    text_tokens: int
    pixels: int
    frames: int

    def tokens(self, size: dict[str, int]) -> int:
        """Of text and video, of a clip of num_frames, height and width."""
        latent_frames = (size["num_frames"] - 1) // self.frames + 1
        return self.text_tokens + latent_frames * (size["height"] // self.pixels) * (size["width"] // self.pixels)

    def forward_flops(self, size: dict[str, int]) -> float:
        """Of one pass over one clip: a block has 12 width^2 weights (4 of attention, 8 of the feed-forward) and compares
        all tokens with all; a multiplication and an addition are two."""
        tokens = self.tokens(size)
        return self.blocks * tokens * (2 * 12 * self.width**2 + 4 * tokens * self.width)


def read_shape(base: str) -> TransformerShape | None:
    """The shape of a base checkpoint: a folder's or mini:NAME's own, or as published; None for another hub id."""
    if base.rpartition("/")[2] in _PUBLISHED and not Path(base).exists():
        heads, blocks = _PUBLISHED[base.rpartition("/")[2]]
        return TransformerShape(64 * heads, blocks, 226, 16, 4)
    configs = checkpoints.base_configs(base)
    if configs is None:
        return None
    vae, transformer = configs
    return TransformerShape(
        width=transformer["num_attention_heads"] * transformer["attention_head_dim"],
        blocks=transformer["num_layers"],
        text_tokens=transformer["max_text_seq_length"],
        pixels=2 ** (len(vae["block_out_channels"]) - 1) * transformer["patch_size"],
        frames=int(vae["temporal_compression_ratio"]),
    )


def counted_speed(base: str, size: dict[str, int], passes: float, what: str) -> Speed | None:
    """Clips an hour at so many forward passes' work of the transformer per clip, `what` in words.

    None where the shape is not known, or a pass is too little work to count on the share assumed.
    """
    shape = read_shape(base)
    if shape is None:
        return None
    return speed_at(shape.forward_flops(size), passes, what, f"over {shape.tokens(size):,} tokens")


def speed_at(forward_flops: float, passes: float, what: str, over: str) -> Speed | None:
    """Clips an hour at so many passes of so much work each, `what` passes `over` what; None for too little work."""
    if forward_flops < _MUCH_WORK:
        return None
    basis = f"{what}, {forward_flops / 1e12:,.3g} TFLOP a pass {over}, at {_REACHED:.0%} of {_DEVICE}"
    return Speed(3600 * _PEAK_FLOPS * _REACHED / (passes * forward_flops), "counted", basis)
