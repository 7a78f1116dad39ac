"""Which true entities are solids: all but ground and backdrop, the first of them too."""

from __future__ import annotations

import numpy as np
import pytest

from udpdiff.clip import BACKDROP_ID, FIRST_SOLID_ID, GROUND_ID
from udpdiff.tasks import get_task


@pytest.mark.parametrize("missed", [FIRST_SOLID_ID, FIRST_SOLID_ID + 1])
def test_every_solid_counts_among_the_solids(missed):
    truth = np.full((2, 16, 16), BACKDROP_ID, np.uint16)
    truth[:, 10:] = GROUND_ID
    truth[:, 2:6, 2:6], truth[:, 2:6, 9:13] = FIRST_SOLID_ID, FIRST_SOLID_ID + 1
    labels = np.where(truth == missed, 0, truth)
    task = get_task("seg")
    figures = task.compare_with_truth(labels, {"entity_ids": truth}, task.Options())
    assert figures["solid_miou"] == 0.5
    assert figures["entity_miou"] == pytest.approx(3 / 4)
    assert figures["entity_recall"] == 3 / 4 and figures["entity_precision"] == 1
    ground_alone = task.compare_with_truth(truth, {"entity_ids": np.full_like(truth, GROUND_ID)}, task.Options())
    assert "solid_miou" not in ground_alone


@pytest.mark.parametrize(("pixels", "counts"), [(11, False), (12, True)])
def test_entities_of_twelve_pixels_in_the_clip_count_and_smaller_ones_do_not(pixels, counts):
    truth = np.full((1, 16, 16), GROUND_ID, np.uint16)
    truth[0].ravel()[:pixels] = FIRST_SOLID_ID
    task = get_task("seg")
    figures = task.compare_with_truth(np.full_like(truth, 5), {"entity_ids": truth}, task.Options())
    assert figures["entity_recall"] == (0.5 if counts else 1)
    assert figures["entity_miou"] == pytest.approx((256 - pixels) / 256 / (2 if counts else 1))
    assert ("solid_miou" in figures) == counts
    assert figures["entity_j"] == pytest.approx((256 - pixels) / 256 / 2 if counts else 1)
