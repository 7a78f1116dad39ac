"""The published CogVideoX models, by their own configurations: for plans and refusals made before anything is loaded.

Source: `config.json` of transformer, vae and text_encoder of THUDM/CogVideoX-2b and -5b and zai-org/CogVideoX1.5-5B. What
is not named is the default of diffusers' and transformers' classes.
"""

from __future__ import annotations

from pathlib import Path

_TRANSFORMER = {
    "attention_head_dim": 64,
    "in_channels": 16,
    "out_channels": 16,
    "patch_size": 2,
    "max_text_seq_length": 226,
    "text_embed_dim": 4096,
    "time_embed_dim": 512,
    "sample_height": 60,
    "sample_width": 90,
    "sample_frames": 49,
    "temporal_compression_ratio": 4,
}
_TRANSFORMERS = {
    "CogVideoX-2b": {"num_attention_heads": 30, "num_layers": 30, "use_rotary_positional_embeddings": False},
    "CogVideoX-5b": {"num_attention_heads": 48, "num_layers": 42, "use_rotary_positional_embeddings": True},
    "CogVideoX1.5-5B": {
        "num_attention_heads": 48,
        "num_layers": 42,
        "use_rotary_positional_embeddings": True,
        "patch_size_t": 2,
        "patch_bias": False,
        "sample_height": 300,
        "sample_width": 300,
        "sample_frames": 81,
    },
}
_VAE = {
    "block_out_channels": [128, 256, 256, 512],
    "layers_per_block": 3,
    "latent_channels": 16,
    "temporal_compression_ratio": 4,
}
_SCALING_FACTORS = {"CogVideoX-2b": 1.15258426, "CogVideoX-5b": 0.7, "CogVideoX1.5-5B": 0.7}
# What they were trained and published in.
_DTYPES = {"CogVideoX-2b": "float16", "CogVideoX-5b": "bfloat16", "CogVideoX1.5-5B": "bfloat16"}
_TEXT_ENCODER = {  # T5 v1.1 XXL
    "d_model": 4096,
    "d_ff": 10240,
    "d_kv": 64,
    "num_heads": 64,
    "num_layers": 24,
    "feed_forward_proj": "gated-gelu",
    "vocab_size": 32128,
}


def configs(ref: str) -> dict[str, dict] | None:
    """The configurations of a published base, by its hub id or a mirror's of the same name.

    Args:
        ref: A checkpoint reference, as in `resolve`.

    Returns:
        {"transformer": ..., "vae": ..., "text_encoder": ...}, the caller's own; None for any other model and for a
        folder that exists, which says itself what it holds.
    """
    name = ref.partition("@")[0].rpartition("/")[2]
    if name not in _TRANSFORMERS or Path(ref).exists():
        return None
    return {
        "transformer": _TRANSFORMER | _TRANSFORMERS[name],
        "vae": _VAE | {"scaling_factor": _SCALING_FACTORS[name]},
        "text_encoder": dict(_TEXT_ENCODER),
    }


def dtype(ref: str) -> str | None:
    """The dtype that a published base was trained and published in, by its hub id; None for any other.

    The models of bfloat16 overflow in float16 (zai-org/CogVideo, issues 217 and 637: black videos, NaN). The one of
    float16 computes in bfloat16 too, with its weights rounded by up to 0.2 %.
    """
    return _DTYPES.get(ref.partition("@")[0].rpartition("/")[2])
