"""CropFormer: parity with the upstream implementation step by step, the converter, painting, and the three-line use."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from udpdiff.labelling import cropformer, cropformer_checkpoint
from udpdiff.labelling.cropformer import CropFormer, is_cropformer, paint, view_boxes, view_size
from udpdiff.labelling.image_preparation import ImagePreparation

CASES = ("upscale", "downscale")


@pytest.fixture(scope="module")
def official(golden_folder):
    """A tiny state dict under the names of the official files."""
    return load_file(golden_folder("cropformer") / "model.safetensors")


@pytest.fixture(scope="module")
def model(official):
    return cropformer_checkpoint.convert(official)


def segmenter(model, case) -> CropFormer:
    sides = case.settings["resize"]
    preparation = ImagePreparation(short_side=sides["short_side"], long_side=sides["max_long_side"], multiple=32)
    return CropFormer(model, preparation, case.settings["score_threshold"])


def decode(model, case):
    expected = [case.expected[f"view_{index}"].numpy() for index in range(5)]
    with torch.inference_mode():
        return model.decode_views(segmenter(model, case).pixel_values(expected))


@pytest.mark.parametrize("name", CASES)
def test_views_equal_upstream(model, golden_case, name):
    case = golden_case("cropformer", name)
    image = case.input["image"].numpy()
    boxes = view_boxes(*image.shape[:2])
    assert boxes == [tuple(view["box_xyxy"]) for view in case.settings["views"]]
    for index, box in enumerate(boxes):
        view = segmenter(model, case).resize_view(image, box).astype(int)
        assert np.abs(view - case.expected[f"view_{index}"].numpy()).max() <= 1


@pytest.mark.parametrize("name", CASES)
def test_logits_equal_upstream(model, golden_case, name):
    case = golden_case("cropformer", name)
    output = decode(model, case)
    shown = case.expected["crop_mask_view_ids"]
    case.check("plain_class_logits", output.plain_class_logits)
    case.check("plain_mask_logits", output.plain_mask_logits[0])
    case.check("crop_class_logits", output.class_logits)
    case.check("crop_mask_logits", output.mask_logits[:, shown])


@pytest.mark.parametrize("name", CASES)
def test_fused_masks_and_entities_equal_upstream(model, golden_case, name):
    case = golden_case("cropformer", name)
    output, views = decode(model, case), case.settings["views"]
    boxes, sizes = [tuple(v["box_xyxy"]) for v in views], [tuple(v["resized_hw"]) for v in views]
    fused = segmenter(model, case).fuse_masks(output.mask_logits, boxes, sizes)
    case.check("fused_masks", fused[case.expected["fused_query_ids"]])
    probabilities = output.class_logits.softmax(-1)[:, 0]
    ids, queries, scores = paint(fused, probabilities, case.settings["score_threshold"])
    assert queries == case.expected["entity_query"].tolist()
    np.testing.assert_allclose(scores, case.expected["entity_score"], atol=1e-4)
    assert (ids != case.expected["entity_id_map"].numpy()).sum() <= 3
    plain = segmenter(model, case).fuse_masks(output.plain_mask_logits[0][:, None], boxes[:1], sizes[:1])
    ids, queries, _ = paint(plain, output.plain_class_logits[0].softmax(-1)[:, 0], case.settings["score_threshold"])
    assert queries == case.expected["plain_entity_query"].tolist()
    assert (ids != case.expected["plain_entity_id_map"].numpy()).sum() <= 3


@pytest.mark.parametrize("name", CASES)
def test_leaving_out_hopeless_queries_changes_nothing(model, golden_case, name, monkeypatch):
    case = golden_case("cropformer", name)
    image = case.input["image"].numpy()
    ids = segmenter(model, case).segment(image)
    assert (ids != case.expected["entity_id_map"].numpy()).mean() < 0.02  # another Pillow may round a grey level
    monkeypatch.setattr(cropformer, "LARGEST_CERTAINTY", 1e9)
    np.testing.assert_array_equal(ids, segmenter(model, case).segment(image))


def test_a_converted_folder_loads_in_three_lines(official, golden_case, tmp_path):
    """The docstring's example."""
    cropformer_checkpoint.save(official, tmp_path / "folder")
    assert is_cropformer(tmp_path / "folder")
    sides = json.loads((tmp_path / "folder" / "preprocessor_config.json").read_text())["size"]
    assert sides == {"shortest_edge": 800, "longest_edge": 1333}
    (tmp_path / "folder" / "preprocessor_config.json").write_text(
        json.dumps({"size": {"shortest_edge": 112, "longest_edge": 150}, "size_divisor": 32})
    )
    case = golden_case("cropformer", "upscale")
    ids = CropFormer.from_pretrained(tmp_path / "folder", device="cpu").segment(case.input["image"].numpy())
    assert (ids != case.expected["entity_id_map"].numpy()).mean() < 0.02


def test_a_file_without_fusion_becomes_a_mask2former(official, tmp_path):
    plain = {name: value for name, value in official.items() if "make_3d" not in name}
    cropformer_checkpoint.save(plain, tmp_path)
    assert not is_cropformer(tmp_path)
    with pytest.raises(ValueError, match="no CropFormer"):
        CropFormer.from_pretrained(tmp_path)


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda w: w.pop("sem_seg_head.predictor.decoder_norm.bias"), "lacks 1 weights: .*layernorm.bias"),
        (lambda w: w.pop("sem_seg_head.predictor.query_embed.weight"), "lacks sem_seg_head.predictor.query_embed"),
        (lambda w: w.update({"backbone.hornet.gnconv": torch.zeros(1)}), "1 unknown keys.*backbone.hornet.gnconv"),
        (
            lambda w: w.update({"sem_seg_head.predictor.decoder_norm.bias": torch.zeros(3)}),
            "another shape in 1 weights: .*layernorm.bias",
        ),
    ],
)
def test_odd_checkpoints_are_refused_by_name(official, change, words):
    weights = dict(official)
    change(weights)
    with pytest.raises(ValueError, match=words):
        cropformer_checkpoint.convert(weights)


def test_the_likelier_query_takes_the_pixel():
    fused = torch.zeros(3, 4, 8)
    fused[0, :, :5], fused[1, :, 3:], fused[2, :, :2] = 1.0, 1.0, 1.0
    ids, queries, scores = paint(fused, torch.tensor([0.9, 0.95, 0.8]), 0.5)
    assert queries == [1, 0] and ids[0].tolist() == [2, 2, 2, 1, 1, 1, 1, 1]
    assert scores[0] == pytest.approx(0.95 * 0.7310586, rel=1e-5)


def test_a_rejected_query_takes_its_pixels():
    """The likelier one is too uncertain to count, and yet the other does not get what it covers."""
    fused = torch.zeros(2, 4, 8)
    fused[0, :, :4], fused[1] = 0.51, 1.0
    ids, queries, scores = paint(fused, torch.tensor([0.7, 0.69]), 0.5)
    assert queries == [1] and ids[0].tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
    assert scores == [pytest.approx(0.69 * 0.7310586, rel=1e-5)]


@pytest.mark.parametrize(
    "size, expected", [((480, 720), (800, 1200)), ((480, 1280), (500, 1333)), ((64, 64), (800, 800))]
)
def test_view_sizes_follow_detectron2(size, expected):
    assert view_size(*size, 800, 1333) == expected


def test_bad_input_is_refused(model):
    with pytest.raises(ValueError, match=r"score_threshold=1\.5"):
        CropFormer(model, ImagePreparation(), 1.5)
    with pytest.raises(ValueError, match="uint8"):
        CropFormer(model, ImagePreparation()).segment(np.zeros((2, 8, 8, 3), np.float32))
