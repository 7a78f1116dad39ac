"""Turns an official EntitySeg checkpoint, a detectron2 file, into a folder for `from_pretrained`.

    python -m udpdiff.labelling.cropformer_checkpoint CropFormer_swin_tiny_3x_5cea5e.pth FOLDER

Takes CropFormer and plain Mask2Former files on Swin backbones; sizes are read off the weights. Every key must be known
and every weight present. The official files are CC BY-NC 4.0, in the gated data set qqlu1992/Adobe_EntitySeg.

Source: key layout of qqlu/Entity, Entityv2/CropFormer; names of transformers' Mask2Former.
"""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path

import torch

SAMPLED_POINTS = 4  # of each head and scale, in every Mask2Former
SHORT_SIDE, LONG_SIDE = 800, 1333
_ENCODER, _PIXELS = "model.pixel_level_module.encoder", "model.pixel_level_module.decoder"
_DECODER = "model.transformer_module.decoder"

# Official name -> ours, as regular expressions tried in order; None drops a key. {q,k,v} splits a stacked projection.
_NAMES: list[tuple[str, str | None]] = [
    (r"backbone\.patch_embed\.proj\.(.+)", rf"{_ENCODER}.swin.embeddings.patch_embeddings.projection.\1"),
    (r"backbone\.patch_embed\.norm\.(.+)", rf"{_ENCODER}.swin.embeddings.norm.\1"),
    *((rf"backbone\.norm{i}\.(.+)", rf"{_ENCODER}.hidden_states_norms.stage{i + 1}.\1") for i in range(4)),
    (r"backbone\.(layers\.\d+\.blocks\.\d+)\.norm1\.(.+)", rf"{_ENCODER}.swin.encoder.\1.layernorm_before.\2"),
    (r"backbone\.(layers\.\d+\.blocks\.\d+)\.norm2\.(.+)", rf"{_ENCODER}.swin.encoder.\1.layernorm_after.\2"),
    (r"backbone\.(layers\.\d+\.blocks\.\d+\.mlp\.fc[12]\..+)", rf"{_ENCODER}.swin.encoder.\1"),
    (
        r"backbone\.(layers\.\d+\.blocks\.\d+)\.attn\.qkv\.(.+)",
        rf"{_ENCODER}.swin.encoder.\1.attention.{{q,k,v}}_proj.\2",
    ),
    (r"backbone\.(layers\.\d+\.blocks\.\d+)\.attn\.proj\.(.+)", rf"{_ENCODER}.swin.encoder.\1.attention.o_proj.\2"),
    (
        r"backbone\.(layers\.\d+\.blocks\.\d+)\.attn\.relative_position_bias_table",
        rf"{_ENCODER}.swin.encoder.\1.attention.relative_position_bias.relative_position_bias_table",
    ),
    (r"backbone\..+\.relative_position_index", None),
    (r"backbone\.(layers\.\d+\.downsample\..+)", rf"{_ENCODER}.swin.encoder.\1"),
    (r"sem_seg_head\.pixel_decoder\.(adapter_\d+|layer_\d+)\.weight", rf"{_PIXELS}.\1.0.weight"),
    (r"sem_seg_head\.pixel_decoder\.(adapter_\d+|layer_\d+)\.norm\.(.+)", rf"{_PIXELS}.\1.1.\2"),
    (r"sem_seg_head\.pixel_decoder\.input_proj\.(.+)", rf"{_PIXELS}.input_projections.\1"),
    (r"sem_seg_head\.pixel_decoder\.mask_features\.(.+)", rf"{_PIXELS}.mask_projection.\1"),
    (r"sem_seg_head\.pixel_decoder\.transformer\.level_embed", rf"{_PIXELS}.level_embed"),
    (r"sem_seg_head\.pixel_decoder\.transformer\.(encoder\.layers\.\d+)\.linear([12])\.(.+)", rf"{_PIXELS}.\1.fc\2.\3"),
    (
        r"sem_seg_head\.pixel_decoder\.transformer\.(encoder\.layers\.\d+)\.norm1\.(.+)",
        rf"{_PIXELS}.\1.self_attn_layer_norm.\2",
    ),
    (
        r"sem_seg_head\.pixel_decoder\.transformer\.(encoder\.layers\.\d+)\.norm2\.(.+)",
        rf"{_PIXELS}.\1.final_layer_norm.\2",
    ),
    (r"sem_seg_head\.pixel_decoder\.transformer\.(encoder\.layers\.\d+\.self_attn\..+)", rf"{_PIXELS}.\1"),
    (r"sem_seg_head\.predictor\.class_embed\.(.+)", r"class_predictor.\1"),
    (r"sem_seg_head\.predictor\.decoder_norm\.(.+)", rf"{_DECODER}.layernorm.\1"),
    (r"sem_seg_head\.predictor\.level_embed\.weight", "model.transformer_module.level_embed.weight"),
    (r"sem_seg_head\.predictor\.mask_embed\.layers\.(\d+)\.(.+)", rf"{_DECODER}.mask_predictor.mask_embedder.\1.0.\2"),
    (r"sem_seg_head\.predictor\.query_embed\.weight", "model.transformer_module.queries_embedder.weight"),
    (r"sem_seg_head\.predictor\.(query_feat|static_query)\.weight", "model.transformer_module.queries_features.weight"),
    (
        r"sem_seg_head\.predictor\.transformer_cross_attention_layers\.(\d+)\.multihead_attn\.(.+)",
        rf"{_DECODER}.layers.\1.cross_attn.\2",
    ),
    (
        r"sem_seg_head\.predictor\.transformer_cross_attention_layers\.(\d+)\.norm\.(.+)",
        rf"{_DECODER}.layers.\1.cross_attn_layer_norm.\2",
    ),
    (
        r"sem_seg_head\.predictor\.transformer_self_attention_layers\.(\d+)\.self_attn\.in_proj_(.+)",
        rf"{_DECODER}.layers.\1.self_attn.{{q,k,v}}_proj.\2",
    ),
    (
        r"sem_seg_head\.predictor\.transformer_self_attention_layers\.(\d+)\.self_attn\.(out_proj\..+)",
        rf"{_DECODER}.layers.\1.self_attn.\2",
    ),
    (
        r"sem_seg_head\.predictor\.transformer_self_attention_layers\.(\d+)\.norm\.(.+)",
        rf"{_DECODER}.layers.\1.self_attn_layer_norm.\2",
    ),
    (
        r"sem_seg_head\.predictor\.transformer_ffn_layers\.(\d+)\.linear([12])\.(.+)",
        rf"{_DECODER}.layers.\1.fc\2.\3",
    ),
    (
        r"sem_seg_head\.predictor\.transformer_ffn_layers\.(\d+)\.norm\.(.+)",
        rf"{_DECODER}.layers.\1.final_layer_norm.\2",
    ),
    (
        r"sem_seg_head\.predictor\.make_3d\.enc_crosattn_3d\.(\d+)\.multihead_attn\.(.+)",
        r"crop_fusion.\1.cross_attn.\2",
    ),
    (
        r"sem_seg_head\.predictor\.make_3d\.enc_crosattn_3d\.(\d+)\.norm\.(.+)",
        r"crop_fusion.\1.cross_attn_layer_norm.\2",
    ),
    (r"sem_seg_head\.predictor\.make_3d\.enc_selfattn_3d\.(\d+)\.self_attn\.(.+)", r"crop_fusion.\1.self_attn.\2"),
    (
        r"sem_seg_head\.predictor\.make_3d\.enc_selfattn_3d\.(\d+)\.norm\.(.+)",
        r"crop_fusion.\1.self_attn_layer_norm.\2",
    ),
    (r"sem_seg_head\.predictor\.make_3d\.enc_ffn_3d\.(\d+)\.linear([12])\.(.+)", r"crop_fusion.\1.fc\2.\3"),
    (r"sem_seg_head\.predictor\.make_3d\.enc_ffn_3d\.(\d+)\.norm\.(.+)", r"crop_fusion.\1.final_layer_norm.\2"),
    (r"criterion\w*\.empty_weight", None),
    (r"pixel_mean|pixel_std", None),
]
_EXPECTED = "a whole EntitySeg checkpoint on a Swin backbone"
# transformers' modules that inference does not read, and detectron2's files therefore lack.
_UNREAD = {f"{_ENCODER}.swin.layernorm.weight", f"{_ENCODER}.swin.layernorm.bias", "criterion.empty_weight"}


def convert(weights: dict[str, torch.Tensor]):
    """Build the model of an official state dict: a CropFormer or, without fusion weights, a Mask2Former.

    Args:
        weights: The official state dict, by its own names.

    Returns:
        The model in float32, in evaluation mode.

    Raises:
        ValueError: A key is unknown, a weight is missing, or one has another shape; the message names the keys.
    """
    renamed = rename(weights)
    config = read_config(weights)
    if config.fusion_layers:
        from udpdiff.labelling.cropformer_model import CropFormerForEntitySegmentation as Model
    else:
        from transformers import Mask2FormerForUniversalSegmentation as Model
    model = Model(config).eval()
    wanted = {name: value.shape for name, value in model.state_dict().items() if name not in _UNREAD}
    missing, odd = sorted(set(wanted) - set(renamed)), sorted(set(renamed) - set(wanted))
    shapes = sorted(name for name in set(wanted) & set(renamed) if wanted[name] != renamed[name].shape)
    for words, names in (("lacks", missing), ("has too many of", odd), ("has another shape in", shapes)):
        if names:
            raise ValueError(
                f"The checkpoint {words} {len(names)} weights: {', '.join(names[:5])}. Expected {_EXPECTED}."
            )
    model.load_state_dict(renamed, strict=False)
    return model


def rename(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the weights under transformers' names.

    Raises:
        ValueError: Some keys are unknown; the message names them.
    """
    renamed, unknown = {}, []
    for name, value in weights.items():
        for pattern, target in _NAMES:
            if match := re.fullmatch(pattern, name):
                if target:
                    renamed |= _split(match.expand(target), value)
                break
        else:
            unknown.append(name)
    if unknown:
        raise ValueError(
            f"Got {len(unknown)} unknown keys in the checkpoint: {', '.join(sorted(unknown)[:5])}. Expected {_EXPECTED};"
            " HorNet backbones are not supported."
        )
    return renamed


def _split(name: str, value: torch.Tensor) -> dict[str, torch.Tensor]:
    if "{q,k,v}" not in name:
        return {name: value.float()}
    return {name.replace("{q,k,v}", letter): part.float() for letter, part in zip("qkv", value.chunk(3), strict=True)}


def read_config(weights: dict[str, torch.Tensor]):
    """Return the Mask2FormerConfig, with the fusion's sizes, that the weights' shapes imply.

    Raises:
        ValueError: A weight that tells a size is missing.
    """
    from transformers import Mask2FormerConfig, SwinConfig

    def shape(name: str):
        if name not in weights:
            raise ValueError(f"The checkpoint lacks {name}. Expected {_EXPECTED}.")
        return weights[name].shape

    def count(pattern: str) -> int:
        found = (re.match(pattern, name) for name in weights)
        return 1 + max((int(match[1]) for match in found if match), default=-1)

    head, table = "sem_seg_head.predictor", "attn.relative_position_bias_table"
    stages = range(count(r"backbone\.layers\.(\d+)\."))
    swin = SwinConfig(
        embed_dim=shape("backbone.patch_embed.proj.weight")[0],
        depths=[count(rf"backbone\.layers\.{stage}\.blocks\.(\d+)\.") for stage in stages],
        num_heads=[shape(f"backbone.layers.{stage}.blocks.0.{table}")[1] for stage in stages],
        mlp_ratio=shape("backbone.layers.0.blocks.0.mlp.fc1.weight")[0] / shape("backbone.patch_embed.proj.weight")[0],
        window_size=(round(shape(f"backbone.layers.0.blocks.0.{table}")[0] ** 0.5) + 1) // 2,
        out_features=[f"stage{stage + 1}" for stage in stages],
        drop_path_rate=0.0,
    )
    encoder = "sem_seg_head.pixel_decoder.transformer.encoder.layers"
    sampled, width = shape(f"{encoder}.0.self_attn.attention_weights.weight")
    scales, _ = shape("sem_seg_head.pixel_decoder.transformer.level_embed")
    heads = sampled // (scales * SAMPLED_POINTS)  # of all three transformers: detectron2 has one setting for them
    if not heads or width % heads or sampled % (scales * SAMPLED_POINTS):
        raise ValueError(
            f"Got {sampled} attention weights over {scales} scales for a width of {width}, expected heads x scales x"
            f" {SAMPLED_POINTS} points with heads that divide the width. Expected {_EXPECTED}."
        )
    fusion_layers = count(r"sem_seg_head\.predictor\.make_3d\.enc_ffn_3d\.(\d+)\.")
    return Mask2FormerConfig(
        backbone_config=swin,
        num_labels=shape(f"{head}.class_embed.weight")[0] - 1,
        num_queries=shape(f"{head}.query_embed.weight")[0],
        hidden_dim=shape(f"{head}.query_embed.weight")[1],
        feature_size=shape("sem_seg_head.pixel_decoder.mask_features.weight")[1],
        mask_feature_size=shape("sem_seg_head.pixel_decoder.mask_features.weight")[0],
        encoder_layers=count(re.escape(encoder) + r"\.(\d+)\."),
        encoder_feedforward_dim=shape(f"{encoder}.0.linear1.weight")[0],
        decoder_layers=1 + count(r"sem_seg_head\.predictor\.transformer_ffn_layers\.(\d+)\."),
        dim_feedforward=shape(f"{head}.transformer_ffn_layers.0.linear1.weight")[0],
        num_attention_heads=heads,
        dropout=0.0,
        fusion_layers=fusion_layers,
        fusion_feedforward_dim=shape(f"{head}.make_3d.enc_ffn_3d.0.linear1.weight")[0] if fusion_layers else None,
    )


def save(weights: dict[str, torch.Tensor], folder: str | Path) -> None:
    """Convert an official state dict and write it as a folder for `from_pretrained`.

    Raises:
        ValueError: As `convert` does.
    """
    convert(weights).save_pretrained(folder)
    preparation = {"size": {"shortest_edge": SHORT_SIDE, "longest_edge": LONG_SIDE}, "size_divisor": 32}
    # Of ImageNet where the file does not say.
    for name, ours in (("pixel_mean", "image_mean"), ("pixel_std", "image_std")):
        if name in weights:
            preparation[ours] = (weights[name].double().flatten() / 255).tolist()
    Path(folder, "preprocessor_config.json").write_text(json.dumps(preparation, indent=1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", type=Path, help="the official .pth, or safetensors of the same keys")
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    if arguments.checkpoint.suffix == ".safetensors":
        from safetensors.torch import load_file

        weights = load_file(arguments.checkpoint)
    else:
        stored = torch.load(arguments.checkpoint, map_location="cpu", weights_only=True)
        weights = stored.get("model", stored)
    save(weights, arguments.folder)
    print(f"{arguments.folder}: ready for labels.entities.*.segmenter")


if __name__ == "__main__":
    main()
