"""Sizes and number formats against what the base checkpoint says of itself, when its json files are at hand."""

from __future__ import annotations

from collections.abc import Iterator

from udpdiff import checkpoints
from udpdiff.checkpoints import published
from udpdiff.config.schema import Config


def size_faults(config: Config) -> Iterator[str]:
    """Yield a line for every size that the base cannot take, and every number format that it overflows in."""
    try:
        yield from _size_faults(config)
    except (KeyError, TypeError, ValueError) as error:
        yield f"model.base: got {config.model.base!r}, whose json files are not those of a CogVideoX ({error!r})"
    yield from _dtype_faults(config)


def _size_faults(config):
    # An unknown hub id is taken for a copy of the common model.
    parts = published.configs(config.model.base) or published.configs("zai-org/CogVideoX-5b")
    known = checkpoints.base_configs(config.model.base)
    vae, transformer = known or (parts["vae"], parts["transformer"])
    if not known and "i2v" in config.model.base.lower():
        yield f"model.base: got {config.model.base!r}, an image-to-video model; name a text-to-video CogVideoX"
    if known and transformer.get("in_channels", 16) != vae.get("latent_channels", 16):
        yield (
            f"model.base: got {config.model.base!r}, whose transformer takes {transformer['in_channels']} channels where its"
            f" VAE makes {vae.get('latent_channels', 16)}, as image-to-video models do; name a text-to-video CogVideoX"
        )
    temporal = int(vae.get("temporal_compression_ratio", 4))
    stride = 2 * temporal  # it decodes odd numbers of latents alone to the frames that they were made of
    if (config.clips.num_frames - 1) % stride:
        low = max((config.clips.num_frames - 1) // stride, 1) * stride + 1
        yield (
            f"clips.num_frames: got {config.clips.num_frames}; the VAE makes and decodes {stride} n + 1 frames, "
            f"for example {low} or {low + stride}"
        )
    tokens, read = config.labels.captions.max_tokens, int(transformer["max_text_seq_length"])
    if tokens is not None and tokens > read:
        yield f"labels.captions.max_tokens: got {tokens}; {config.model.base} reads at most {read}, which null stands for"
    compression = 2 ** (len(vae["block_out_channels"]) - 1)
    multiple = compression * int(transformer["patch_size"])
    for key in ("height", "width"):
        size, largest = getattr(config.clips, key), compression * int(transformer.get(f"sample_{key}", 0))
        if transformer.get("patch_size_t") and size > largest:
            yield f"clips.{key}: got {size}; {config.model.base}, a CogVideoX 1.5, knows positions up to {largest} pixels"
        if size % multiple:
            low = max(size // multiple, 1) * multiple
            yield (
                f"clips.{key}: got {size}; it must be a multiple of {multiple} (the VAE's compression times the "
                f"transformer's patch), for example {low} or {low + multiple}"
            )


def _dtype_faults(config):
    """Networks of bfloat16 that would compute in float16."""
    if published.dtype(config.model.base) != "bfloat16":
        return
    where = [f"runs.{run}.training" for run in config.runs if config.run_training(run).mixed_precision == "fp16"]
    if config.sampling.dtype == "float16":
        yield f"sampling.dtype: got float16, in which {config.model.base} overflows: black videos; use bfloat16"
    if where:
        yield f"training.mixed_precision: got fp16 ({where[0]}), in which {config.model.base} overflows; use bf16"
