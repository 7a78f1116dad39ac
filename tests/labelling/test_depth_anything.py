"""Depth Anything on the real class: sizes, normalisation, direction, errors, and the shipped checkpoint."""

import json

import numpy as np
import pytest
import torch

from udpdiff.labelling.depth_anything import DepthAnything
from udpdiff.labelling.image_preparation import ImagePreparation

PUBLISHED = {  # the rule of the published V2 checkpoints
    "size": {"height": 518, "width": 518},
    "keep_aspect_ratio": True,
    "ensure_multiple_of": 14,
}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A folder with a random network for 28 px images and patches of 7."""
    from transformers import DepthAnythingConfig, DepthAnythingForDepthEstimation, Dinov2Config

    torch.manual_seed(0)
    backbone = Dinov2Config(
        image_size=28,
        patch_size=7,
        hidden_size=16,
        num_hidden_layers=4,
        num_attention_heads=2,
        out_indices=[1, 2, 3, 4],
        reshape_hidden_states=False,
        initializer_range=0.2,
    )
    config = DepthAnythingConfig(
        backbone_config=backbone,
        patch_size=7,
        reassemble_hidden_size=16,
        neck_hidden_sizes=[8, 8, 8, 8],
        fusion_hidden_size=8,
        head_hidden_size=8,
        initializer_range=0.2,
    )
    model = DepthAnythingForDepthEstimation(config)
    torch.nn.init.constant_(model.head.conv3.bias, 2.0)
    folder = tmp_path_factory.mktemp("depth")
    model.half().save_pretrained(folder)
    processor = {"size": {"height": 28, "width": 28}, "keep_aspect_ratio": True, "ensure_multiple_of": 7}
    (folder / "preprocessor_config.json").write_text(json.dumps(processor))
    return folder


@pytest.fixture(scope="module")
def video():
    return np.random.default_rng(0).integers(0, 256, (5, 36, 48, 3), np.uint8)


def test_minimum_and_maximum_are_taken_over_the_clip_or_the_frame(checkpoint, video):
    estimator = DepthAnything.from_pretrained(checkpoint, device="cpu")
    per_clip, per_frame = estimator.estimate(video), estimator.estimate(video, normalise="frame")
    assert per_clip.shape == (5, 36, 48) and per_clip.dtype == np.float32
    assert per_clip.min() == 0 and per_clip.max() == 1
    assert (per_clip.max((1, 2)) < 1).any()
    np.testing.assert_array_equal(per_frame.min((1, 2)), 0)
    np.testing.assert_array_equal(per_frame.max((1, 2)), 1)


def test_higher_predictions_are_nearer(checkpoint, video):
    estimator = DepthAnything.from_pretrained(checkpoint, device="cpu")
    disparity, depth = estimator.predict_disparity(video), estimator.estimate(video)
    low, high = disparity.min(), disparity.max()
    np.testing.assert_allclose(depth, (disparity - low) / (high - low), atol=1e-6)


def test_predictions_are_enlarged_corner_to_corner(checkpoint, monkeypatch):
    """A ramp stays one, from its first value to its last: as Depth Anything's own code enlarges."""
    estimator = DepthAnything.from_pretrained(checkpoint, device="cpu")
    ramp = torch.linspace(1, 3, 14).expand(1, 14, 14)
    monkeypatch.setattr(estimator.model, "forward", lambda pixel_values: type("Output", (), {"predicted_depth": ramp}))
    disparity = estimator.predict_disparity(np.zeros((1, 36, 48, 3), np.uint8))
    np.testing.assert_allclose(disparity[0], np.broadcast_to(np.linspace(1, 3, 48), (36, 48)), rtol=1e-5)


def test_metric_depth_is_refused(checkpoint, tmp_path):
    """It would be stored upside down: such a network gives distances, larger where things are farther."""
    config = json.loads((checkpoint / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"depth_estimation_type": "metric", "max_depth": 80}))
    with pytest.raises(ValueError, match=r"depth_estimation_type='metric'.*relative"):
        DepthAnything.from_pretrained(tmp_path)


def test_batch_size_changes_nothing(checkpoint, video):
    estimator = DepthAnything.from_pretrained(checkpoint, device="cpu")
    np.testing.assert_allclose(
        estimator.estimate(video, batch_size=1), estimator.estimate(video, batch_size=4), atol=1e-4
    )


def test_a_constant_prediction_gives_zeros(checkpoint, video):
    estimator = DepthAnything.from_pretrained(checkpoint, device="cpu")
    torch.nn.init.zeros_(estimator.model.head.conv3.weight)
    assert (estimator.estimate(video) == 0).all()


def test_the_short_side_is_518_and_sides_are_multiples_of_14():
    preparation = ImagePreparation.from_config(PUBLISHED, multiple=14)
    assert preparation.target_size(480, 720) == (518, 784)  # 777 is 55.5 patches, a tie that goes up
    assert preparation.target_size(1080, 1920) == (518, 924)
    assert preparation.target_size(64, 64) == (518, 518)


def test_large_images_are_prepared_as_transformers_does():
    from transformers import DPTImageProcessor

    config = {**PUBLISHED, "size": {"height": 56, "width": 56}}
    processor = DPTImageProcessor(**config)
    preparation = ImagePreparation.from_config(config, multiple=14)
    for size in ((100, 180), (160, 70), (90, 90)):
        image = np.zeros((*size, 3), np.uint8)
        theirs = processor(image, return_tensors="pt")["pixel_values"]
        assert preparation.pixel_values(image[None]).shape == theirs.shape


def test_without_a_processor_configuration_the_size_is_kept(checkpoint, video, tmp_path):
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).write_bytes((checkpoint / name).read_bytes())
    estimator = DepthAnything.from_pretrained(tmp_path, device="cpu")
    assert estimator.preparation.target_size(36, 48) == (42, 49)
    assert estimator.estimate(video[:1]).shape == (1, 36, 48)


def test_errors_say_what_was_expected(checkpoint, video, tmp_path):
    estimator = DepthAnything.from_pretrained(checkpoint, device="cpu")
    with pytest.raises(ValueError, match="'clip', 'frame'"):
        estimator.estimate(video, normalise="shot")
    with pytest.raises(ValueError, match="uint8"):
        estimator.estimate(video / 255)
    with pytest.raises(ValueError, match="shortest_edge"):
        ImagePreparation.from_config({"size": {"edge": 3}}, 14)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "vit"}))
    with pytest.raises(ValueError, match="depth_anything"):
        DepthAnything.from_pretrained(tmp_path)


def test_the_shipped_checkpoint_sees_depth_in_unseen_scenes():
    from udpdiff.sources.scenes import SceneSettings, render_clip

    estimator = DepthAnything.from_pretrained("mini:depth_anything", device="cpu")
    for seed in (10_000_500, 10_000_501):
        clip = render_clip(SceneSettings(64, 64, 3, 8.0), seed)
        depth = estimator.estimate(clip.video)
        assert np.corrcoef(depth.ravel(), 1 / clip.z.ravel())[0, 1] > 0.95
