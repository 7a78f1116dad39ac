"""A largest error is that of the one worst pixel, before the VAE; what the VAE spoils is told apart."""

from __future__ import annotations

import numpy as np
import pytest

from udpdiff.tasks import get_task


def test_one_pixel_of_depth():
    depth = np.linspace(0.2, 1, 2 * 4 * 4, dtype=np.float32).reshape(2, 4, 4)
    exact = depth.copy()
    exact[1, 2, 3] -= 0.3
    figures = get_task("depth").compare_round_trip(depth, exact, depth)
    assert figures["spectral_max_abs_error"] == pytest.approx(0.3, abs=1e-6) and figures["vae_depth_delta1"] == 1


def test_one_pixel_of_normals():
    normals = np.zeros((1, 4, 5, 3), np.float32)
    normals[..., 2] = -1
    exact, coded = normals.copy(), normals.copy()
    exact[0, 1, 1] = coded[0, 2] = [0, 1, 0]
    figures = get_task("normals").compare_round_trip(normals, exact, coded)
    assert figures["normals_rgb_max_degrees"] == pytest.approx(90)
    assert figures["vae_normals_within_30"] == 0.75
