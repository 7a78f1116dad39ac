"""What belongs to a clip's surroundings: by hand at the bound, and of rendered scenes exactly ground and backdrop."""

from __future__ import annotations

import numpy as np
import pytest

from udpdiff.clip import FIRST_SOLID_ID
from udpdiff.measures.surroundings import border_shares, without_surroundings
from udpdiff.sources.scenes import SceneSettings, render_clip


def test_every_pixel_of_the_border_counts_once():
    ids = np.zeros((2, 4, 5), np.uint16)
    ids[:, 0], ids[:, 1:-1, 1:-1] = 3, 7
    np.testing.assert_allclose(border_shares(ids), [9 / 14, 0, 0, 5 / 14, 0, 0, 0, 0])


@pytest.mark.parametrize(("pixels", "is_left_out"), [(7, False), (8, True)])
def test_a_quarter_of_the_border_is_surroundings(pixels, is_left_out):
    """A border of 2 x 16 pixels over two frames: 8 are a quarter, wherever and whenever they lie."""
    ids = np.full((2, 5, 5), 4, np.uint16)
    ids[0, 0], ids[1, -1, : pixels - 5] = 9, 9
    ids[:, 2, 2] = 6
    found = without_surroundings(ids)
    assert found.dtype == ids.dtype and not (found == 4).any() and (found[:, 2, 2] == 6).all()
    assert (found == 9).any() != is_left_out


def test_names_of_entities_do_not_matter():
    ids = np.random.default_rng(0).integers(0, 5, (2, 6, 6)).astype(np.uint16)
    ids[:, 0], ids[:, :, 0] = 2, 2
    renamed = np.array([0, 40, 7, 300, 9], np.uint16)
    np.testing.assert_array_equal(renamed[without_surroundings(ids)], without_surroundings(renamed[ids]))


def test_what_is_left_of_scenes_are_their_solids():
    settings = SceneSettings(height=48, width=64, num_frames=5, fps=8, solid_size=1.4, max_solids=3)
    for seed in range(12):
        ids = render_clip(settings, seed).entity_ids
        np.testing.assert_array_equal(without_surroundings(ids), np.where(ids >= FIRST_SOLID_ID, ids, 0))
