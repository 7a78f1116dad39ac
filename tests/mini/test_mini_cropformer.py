"""The mini CropFormer: its targets, two steps of its trainer, and what the shipped one finds in unseen scenes."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from udpdiff.checkpoints import resolve
from udpdiff.labelling.cropformer import CropFormer, is_cropformer, view_boxes
from udpdiff.labelling.cropformer_model import LayerLogits
from udpdiff.labelling.segmenter import EntitySegmenter
from udpdiff.mini import cropformer
from udpdiff.mini.card import earlier_training
from udpdiff.mini.cropformer import cut_views, decoding_loss, view_targets
from udpdiff.mini.quality import entity_quality
from udpdiff.sources.scenes import SceneSettings, render_clip


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return cropformer.build_model().eval()


def quarters() -> torch.Tensor:
    """Entity ids (2, 64, 64): four quarters, then a small square in the right lower corner of one entity."""
    entity_ids = torch.ones(2, 64, 64, dtype=torch.uint8)
    entity_ids[0, 32:] += 1
    entity_ids[0, :, 32:] += 2
    entity_ids[1, 58:, 58:] = 2
    return entity_ids


def test_views_are_cut_as_in_use(model):
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    segmenter = CropFormer(model, cropformer.PREPARATION)
    ours = cut_views(torch.from_numpy(image).permute(2, 0, 1)[None].float())[0]
    for view, box in zip(ours, view_boxes(64, 64), strict=True):
        theirs = segmenter.resize_view(image, box).transpose(2, 0, 1)
        assert np.abs(view.numpy() - theirs).max() <= 1


def test_masks_are_placed_at_the_models_stride_and_views_squashed_to_its_size(model):
    segmenter = CropFormer(model, cropformer.PREPARATION)
    logits = torch.full((1, 1, 32, 32), -10.0)
    logits[..., :16] = 10.0  # the left half of a view
    fused = segmenter.fuse_masks(logits, view_boxes(48, 80)[:1], [(64, 64)])
    assert torch.equal(fused[0] > 0.5, (torch.arange(80) < 40).expand(48, 80))
    assert segmenter.segment(np.zeros((48, 80, 3), np.uint8)).shape == (48, 80)


def test_an_entity_is_asked_for_where_it_is_shown():
    targets = view_targets(quarters())
    assert targets.plain.masks.shape == (10, 4, 64, 64) and targets.together.masks.shape == (2, 4, 320, 64)
    # Entity 2 of the second image lies in the full view and in the last crop alone.
    assert targets.plain.wanted[5:, 1].tolist() == [True, False, False, False, True]
    assert targets.together.wanted.tolist() == [[True] * 4, [True, True, False, False]]
    torch.testing.assert_close(targets.together.masks[0, :, :64], targets.plain.masks[0])


def test_the_truth_has_a_small_loss_and_views_of_different_entities_a_large_one(model):
    targets = view_targets(quarters()).together
    masks = targets.masks[:, [2, 0, 3, 1]].unflatten(2, (5, 64))[..., ::2, ::2] * 20 - 10
    classes = torch.where(targets.wanted[:, [2, 0, 3, 1], None], torch.tensor([10.0, -10]), torch.tensor([-10.0, 10]))
    mixed = masks.clone()
    mixed[0, :, 1:] = masks[0, [1, 0, 3, 2], 1:]
    right, wrong = (decoding_loss(model.config, [LayerLogits(classes, what)], targets) for what in (masks, mixed))
    assert right < 1 and wrong > 5 * right


def test_images_of_a_batch_do_not_meet(model):
    views = torch.randn(2, 5, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        plain, together = model.decode_layers(views)
        alone = model.decode_views(views[1])
    assert len(plain) == len(together) == model.config.decoder_layers
    torch.testing.assert_close(plain[-1].masks[1], alone.plain_mask_logits, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(together[-1].masks[1], alone.mask_logits, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(together[-1].classes[1], alone.class_logits, atol=1e-4, rtol=1e-4)


def test_two_steps_of_training_give_a_folder_both_segmenters_load(train_briefly):
    start = resolve("mini:cropformer")
    folder = train_briefly("cropformer")
    assert is_cropformer(folder)
    trained = CropFormer.from_pretrained(folder, device="cpu").model.state_dict()
    plain = EntitySegmenter.from_pretrained(folder, device="cpu").model.state_dict()
    before = EntitySegmenter.from_pretrained(start, device="cpu").model.state_dict()
    assert set(trained) - set(plain) == {name for name in trained if name.startswith("crop_fusion.")}
    moved = [name for name in before if not torch.equal(before[name], plain[name])]
    assert len(moved) > len(before) / 2 and all(torch.equal(trained[name], plain[name]) for name in plain)
    record = json.loads((folder / "training.json").read_text())
    assert record["steps"] == 2 + earlier_training(start)[0]
    assert {"iou", "iou_solids", "plain_iou"} <= set(record["quality"])


@pytest.fixture(scope="module")
def unseen():
    clips = [render_clip(SceneSettings(64, 64, 1, 8.0), seed) for seed in range(10_000_500, 10_000_516)]
    return np.stack([clip.video[0] for clip in clips]), np.stack([clip.entity_ids[0] for clip in clips])


def test_the_shipped_checkpoint_finds_the_entities_of_unseen_scenes(unseen):
    images, truth = unseen
    quality = entity_quality(CropFormer.from_pretrained("mini:cropformer", device="cpu").segment(images), truth)
    assert quality["iou"] > 0.85 and quality["iou_solids"] > 0.75


def test_its_mask2former_works_alone(unseen):
    images, truth = unseen
    quality = entity_quality(EntitySegmenter.from_pretrained("mini:cropformer", device="cpu").segment(images), truth)
    assert quality["iou"] > 0.8
