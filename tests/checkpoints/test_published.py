"""The table of published bases: complete enough to build the real classes, and only for what is published."""

from __future__ import annotations

import pytest
import torch

from udpdiff.checkpoints import published

BILLIONS = {"THUDM/CogVideoX-2b": 1.69, "THUDM/CogVideoX-5b": 5.57, "zai-org/CogVideoX1.5-5B": 5.57}


@pytest.mark.parametrize("ref", BILLIONS)
def test_the_real_classes_are_built_from_it_with_the_published_number_of_weights(ref):
    from diffusers import AutoencoderKLCogVideoX, CogVideoXTransformer3DModel
    from transformers import T5Config, T5EncoderModel

    parts = published.configs(ref)
    with torch.device("meta"):
        transformer = CogVideoXTransformer3DModel.from_config(parts["transformer"])
        vae = AutoencoderKLCogVideoX(**parts["vae"])
        text_encoder = T5EncoderModel(T5Config(**parts["text_encoder"]))
    sizes = [sum(weight.numel() for weight in part.parameters()) for part in (transformer, vae, text_encoder)]
    assert sizes[0] / 1e9 == pytest.approx(BILLIONS[ref], rel=0.01)
    assert sizes[1] / 1e6 == pytest.approx(216, rel=0.01) and sizes[2] / 1e9 == pytest.approx(4.76, rel=0.01)
    assert text_encoder.config.d_model == transformer.config.text_embed_dim
    assert vae.config.latent_channels == transformer.config.in_channels


def test_mirrors_have_the_same_numbers_and_the_table_cannot_be_changed():
    parts = published.configs("mirror/CogVideoX-5b")
    parts["transformer"]["num_layers"] = parts["text_encoder"]["d_model"] = 1
    assert published.configs("THUDM/CogVideoX-5b")["transformer"]["num_layers"] == 42
    assert published.configs("THUDM/CogVideoX-5b")["text_encoder"]["d_model"] == 4096


def test_other_models_and_folders_are_not_published(tmp_path):
    folder = tmp_path / "CogVideoX-5b"
    folder.mkdir()
    assert (
        published.configs("mini:cogvideox")
        is published.configs("owner/model")
        is published.configs(str(folder))
        is None
    )
