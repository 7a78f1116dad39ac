"""First-frame entities from a grid of points: parity with the package's own mask generator, painting, errors."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from udpdiff.labelling.point_grid import PointGridSegmenter, fit_feature_sizes, grid_points, paint
from udpdiff.labelling.propagation import MaskTracker
from udpdiff.mini.sam2_points import draw_points, point_loss, prompt_points
from udpdiff.mini.sam2_samples import normalise
from udpdiff.mini.scenes import VARIED_SCENES
from udpdiff.sources.scenes import render_clip


@pytest.fixture(scope="module")
def model():
    return MaskTracker.from_pretrained("mini:sam2", device="cpu").predictor


@pytest.fixture(scope="module")
def scene():
    return render_clip(VARIED_SCENES, seed=10_000_003)


@pytest.fixture(scope="module")
def thresholds(model, image) -> dict[str, float]:
    """Thresholds that many masks of the image pass and many do not."""
    points = grid_points(6) * image.shape[1::-1]
    logits, predicted_ious = map(np.concatenate, zip(*PointGridSegmenter(model).prompt(image, points), strict=True))
    stability = (logits > 1).sum((2, 3)) / np.maximum((logits > -1).sum((2, 3)), 1)
    quantile = {"predicted_iou_threshold": predicted_ious, "stability_threshold": stability}
    return {name: float(np.quantile(values, 0.4)) for name, values in quantile.items()} | {"box_nms_threshold": 0.8}


@pytest.fixture(scope="module")
def image(scene) -> np.ndarray:
    """The first frame of an unseen scene, neither square nor of the model's size."""
    return np.asarray(Image.fromarray(scene.video[0]).resize((80, 56)))


def test_grid_is_the_packages():
    from sam2.utils.amg import build_point_grid

    for side in (1, 8, 12):
        np.testing.assert_allclose(grid_points(side), build_point_grid(side))


def test_filtered_masks_are_those_of_the_packages_mask_generator(model, image, thresholds):
    from sam2.automatic_mask_generator import SAM2AutomaticMaskGenerator

    generator = SAM2AutomaticMaskGenerator(
        model,
        points_per_side=6,
        points_per_batch=10,
        pred_iou_thresh=thresholds["predicted_iou_threshold"],
        stability_score_thresh=thresholds["stability_threshold"],
        box_nms_thresh=thresholds["box_nms_threshold"],
    )
    fit_feature_sizes(generator.predictor)
    expected = generator.generate(image)
    masks, scores = PointGridSegmenter(model, 6, "amg", **thresholds, points_per_batch=10).masks(image)
    assert 2 <= len(masks) < 50
    np.testing.assert_allclose(scores, [found["predicted_iou"] for found in expected], rtol=1e-5)
    np.testing.assert_array_equal(masks, [found["segmentation"] for found in expected])


def test_unfiltered_masks_are_the_best_of_each_point(model, image):
    segmenter = PointGridSegmenter(model, 3, "none")
    masks, scores = segmenter.masks(image)
    assert masks.shape == (9, 56, 80) and (np.diff(scores) <= 0).all()
    logits, predicted_ious = next(segmenter.prompt(image, np.array([[40.0, 28.0]])))  # the middle one of the grid
    assert np.isclose(scores, predicted_ious.max(), rtol=1e-4).any()
    assert any((mask == (logits[0, predicted_ious.argmax()] > 0)).mean() > 0.999 for mask in masks)


@pytest.mark.parametrize("filtering", ["none", "amg"])
def test_segment_gives_ids_as_a_segmenter_does(model, image, thresholds, filtering):
    segmenter = PointGridSegmenter(model, 4, filtering, **thresholds)
    entity_ids = segmenter.segment(np.stack([image, image[::-1]]))
    assert entity_ids.dtype == np.uint16 and entity_ids.shape == (2, 56, 80)
    np.testing.assert_array_equal(entity_ids[0], segmenter.segment(image))
    assert np.unique(entity_ids[1]).tolist() in (
        list(range(entity_ids[1].max() + 1)),
        list(range(1, 1 + entity_ids[1].max())),
    )


def test_nothing_passes_the_filter_where_the_model_is_sure_of_nothing(model, image):
    assert not PointGridSegmenter(model, 4, "amg", predicted_iou_threshold=1.0).segment(image).any()


def test_low_precision_stays_close(model, image):
    full = PointGridSegmenter(model, 3, "none").masks(image)
    low = PointGridSegmenter(model, 3, "none", dtype=torch.bfloat16).masks(image)
    assert low.scores.dtype == np.float32
    np.testing.assert_allclose(low.scores, full.scores, atol=0.05)


def test_smaller_masks_lie_over_larger_ones_and_ids_follow_the_scores():
    whole, part, again, speck = np.zeros((4, 8, 8), bool)
    whole[1:7, 1:7] = part[2:4, 2:5] = again[2:4, 2:5] = speck[7, 7] = True
    painted = paint(np.stack([whole, part, again, speck]), np.array([0.9, 0.7, 0.8, 0.95], np.float32), 2)
    expected = np.where(again, 2, whole.astype(int))  # the better of two equal masks; the speck is too small
    np.testing.assert_array_equal(painted, expected)


def test_wrong_arguments_are_refused(model, image):
    with pytest.raises(ValueError, match="points_per_side=0"):
        PointGridSegmenter(model, 0)
    with pytest.raises(ValueError, match="amg, none"):
        PointGridSegmenter(model, 4, "some")
    with pytest.raises(ValueError, match="uint8"):
        PointGridSegmenter(model, 4).segment(image / 255)


def test_trainer_prompts_as_the_package_does(model):
    """The mini checkpoint learns points through its own differentiable prompting; it must see what users' points see."""
    rng = np.random.default_rng(1)
    image = np.asarray(Image.fromarray(rng.integers(0, 255, (8, 8, 3), np.uint8)).resize((64, 64)))
    ids = np.ones((64, 64), np.uint8)
    ids[20:44, 12:30] = 2
    points, masks = draw_points(ids, rng)
    assert masks.shape == (2, 64, 64)
    for (x, y), mask in zip(points * 64, masks, strict=True):
        assert mask[int(y), int(x)]
    with torch.no_grad():
        backbone_out = model.forward_image(normalise(image[None], "bilinear"))
        trained, ious = prompt_points(model, backbone_out, torch.from_numpy(points).float(), torch.tensor([0, 0]))
    logits, predicted_ious = next(PointGridSegmenter(model).prompt(image, points * 64))
    np.testing.assert_allclose(trained, logits, atol=1e-2 * np.abs(logits).max())
    np.testing.assert_allclose(ious, predicted_ious, atol=1e-3)


def test_point_loss_takes_the_best_mask_and_teaches_all_scores():
    truth = torch.zeros(1, 16, 16)
    truth[:, 4:12, 4:12] = 1
    right, wrong = 40 * truth - 20, 20 - 40 * truth
    logits = torch.stack([wrong, right, wrong], dim=1)
    predicted = torch.tensor([[0.0, 1.0, 0.0]])
    assert point_loss(logits, predicted, truth) < 0.01
    assert point_loss(logits, torch.tensor([[0.9, 1.0, 0.0]]), truth) > 0.1
    assert point_loss(logits[:, [0, 0, 2]], torch.zeros(1, 3), truth) > 0.5
