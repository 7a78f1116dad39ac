"""The configurations of CogVideoX as published, for whoever must know a model's shape without its files."""

from __future__ import annotations

from typing import Any

_TRANSFORMERS: dict[str, dict[str, Any]] = {
    "CogVideoX-2b": {"num_attention_heads": 30, "num_layers": 30, "use_rotary_positional_embeddings": False},
    "CogVideoX-5b": {"num_attention_heads": 48, "num_layers": 42, "use_rotary_positional_embeddings": True},
}
_TRANSFORMER = {
    "attention_head_dim": 64,
    "in_channels": 16,
    "out_channels": 16,
    "patch_size": 2,
    "max_text_seq_length": 226,
    "text_embed_dim": 4096,
}
_VAE = {"block_out_channels": [128, 256, 256, 512], "temporal_compression_ratio": 4, "latent_channels": 16}
_T5 = {
    "d_model": 4096,
    "d_ff": 10240,
    "d_kv": 64,
    "num_heads": 64,
    "num_layers": 24,
    "feed_forward_proj": "gated-gelu",
    "vocab_size": 32128,
}


def configs(ref: str) -> dict[str, dict[str, Any]] | None:
    """Return the configurations of a published checkpoint's transformer, vae and text_encoder; None for any other."""
    owner, _, name = ref.rpartition("/")
    if owner not in ("THUDM", "zai-org") or name not in _TRANSFORMERS:
        return None
    return {"transformer": _TRANSFORMER | _TRANSFORMERS[name], "vae": _VAE, "text_encoder": _T5}
