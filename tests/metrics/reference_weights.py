"""The seeded random weights behind the reference features, under the names that transformers gives them.

Source: reference values of the metrics, README, weight rule.
"""

from __future__ import annotations

import zlib

import numpy as np
import torch


def rebuild(document: dict) -> dict[str, torch.Tensor]:
    """All tensors of a weights_MODEL.json, by their original names."""
    weights = {}
    for tensor in document["tensors"]:
        key, shape = tensor["key"], tensor["shape"]
        seed = (document["base_seed"] + zlib.crc32(key.encode())) % 2**32
        uniform = np.random.RandomState(seed).random_sample(int(np.prod(shape)))
        values = np.float32(tensor["center"] + tensor["amp"] * (2 * uniform - 1))
        weights[key] = torch.from_numpy(values.reshape(shape))
    return weights


def dino_as_vit(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Weights of DINO's vit_base as a ViTModel has them."""
    renamed = {
        "embeddings.cls_token": weights["cls_token"],
        "embeddings.position_embeddings": weights["pos_embed"],
    }
    names = {
        "embeddings.patch_embeddings.projection": "patch_embed.proj",
        "layernorm": "norm",
    }
    for layer in range(12):
        new, old = f"layers.{layer}", f"blocks.{layer}"
        names |= {
            f"{new}.layernorm_before": f"{old}.norm1",
            f"{new}.layernorm_after": f"{old}.norm2",
            f"{new}.attention.o_proj": f"{old}.attn.proj",
            f"{new}.mlp.fc1": f"{old}.mlp.fc1",
            f"{new}.mlp.fc2": f"{old}.mlp.fc2",
        }
        for kind in ("weight", "bias"):
            parts = weights[f"{old}.attn.qkv.{kind}"].chunk(3)
            renamed |= {f"{new}.attention.{part}_proj.{kind}": value for part, value in zip("qkv", parts, strict=True)}
    return renamed | _pairs(names, weights)


def clip_visual_as_clip(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Weights of the visual tower of OpenAI's ViT-B/32 as a CLIPModel has them."""
    renamed = {
        "vision_model.embeddings.class_embedding": weights["visual.class_embedding"],
        "vision_model.embeddings.patch_embedding.weight": weights["visual.conv1.weight"],
        "vision_model.embeddings.position_embedding.weight": weights["visual.positional_embedding"],
        "visual_projection.weight": weights["visual.proj"].T.contiguous(),
    }
    names = {"vision_model.pre_layrnorm": "visual.ln_pre", "vision_model.post_layernorm": "visual.ln_post"}
    for layer in range(12):
        new, old = f"vision_model.encoder.layers.{layer}", f"visual.transformer.resblocks.{layer}"
        names |= {
            f"{new}.layer_norm1": f"{old}.ln_1",
            f"{new}.layer_norm2": f"{old}.ln_2",
            f"{new}.self_attn.out_proj": f"{old}.attn.out_proj",
            f"{new}.mlp.fc1": f"{old}.mlp.c_fc",
            f"{new}.mlp.fc2": f"{old}.mlp.c_proj",
        }
        for kind in ("weight", "bias"):
            parts = weights[f"{old}.attn.in_proj_{kind}"].chunk(3)
            renamed |= {f"{new}.self_attn.{part}_proj.{kind}": value for part, value in zip("qkv", parts, strict=True)}
    return renamed | _pairs(names, weights)


def _pairs(names: dict[str, str], weights) -> dict[str, torch.Tensor]:
    return {f"{new}.{kind}": weights[f"{old}.{kind}"] for new, old in names.items() for kind in ("weight", "bias")}
