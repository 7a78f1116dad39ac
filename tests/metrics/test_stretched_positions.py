"""Position embeddings that are stretched to an oblong input: rows by rows, columns by columns, as DINO samples them."""

from __future__ import annotations

import torch
from transformers import ViTConfig

from udpdiff.metrics.dino_embeddings import DinoEmbeddings


def test_rows_stay_rows_and_lie_where_dino_samples_them():
    config = ViTConfig(hidden_size=2, image_size=64, patch_size=8, num_attention_heads=1)
    embeddings = DinoEmbeddings(config)
    places = torch.stack(torch.meshgrid(torch.arange(8.0), torch.arange(8.0), indexing="ij"), -1)  # row, column
    with torch.no_grad():
        embeddings.position_embeddings[0, 0] = torch.tensor([-5.0, -7.0])
        embeddings.position_embeddings[0, 1:] = places.reshape(-1, 2)
        stretched = embeddings.interpolate_pos_encoding(torch.zeros(1, 1 + 12 * 20, 2), 96, 160)
    assert stretched.shape == (1, 1 + 12 * 20, 2) and stretched[0, 0].tolist() == [-5, -7]
    rows, columns = stretched[0, 1:].reshape(12, 20, 2).unbind(-1)
    assert rows.std(dim=1).max() < 1e-5 and columns.std(dim=0).max() < 1e-5
    # The tenth that DINO adds to the size sets the places that are sampled.
    for values, count in ((rows[:, 0], 12), (columns[0], 20)):
        ramp = torch.arange(8.0).expand(1, 1, 8, 8)
        scales = (1.0, (count + 0.1) / 8)
        sampled = torch.nn.functional.interpolate(ramp, scale_factor=scales, mode="bicubic")[0, 0, 0]
        torch.testing.assert_close(values, sampled, atol=1e-5, rtol=0)
        plain = torch.nn.functional.interpolate(ramp, size=(8, count), mode="bicubic")[0, 0, 0]
        assert (values - plain).abs().max() > 0.01


def test_the_size_trained_with_is_left_as_it_is():
    embeddings = DinoEmbeddings(ViTConfig(hidden_size=2, image_size=64, patch_size=8, num_attention_heads=1))
    assert embeddings.interpolate_pos_encoding(torch.zeros(1, 65, 2), 64, 64) is embeddings.position_embeddings
