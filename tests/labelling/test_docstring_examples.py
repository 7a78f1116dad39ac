"""Every labeller runs alone, from Python, in three lines on one video file: the examples of their docstrings, executed."""

from __future__ import annotations

import doctest
import json
from importlib import import_module

import numpy as np
import pytest
import torch

import udpdiff
from udpdiff.sources.scenes import SceneSettings, render_clip
from udpdiff.video_io import write_mp4


def run_example(module: str, folder, monkeypatch) -> dict:
    """Run the docstring's example of a module in a folder; returns the names it made."""
    text = import_module(f"udpdiff.labelling.{module}").__doc__
    example = doctest.DocTestParser().get_doctest(text, {}, module, None, 0)
    lines = [line.source for line in example.examples if not line.source.startswith("from udpdiff import")]
    assert lines and len(lines) <= 3
    monkeypatch.chdir(folder)
    told = []
    failed, _ = doctest.DocTestRunner(verbose=False).run(example, out=told.append, clear_globs=False)
    assert not failed, "".join(told)
    return example.globs


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder that holds the examples' clip.mp4, a rendered scene."""
    folder = tmp_path_factory.mktemp("examples")
    settings = SceneSettings(height=64, width=64, num_frames=9, fps=8.0)
    write_mp4(folder / "clip.mp4", render_clip(settings, 10_000_700).video, settings.fps)
    return folder


@pytest.fixture
def cropformer(folder):
    """A tiny CropFormer of random weights in the folder that the example names."""
    from transformers import Mask2FormerConfig, SwinConfig

    from udpdiff.labelling.cropformer_model import CropFormerForEntitySegmentation

    stages = [f"stage{number}" for number in (1, 2, 3, 4)]
    backbone = SwinConfig(embed_dim=8, depths=[1] * 4, num_heads=[1, 1, 2, 2], window_size=4, out_features=stages)
    config = Mask2FormerConfig(
        backbone_config=backbone,
        feature_size=32,
        mask_feature_size=32,
        hidden_dim=32,
        num_attention_heads=4,
        encoder_layers=1,
        encoder_feedforward_dim=32,
        decoder_layers=2,
        dim_feedforward=32,
        num_queries=6,
        num_labels=1,
        fusion_layers=1,
        fusion_feedforward_dim=32,
    )
    torch.manual_seed(0)
    CropFormerForEntitySegmentation(config).save_pretrained(folder / "cropformer")
    size = {"shortest_edge": 64, "longest_edge": 96}
    (folder / "cropformer/preprocessor_config.json").write_text(json.dumps({"size": size, "size_divisor": 32}))


@pytest.fixture
def depthcrafter(folder):
    """A tiny DepthCrafter of random weights in the folder that the example names."""
    from diffusers import AutoencoderKLTemporalDecoder, EulerDiscreteScheduler
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    from udpdiff.labelling.depthcrafter_unet import DepthCrafterUNet

    torch.manual_seed(0)
    parts = {
        "unet": DepthCrafterUNet(
            block_out_channels=(32, 64),
            down_block_types=("CrossAttnDownBlockSpatioTemporal", "DownBlockSpatioTemporal"),
            up_block_types=("UpBlockSpatioTemporal", "CrossAttnUpBlockSpatioTemporal"),
            layers_per_block=1,
            num_attention_heads=(2, 4),
            cross_attention_dim=32,
            addition_time_embed_dim=8,
            projection_class_embeddings_input_dim=24,
        ),
        "vae": AutoencoderKLTemporalDecoder(
            block_out_channels=(32,) * 4, down_block_types=("DownEncoderBlock2D",) * 4, layers_per_block=1
        ),
        "image_encoder": CLIPVisionModelWithProjection(
            CLIPVisionConfig(
                hidden_size=32,
                intermediate_size=48,
                num_hidden_layers=1,
                num_attention_heads=4,
                projection_dim=32,
                patch_size=32,
            )
        ),
        "scheduler": EulerDiscreteScheduler(prediction_type="v_prediction", use_karras_sigmas=True),
    }
    for name, part in parts.items():
        part.save_pretrained(folder / "depthcrafter" / name)


def test_segmenter(folder, monkeypatch):
    made = run_example("segmenter", folder, monkeypatch)
    assert made["video"].shape == (9, 64, 64, 3)
    assert made["entity_ids"].shape == (64, 64) and made["entity_ids"].max() >= 2


def test_cropformer(folder, cropformer, monkeypatch):
    ids = run_example("cropformer", folder, monkeypatch)["entity_ids"]
    assert ids.shape == (64, 64) and ids.dtype == np.uint16


def test_tracker(folder, monkeypatch):
    made = run_example("propagation", folder, monkeypatch)
    assert made["logits"].shape == (len(made["ids"]), 9, 64, 64) and made["logits"].dtype == np.float32


def test_chain(folder, monkeypatch):
    made = run_example("cleanup", folder, monkeypatch)
    assert made["entity_ids"].shape == (9, 64, 64) and made["entity_ids"].dtype == np.uint16
    assert made["coverage"].shape == (9,) and made["coverage"].min() > 0.5


@pytest.mark.parametrize("module", ["depth_anything", "depthcrafter"])
def test_depth(folder, depthcrafter, monkeypatch, module):
    depth = run_example(module, folder, monkeypatch)["depth"]
    assert depth.shape == (9, 64, 64) and depth.dtype == np.float32
    assert (depth.min(), depth.max()) == (0, 1)


def test_an_example_that_does_not_run_is_noticed(folder, tmp_path, monkeypatch):
    with pytest.raises(AssertionError, match=r"cannot decode 'clip\.mp4'"):
        run_example("segmenter", tmp_path, monkeypatch)


def test_every_name_of_the_package_is_there():
    assert all(hasattr(udpdiff, name) for name in udpdiff.__all__)
