"""Position embeddings of a ViTModel stretched to other input sizes the way DINO does it.

DINO resizes with scale factors (n + 0.1) / grid, which also set the sampling points; transformers resizes to the output
size. The features differ by up to 4e-4, visible in the score's sixth digit.
Seam: `ViTModel.embeddings` and `ViTEmbeddings.interpolate_pos_encoding` (transformers 4.45 to 5.x), guarded by a test.

Source: facebookresearch/dino, vision_transformer.py, VisionTransformer.interpolate_pos_encoding.
"""

from __future__ import annotations

import torch
from transformers.models.vit.modeling_vit import ViTEmbeddings


class DinoEmbeddings(ViTEmbeddings):
    """ViTEmbeddings whose position embeddings are resized by DINO's scale factors."""

    def interpolate_pos_encoding(self, embeddings: torch.Tensor, height: int, width: int) -> torch.Tensor:
        """Position embeddings (1, 1 + rows * columns, D) for an input of height x width pixels."""
        token, grid = self.position_embeddings[:, :1], self.position_embeddings[:, 1:]
        rows, columns = height // self.patch_size, width // self.patch_size
        side = round(grid.shape[1] ** 0.5)
        if rows == columns == side:
            return self.position_embeddings
        stretched = torch.nn.functional.interpolate(
            grid.unflatten(1, (side, side)).movedim(-1, 1),
            scale_factor=((rows + 0.1) / side, (columns + 0.1) / side),
            mode="bicubic",
        )
        return torch.cat([token, stretched.flatten(2).movedim(1, 2)], dim=1)


def use_dino_embeddings(model):
    """Put `DinoEmbeddings` with the model's own weights in a ViTModel's place of embeddings; returns the model."""
    embeddings = DinoEmbeddings(model.config)
    embeddings.load_state_dict(model.embeddings.state_dict())
    model.embeddings = embeddings.to(model.dtype)
    return model
