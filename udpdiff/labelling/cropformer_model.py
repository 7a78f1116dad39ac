"""CropFormer on transformers' Mask2Former modules: several views of one image decoded together, with one set of queries.

Neither detectron2 nor a CUDA extension is needed. Knows nothing of images: crops, sizes and painting are `cropformer`'s.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from einops import rearrange
from torch import nn
from transformers import Mask2FormerConfig, Mask2FormerForUniversalSegmentation


@dataclass
class ViewsOutput:
    """plain_*: each of the V views on its own. The others: all views together, one class per query.

    plain_class_logits (V, Q, K + 1), plain_mask_logits (V, Q, h, w), class_logits (Q, K + 1), mask_logits (Q, V, h, w).
    """

    plain_class_logits: torch.Tensor
    plain_mask_logits: torch.Tensor
    class_logits: torch.Tensor
    mask_logits: torch.Tensor


class LayerLogits(NamedTuple):
    """What one layer of the decoder predicts for each query: classes (..., Q, K + 1) and masks (..., Q, ..., h, w)."""

    classes: torch.Tensor
    masks: torch.Tensor


class CropFusionLayer(nn.Module):
    """The full view's queries look at the queries of all views, then at each other."""

    def __init__(self, width: int, heads: int, feedforward_width: int) -> None:
        super().__init__()
        self.cross_attn, self.cross_attn_layer_norm = nn.MultiheadAttention(width, heads), nn.LayerNorm(width)
        self.self_attn, self.self_attn_layer_norm = nn.MultiheadAttention(width, heads), nn.LayerNorm(width)
        self.fc1, self.fc2 = nn.Linear(width, feedforward_width), nn.Linear(feedforward_width, width)
        self.final_layer_norm = nn.LayerNorm(width)

    def forward(self, queries, positions, memory, memory_positions) -> torch.Tensor:
        """queries (Q, B, C), positions (Q, 1, C), memory (V Q, B, C), memory_positions (V Q, 1, C). Returns queries."""
        found = self.cross_attn(queries + positions, memory + memory_positions, memory, need_weights=False)[0]
        queries = self.cross_attn_layer_norm(queries + found)
        queries = self.self_attn_layer_norm(queries + self.self_attn(queries, queries, queries, need_weights=False)[0])
        return self.final_layer_norm(queries + self.fc2(self.fc1(queries).relu()))


class CropFormerForEntitySegmentation(Mask2FormerForUniversalSegmentation):
    """Mask2Former with a second decoding, by the same decoder, over the tokens of all views of an image.

    Configuration beyond Mask2Former's: `fusion_layers`, `fusion_feedforward_dim`.

    Source: EntitySeg (arXiv 2211.05776), section 4; qqlu/Entity, Entityv2/CropFormer.
    """

    def __init__(self, config: Mask2FormerConfig) -> None:
        super().__init__(config)
        options = (config.hidden_dim, config.num_attention_heads, config.fusion_feedforward_dim)
        self.crop_fusion = nn.ModuleList(CropFusionLayer(*options) for _ in range(config.fusion_layers))
        self.post_init()

    def decode_views(self, pixel_values: torch.Tensor) -> ViewsOutput:
        """Decode the views (V, 3, H, W) of one image, the full view first; H and W multiples of 32."""
        plain, together = self.decode_layers(pixel_values[None])
        return ViewsOutput(
            plain_class_logits=plain[-1].classes[0],
            plain_mask_logits=plain[-1].masks[0],
            class_logits=together[-1].classes[0],
            mask_logits=together[-1].masks[0],
        )

    def decode_layers(self, pixel_values: torch.Tensor) -> tuple[list[LayerLogits], list[LayerLogits]]:
        """Decode the views (B, V, 3, H, W) of several images, and keep what every layer predicts: training wants it all.

        Returns the layers of the first decoding, classes (B, V, Q, K + 1) and masks (B, V, Q, h, w), and those of the
        second, classes (B, Q, K + 1) and masks (B, Q, V, h, w).
        """
        count = pixel_values.shape[1]
        features = self.model.pixel_level_module(pixel_values.flatten(0, 1))
        scales, pixels = features.decoder_hidden_states, features.decoder_last_hidden_state
        plain = self.model.transformer_module(scales, pixels)
        queries = rearrange(plain.last_hidden_state, "(b v) q c -> q b v c", v=count)
        together = self._decode_together(self._fuse(queries), scales, pixels, count)
        return (
            [
                LayerLogits(
                    rearrange(classes, "q (b v) k -> b v q k", v=count),
                    rearrange(masks, "(b v) q h w -> b v q h w", v=count),
                )
                for classes, masks in self._predictions(plain)
            ],
            [
                LayerLogits(rearrange(classes, "q b k -> b q k"), rearrange(masks, "b q (v h) w -> b q v h w", v=count))
                for classes, masks in self._predictions(together)
            ],
        )

    def _predictions(self, output):
        """Class and mask logits of each decoder layer, as the decoder lays them out."""
        classes = (self.class_predictor(hidden) for hidden in output.intermediate_hidden_states)
        return zip(classes, output.masks_queries_logits, strict=True)

    def _fuse(self, queries: torch.Tensor) -> torch.Tensor:
        """Queries of all views (Q, B, V, C) -> queries of the images (Q, B, C)."""
        positions = self.model.transformer_module.queries_embedder.weight[:, None]
        memory = rearrange(queries, "q b v c -> (v q) b c")
        fused = queries[:, :, 0]
        for layer in self.crop_fusion:
            fused = layer(fused, positions, memory, positions.repeat(queries.shape[2], 1, 1))
        return fused

    def _decode_together(self, queries: torch.Tensor, scales, pixels: torch.Tensor, count: int):
        """Run the decoder on the tokens of all `count` views of each image; scales and pixels: (B V, C, h, w).

        The views stand below each other in one picture. The decoder resizes masks by whole factors that divide a view's
        height, so that no view bleeds into the next.
        """
        transformer = self.model.transformer_module
        tokens, positions, sizes = [], [], []
        for index, scale in enumerate(scales):
            projected = (
                transformer.input_projections[index](scale) + transformer.level_embed.weight[index][:, None, None]
            )
            place = transformer.position_embedder((count, *scale.shape[1:]), scale.device, scale.dtype)
            place = place + view_code(count, place.shape[1]).to(place)[:, :, None, None]
            tokens.append(rearrange(projected, "(b v) c h w -> (v h w) b c", v=count))
            positions.append(rearrange(place, "v c h w -> (v h w) 1 c"))
            sizes.append((count * scale.shape[2], scale.shape[3]))
        return transformer.decoder(
            inputs_embeds=queries,
            multi_stage_positional_embeddings=positions,
            pixel_embeddings=rearrange(pixels, "(b v) c h w -> b c (v h) w", v=count),
            encoder_hidden_states=tokens,
            query_position_embeddings=transformer.queries_embedder.weight[:, None],
            feature_size_list=sizes,
            return_dict=True,
        )


def view_code(count: int, width: int) -> torch.Tensor:
    """Sine code of the view's number, (count, width): what the position code of a pixel gains by its view."""
    number = torch.arange(1, count + 1, dtype=torch.float32) / (count + 1e-6) * 2 * math.pi
    wavelength = 10_000 ** (2 * torch.arange(width // 2, dtype=torch.float32) / width)
    angle = number[:, None] / wavelength
    return torch.stack((angle.sin(), angle.cos()), dim=2).flatten(1)
