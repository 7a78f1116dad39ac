"""Starts the image and the video encoder from the subject encoder's weights.

What the subject encoder learnt to see, the image and the video encoder need too. All three are vision transformers of
one width and depth; only the names of their weights differ. Knows names only.
"""

from __future__ import annotations

from pathlib import Path

import torch

_SUBJECT, _IMAGE, _VIDEO = "layers.{}.", "vision_model.encoder.layers.{}.", "videomae.encoder.layer.{}."
# Modules of a layer, in ViTModel, CLIPModel and VideoMAE.
_MODULES = (
    ("attention.q_proj", "self_attn.q_proj", "attention.attention.query"),
    ("attention.k_proj", "self_attn.k_proj", "attention.attention.key"),
    ("attention.v_proj", "self_attn.v_proj", "attention.attention.value"),
    ("attention.o_proj", "self_attn.out_proj", "attention.output.dense"),
    ("layernorm_before", "layer_norm1", "layernorm_before"),
    ("layernorm_after", "layer_norm2", "layernorm_after"),
    ("mlp.fc1", "mlp.fc1", "intermediate.dense"),
    ("mlp.fc2", "mlp.fc2", "output.dense"),
)
_PATCHES = "embeddings.patch_embeddings.projection"
_IMAGE_NAMES = {_SUBJECT + old: _IMAGE + new for old, new, _ in _MODULES} | {"layernorm": "vision_model.post_layernorm"}
_VIDEO_NAMES = {_SUBJECT + old: _VIDEO + new for old, _, new in _MODULES} | {_PATCHES: f"videomae.{_PATCHES}"}


def start_image_encoder(model, subject_folder: Path) -> None:
    """Copy a ViTModel's weights into the vision tower of a CLIPModel of the same sizes."""
    subject = _weights(subject_folder)
    weights = _renamed(subject, _IMAGE_NAMES, model.config.vision_config.num_hidden_layers)
    embeddings = "vision_model.embeddings"
    kernel, bias = (subject[f"{_PATCHES}.{name}"] for name in ("weight", "bias"))
    positions = subject["embeddings.position_embeddings"][0].clone()
    positions[1:] += bias  # CLIP's patch embedding has no bias
    weights[f"{embeddings}.patch_embedding.weight"] = kernel
    weights[f"{embeddings}.position_embedding.weight"] = positions
    weights[f"{embeddings}.class_embedding"] = subject["embeddings.cls_token"][0, 0]
    _load(model, weights)


def start_video_encoder(model, subject_folder: Path) -> None:
    """Copy a ViTModel's weights into a VideoMAE classifier; the patch kernel is spread over the frames of a tubelet."""
    subject = _weights(subject_folder)
    weights = _renamed(subject, _VIDEO_NAMES, model.config.num_hidden_layers)
    for name in [name for name in weights if name.endswith("key.bias")]:
        del weights[name]  # VideoMAE's keys have none, and attention does not feel it
    kernel, frames = f"videomae.{_PATCHES}.weight", model.config.tubelet_size
    weights[kernel] = weights[kernel][:, :, None].repeat(1, 1, frames, 1, 1) / frames
    _load(model, weights)


def _weights(folder: Path) -> dict[str, torch.Tensor]:
    """The subject encoder's weights by the names of its modules; files may hold older names, which only the class reads."""
    from transformers import ViTModel

    return ViTModel.from_pretrained(
        folder, dtype=torch.float32, add_pooling_layer=False, trust_remote_code=False
    ).state_dict()


def _renamed(subject, names, num_layers) -> dict[str, torch.Tensor]:
    renamed = {}
    for layer in range(num_layers):
        for old, new in names.items():
            for kind in ("weight", "bias"):
                renamed[f"{new.format(layer)}.{kind}"] = subject[f"{old.format(layer)}.{kind}"].clone()
    return renamed


def _load(model, weights) -> None:
    unexpected = model.load_state_dict(weights, strict=False).unexpected_keys
    if unexpected:
        raise ValueError(f"Warm start: {unexpected[0]} is no weight of {type(model).__name__}.")
