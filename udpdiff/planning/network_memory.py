"""What networks hold at work without gradients, by arithmetic on shapes: weights, and activations at the peak.

The numbers of arrays were counted once on tensors without data, on the real classes at 49 x 480 x 720
(tests/planning/test_network_memory.py counts some of them again); what a device adds in workspaces is not in them.
"""

from __future__ import annotations

from typing import Any

from udpdiff.planning import parameters
from udpdiff.planning.training_memory import tokens

BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
# Of the VAE's first channels at the size of a frame, all frames that it takes at once together.
ENCODE_ARRAYS, DECODE_ARRAYS = 75.6, 178.9
TILED_ENCODE_ARRAYS, TILED_DECODE_ARRAYS = 19.9, 45.8
# diffusers' CogVideoXSafeConv3d cuts what is larger than 2 GiB, by its own count, and joins it again.
_CUT_FRAMES, _CUT_BYTES, _CUT_FACTOR = 10, 2 * 2**30, 1.2
DENOISE_ARRAYS = 13.1  # of tokens x width
TEXT_ARRAYS = 5.7  # of tokens x d_ff


def vae_bytes(
    vae: dict[str, Any], size: dict[str, int], batch: int, dtype: str, decode: bool = False, tiled: bool = False
) -> float:
    """Return the bytes of a CogVideoX VAE that encodes or decodes so many clips at once, its weights included."""
    arrays = {
        (False, False): ENCODE_ARRAYS,
        (True, False): DECODE_ARRAYS,
        (False, True): TILED_ENCODE_ARRAYS,
        (True, True): TILED_DECODE_ARRAYS,
    }[decode, tiled]
    frame = batch * vae["block_out_channels"][0] * size["height"] * size["width"]
    cut = not decode and not tiled and _CUT_FRAMES * frame * BYTES["float16"] > _CUT_BYTES
    activations = arrays * frame * BYTES[dtype] * (_CUT_FACTOR if cut else 1)
    return BYTES[dtype] * parameters.vae_parameters(vae) + activations


def text_bytes(parts: dict[str, dict[str, Any]], prompts: int, dtype: str) -> float:
    """Return the bytes of the T5 encoder with so many prompts at once, its weights included."""
    encoder, length = parts["text_encoder"], parts["transformer"]["max_text_seq_length"]
    activations = TEXT_ARRAYS * prompts * length * encoder["d_ff"]
    return BYTES[dtype] * (parameters.text_parameters(encoder) + activations)


def denoising_numbers(
    parts: dict[str, dict[str, Any]], size: dict[str, int], batch: int, streams: int
) -> tuple[float, float]:
    """Return the parameters of the transformer, and the elements of its activations for so many samples."""
    transformer = parts["transformer"]
    weights = parameters.transformer_parameters(transformer, streams)
    return weights, DENOISE_ARRAYS * batch * tokens(parts, size) * parameters.hidden_size(transformer)


def sampling_bytes(
    parts: dict[str, dict[str, Any]],
    size: dict[str, int],
    prompts: int,
    dtype: str,
    streams: int = 2,
    guided: bool = True,
    offload: bool = False,
) -> float:
    """Return the bytes of a pipeline that generates so many videos at once.

    Args:
        prompts: At once.
        streams: Each is decoded after the other.
        guided: Each step asks for both samples of a prompt at once.
        offload: Of the three networks only the one that computes is on the device.
    """
    each = BYTES[dtype]
    weights, elements = denoising_numbers(parts, size, prompts * (2 if guided else 1), streams)
    denoising, encoding = each * (weights + elements), text_bytes(parts, prompts, dtype)
    decoding = vae_bytes(parts["vae"], size, prompts, dtype, decode=True)
    if offload:
        return max(denoising, encoding, decoding)
    resting = [
        each * parameters.text_parameters(parts["text_encoder"]),
        each * weights,
        each * parameters.vae_parameters(parts["vae"]),
    ]
    idle = sum(resting)
    return idle + max(encoding - resting[0], denoising - resting[1], decoding - resting[2])
