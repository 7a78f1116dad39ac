"""Solids of unequal sides: where rays meet them, and which way their surface faces there."""

from __future__ import annotations

import numpy as np

from udpdiff.sources import ray_casting
from udpdiff.sources.ray_casting import Body, Surface


def test_normals_are_those_of_the_stretched_and_turned_surface():
    """Of an ellipsoid: the gradient of (x / a)^2 + (y / b)^2 + (z / c)^2, turned into the world."""
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]
    turn *= np.sign(np.linalg.det(turn))
    half, center = np.array([0.5, 1.2, 0.8]), np.array([0.3, 2.0, 0.5])
    surface = Surface((1, 0, 0), (1, 1, 1), "plain", 1.0, 0.0)
    body = Body("ball", half, center[None], turn[None], surface)
    origin = np.array([[0.0, 2.5, -5.0]])
    rays = np.random.default_rng(0).normal((0.05, -0.1, 1), 0.12, (1, 2000, 3))
    rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
    hits = ray_casting.cast([body], origin, rays)
    met = hits.entity_ids[0] == ray_casting.FIRST_SOLID_ID
    assert 300 < met.sum() < 1700
    local = (hits.points[0, met] - center) @ turn
    np.testing.assert_allclose(((local / half) ** 2).sum(1), 1, atol=1e-4)
    np.testing.assert_allclose(hits.local[0, met], local, atol=1e-4)
    normals = (local / half**2) @ turn.T
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    np.testing.assert_allclose(hits.normals[0, met], normals, atol=1e-3)
    assert (np.einsum("ni,ni->n", normals, rays[0, met]) < 0).all()
