"""CropFormer's views, their fusion and their order, by hand: what upstream does, without upstream's values."""

from __future__ import annotations

import pytest
import torch

from udpdiff.labelling.cropformer import QUERIES_AT_ONCE, CropFormer, view_boxes
from udpdiff.labelling.cropformer_model import view_code

HEIGHT, WIDTH = 20, 40
VIEW = (64, 64)  # of the mini model, whose masks are half as large
PROBABILITIES = (0.9, 0.1, 0.2, 0.4, 0.8)  # the full view, left top, right top, left bottom, right bottom


@pytest.fixture(scope="module")
def segmenter() -> CropFormer:
    return CropFormer.from_pretrained("mini:cropformer", device="cpu")


def test_the_full_view_comes_first_then_the_corners_row_by_row():
    assert view_boxes(HEIGHT, WIDTH) == [
        (0, 0, 40, 20),
        (0, 0, 28, 14),
        (12, 0, 40, 14),
        (0, 6, 28, 20),
        (12, 6, 40, 20),
    ]


def test_a_pixel_is_the_mean_of_the_views_that_show_it(segmenter):
    """Every view is of one probability, so that each pixel says which views it was made of; for every query alike."""
    logits = torch.tensor(PROBABILITIES).logit()[None, :, None, None].expand(QUERIES_AT_ONCE + 1, 5, 32, 32)
    fused = segmenter.fuse_masks(logits, view_boxes(HEIGHT, WIDTH), [VIEW] * 5)
    assert fused.shape == (QUERIES_AT_ONCE + 1, HEIGHT, WIDTH)
    expected = {
        (0, 0): (0.9 + 0.1) / 2,
        (0, 20): (0.9 + 0.1 + 0.2) / 3,
        (0, 39): (0.9 + 0.2) / 2,
        (10, 0): (0.9 + 0.1 + 0.4) / 3,
        (10, 20): (0.9 + 0.1 + 0.2 + 0.4 + 0.8) / 5,
        (10, 39): (0.9 + 0.2 + 0.8) / 3,
        (19, 0): (0.9 + 0.4) / 2,
        (19, 20): (0.9 + 0.4 + 0.8) / 3,
        (19, 39): (0.9 + 0.8) / 2,
    }
    for (row, column), value in expected.items():
        torch.testing.assert_close(fused[:, row, column], torch.full((QUERIES_AT_ONCE + 1,), value))


def test_what_pads_a_view_is_no_part_of_it(segmenter):
    """A view of 64 x 32 in a picture of 64 x 64: its right half is padding, whatever the network says there."""
    logits = torch.full((1, 1, 32, 32), -10.0)
    logits[..., 17:] = 10.0  # one column apart, for masks are enlarged smoothly
    fused = segmenter.fuse_masks(logits, [(0, 0, WIDTH, HEIGHT)], [(64, 32)])
    assert (fused < 0.01).all()


def test_each_view_is_decoded_where_its_number_says(segmenter):
    """The first view alone gives the query's features; a mask belongs to the view whose pixels it was found in."""
    views = torch.zeros(5, 3, *VIEW)
    views[3, :, :32] = 1.5  # a bright upper half in the fourth view alone
    plain, moved = (torch.cat((views[:1], views[1:].roll(shift, 0))) for shift in (0, 1))
    with torch.inference_mode():
        first, second = (segmenter.model.decode_views(each).mask_logits for each in (plain, moved))

    def edges(masks):  # of the most telling query: how much upper and lower half differ, view by view
        return (masks[:, :, :14].mean((2, 3)) - masks[:, :, 18:].mean((2, 3))).abs().amax(0)

    assert edges(first).argmax() == 3 and edges(second).argmax() == 4


def test_queries_of_the_full_view_look_at_those_of_all_views_in_order(segmenter, monkeypatch):
    """The first decoding sees every view alone; so its queries are known from calls with one view."""
    model, given = segmenter.model, []

    class Recorder(torch.nn.Module):
        def forward(self, queries, positions, memory, memory_positions):
            given.append((queries, positions, memory, memory_positions))
            return queries

    monkeypatch.setattr(model, "crop_fusion", torch.nn.ModuleList([Recorder()]))
    views = torch.rand(3, 3, *VIEW, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        for part in (views, views[:1], views[1:2], views[2:]):
            model.decode_views(part)
    (queries, positions, memory, memory_positions), *alone = given
    torch.testing.assert_close(queries, alone[0][0], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(memory, torch.cat([each[0] for each in alone]), atol=1e-4, rtol=1e-4)
    assert not torch.allclose(alone[0][0], alone[1][0], atol=1e-2)
    assert torch.equal(memory_positions, torch.cat([positions] * 3))


def test_views_are_told_apart_by_their_number_counted_from_one():
    codes = view_code(4, 6)
    assert codes.shape == (4, 6)
    quarters = torch.tensor([1.0, 2.0, 3.0, 4.0]) * torch.pi / 2
    torch.testing.assert_close(codes[:, :2], torch.stack((quarters.sin(), quarters.cos()), 1), atol=1e-5, rtol=0)
    slower = quarters / 10_000 ** (1 / 3)
    torch.testing.assert_close(codes[:, 2:4], torch.stack((slower.sin(), slower.cos()), 1), atol=1e-5, rtol=0)
