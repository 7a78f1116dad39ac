"""The segmenter on real Mask2Former classes: painting order, sizes, preparation, errors, and the shipped checkpoint."""

import json

import numpy as np
import pytest
import torch

from udpdiff.labelling.image_preparation import ImagePreparation
from udpdiff.labelling.segmenter import EntitySegmenter


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A folder with a random Mask2Former of two classes for 32 px images."""
    from transformers import Mask2FormerConfig, Mask2FormerForUniversalSegmentation, SwinConfig

    torch.manual_seed(0)
    backbone = SwinConfig(
        image_size=32,
        patch_size=2,
        embed_dim=8,
        depths=[1, 1, 1, 1],
        num_heads=[1, 1, 2, 2],
        window_size=4,
        out_features=["stage1", "stage2", "stage3", "stage4"],
    )
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
        common_stride=2,
        feature_strides=[2, 4, 8, 16],
        num_labels=2,
    )
    folder = tmp_path_factory.mktemp("mask2former")
    Mask2FormerForUniversalSegmentation(config).half().save_pretrained(folder)
    size = {"shortest_edge": 32, "longest_edge": 96}
    processor = {"size": size, "size_divisor": 16, "image_mean": [0.4, 0.5, 0.6], "image_std": [0.2, 0.3, 0.4]}
    (folder / "preprocessor_config.json").write_text(json.dumps(processor))
    return folder


def boxes(size, *corners):
    """Mask logits (Q, size, size): +9 inside each (top, left, bottom, right), -9 outside."""
    masks = torch.full((len(corners), size, size), -9.0)
    for mask, (top, left, bottom, right) in zip(masks, corners, strict=True):
        mask[top:bottom, left:right] = 9.0
    return masks


def class_logits(*probabilities):
    """Two classes plus no object, of which the two classes share the probability."""
    rows = [[p / 2, p / 2, 1 - p] for p in probabilities]
    return torch.tensor(rows).clamp(min=1e-9).log()


def test_the_higher_score_wins_where_masks_overlap(checkpoint):
    segmenter = EntitySegmenter.from_pretrained(checkpoint, device="cpu")
    masks = boxes(32, (0, 0, 20, 20), (10, 10, 32, 32))
    weak_first = segmenter._paint(class_logits(0.7, 0.95), masks, (32, 32))
    strong_first = segmenter._paint(class_logits(0.95, 0.7), masks, (32, 32))
    assert weak_first[15, 15] == weak_first[30, 30] == 1 and weak_first[2, 2] == 2
    assert strong_first[15, 15] == strong_first[2, 2] == 1 and strong_first[30, 30] == 2
    assert weak_first[31, 0] == 0


def test_the_score_is_one_minus_no_object_whatever_the_class(checkpoint):
    segmenter = EntitySegmenter.from_pretrained(checkpoint, device="cpu", score_threshold=0.5)
    masks = boxes(32, (0, 0, 8, 8), (16, 16, 24, 24))
    # Each class alone has 0.3, below the threshold; together they pass it.
    painted = segmenter._paint(class_logits(0.6, 0.4), masks, (32, 32))
    assert painted[4, 4] == 1 and painted[20, 20] == 0


def test_uncertain_masks_score_lower(checkpoint):
    segmenter = EntitySegmenter.from_pretrained(checkpoint, device="cpu", score_threshold=0.5)
    masks = boxes(32, (0, 0, 8, 8)) * (0.1 / 9)  # probability 0.52 inside
    assert segmenter._paint(class_logits(0.9), masks, (32, 32)).max() == 0
    segmenter.score_threshold = 0.4
    assert segmenter._paint(class_logits(0.9), masks, (32, 32))[4, 4] == 1


def test_what_is_left_too_small_is_dropped_and_numbers_have_no_gaps(checkpoint):
    segmenter = EntitySegmenter.from_pretrained(checkpoint, device="cpu", min_entity_pixels=6)
    masks = boxes(32, (0, 0, 8, 8), (0, 0, 8, 9), (20, 20, 30, 30), (12, 0, 14, 2))
    painted = segmenter._paint(class_logits(0.99, 0.9, 0.8, 0.95), masks, (32, 32))
    assert sorted(np.unique(painted)) == [0, 1, 2, 3]  # the 8 px rest of the second stays, the 4 px box goes
    assert painted[12, 0] == 0 and painted[0, 8] == 2
    segmenter.min_entity_pixels = 9
    assert segmenter._paint(class_logits(0.99, 0.9, 0.8, 0.95), masks, (32, 32))[0, 8] == 0


def test_batches_agree_with_single_images_at_any_size(checkpoint):
    segmenter = EntitySegmenter.from_pretrained(checkpoint, device="cpu", score_threshold=0.0, min_entity_pixels=0)
    images = np.random.default_rng(0).integers(0, 256, (3, 40, 56, 3), np.uint8)
    together = segmenter.segment(images, batch_size=2)
    assert together.shape == (3, 40, 56) and together.dtype == np.uint16 and together.max() > 0
    for image, entity_ids in zip(images, together, strict=True):
        np.testing.assert_array_equal(segmenter.segment(image), entity_ids)


def test_weights_are_float32_and_masks_follow_the_image(checkpoint):
    segmenter = EntitySegmenter.from_pretrained(checkpoint, device="cpu", score_threshold=0.0, min_entity_pixels=0)
    assert {weight.dtype for weight in segmenter.model.parameters()} == {torch.float32}
    image = np.random.default_rng(1).integers(0, 256, (32, 32, 3), np.uint8)
    assert (segmenter.segment(image) != segmenter.segment(255 - image)).any()


def test_preparation_equals_the_image_processor_of_transformers(checkpoint):
    from transformers import Mask2FormerImageProcessor

    processor = Mask2FormerImageProcessor.from_pretrained(checkpoint)
    preparation = ImagePreparation.from_pretrained(str(checkpoint), multiple=16)
    for size in ((32, 32), (48, 96), (50, 41), (30, 200)):
        image = np.random.default_rng(2).integers(0, 256, (*size, 3), np.uint8)
        theirs = processor(image, return_tensors="pt")["pixel_values"]
        ours = preparation.pixel_values(image[None])
        assert ours.shape == theirs.shape
        if size == (32, 32):
            torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)


def test_errors_say_what_was_expected(checkpoint, tmp_path):
    segmenter = EntitySegmenter.from_pretrained(checkpoint, device="cpu")
    with pytest.raises(ValueError, match="uint8"):
        segmenter.segment(np.zeros((1, 32, 32, 3), np.float32))
    with pytest.raises(ValueError, match="batch_size"):
        segmenter.segment(np.zeros((1, 32, 32, 3), np.uint8), batch_size=0)
    with pytest.raises(ValueError, match="score_threshold"):
        EntitySegmenter.from_pretrained(checkpoint, score_threshold=1.5)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "vit"}))
    with pytest.raises(ValueError, match="mask2former"):
        EntitySegmenter.from_pretrained(tmp_path)
