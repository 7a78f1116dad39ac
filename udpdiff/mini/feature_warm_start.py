"""Starts the image and the video encoder from the subject encoder's weights.

What the subject encoder learnt to see, the image and the video encoder need too. All three are vision transformers of
one width and depth; only the names of their weights differ. Knows names only.
"""

from __future__ import annotations

from pathlib import Path

import torch

# Module of ViTModel -> its counterpart, `{}` being the layer's number.
_IMAGE_NAMES = {
    "layers.{}.attention.q_proj": "vision_model.encoder.layers.{}.self_attn.q_proj",
    "layers.{}.attention.k_proj": "vision_model.encoder.layers.{}.self_attn.k_proj",
    "layers.{}.attention.v_proj": "vision_model.encoder.layers.{}.self_attn.v_proj",
    "layers.{}.attention.o_proj": "vision_model.encoder.layers.{}.self_attn.out_proj",
    "layers.{}.layernorm_before": "vision_model.encoder.layers.{}.layer_norm1",
    "layers.{}.layernorm_after": "vision_model.encoder.layers.{}.layer_norm2",
    "layers.{}.mlp.fc1": "vision_model.encoder.layers.{}.mlp.fc1",
    "layers.{}.mlp.fc2": "vision_model.encoder.layers.{}.mlp.fc2",
    "layernorm": "vision_model.post_layernorm",
}
_VIDEO_NAMES = {
    "layers.{}.attention.q_proj": "videomae.encoder.layer.{}.attention.attention.query",
    "layers.{}.attention.k_proj": "videomae.encoder.layer.{}.attention.attention.key",
    "layers.{}.attention.v_proj": "videomae.encoder.layer.{}.attention.attention.value",
    "layers.{}.attention.o_proj": "videomae.encoder.layer.{}.attention.output.dense",
    "layers.{}.layernorm_before": "videomae.encoder.layer.{}.layernorm_before",
    "layers.{}.layernorm_after": "videomae.encoder.layer.{}.layernorm_after",
    "layers.{}.mlp.fc1": "videomae.encoder.layer.{}.intermediate.dense",
    "layers.{}.mlp.fc2": "videomae.encoder.layer.{}.output.dense",
    "embeddings.patch_embeddings.projection": "videomae.embeddings.patch_embeddings.projection",
}


def start_image_encoder(model, subject_folder: Path) -> None:
    """Copy a ViTModel's weights into the vision tower of a CLIPModel of the same sizes."""
    subject = _weights(subject_folder)
    weights = _renamed(subject, _IMAGE_NAMES, model.config.vision_config.num_hidden_layers)
    embeddings = "vision_model.embeddings"
    kernel, bias = (subject[f"embeddings.patch_embeddings.projection.{name}"] for name in ("weight", "bias"))
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
    kernel, frames = "videomae.embeddings.patch_embeddings.projection.weight", model.config.tubelet_size
    weights[kernel] = weights[kernel][:, :, None].repeat(1, 1, frames, 1, 1) / frames
    _load(model, weights)


def _weights(folder: Path) -> dict[str, torch.Tensor]:
    """The subject encoder's weights by the names of its modules; files may hold older names, which only the class reads."""
    from transformers import ViTModel

    return ViTModel.from_pretrained(folder, dtype=torch.float32, add_pooling_layer=False).state_dict()


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
