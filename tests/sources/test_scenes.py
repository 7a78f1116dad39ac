"""Scenes: the same for a seed, exact truth that agrees with itself."""

from __future__ import annotations

import numpy as np
import pytest

from udpdiff.sources import ray_casting, scenes

SETTINGS = scenes.SceneSettings(height=48, width=64, num_frames=5, fps=8)
CLIPS = [scenes.render_clip(SETTINGS, seed) for seed in range(6)]


def test_same_seed_same_scene_and_other_seed_other_scene():
    again = scenes.render_clip(SETTINGS, 3)
    assert np.array_equal(again.video, CLIPS[3].video)
    assert again.detailed == CLIPS[3].detailed
    assert not np.array_equal(again.video, CLIPS[4].video)


@pytest.mark.parametrize("clip", CLIPS)
def test_shapes_types_and_ranges(clip):
    assert clip.video.shape == (5, 48, 64, 3) and clip.video.dtype == np.uint8
    assert clip.entity_ids.dtype == np.uint16 and clip.entity_ids.min() >= 1
    assert clip.z.dtype == np.float32 and clip.z.min() > 0 and clip.z.max() < 4 * ray_casting.BACKDROP_RADIUS
    assert np.allclose(np.linalg.norm(clip.normals.astype(np.float32), axis=-1), 1, atol=2e-3)
    assert 2 <= len(clip.scene["solids"]) <= 5


@pytest.mark.parametrize("clip", CLIPS)
def test_depth_and_camera_agree_with_the_ground(clip):
    """Pixels of the ground, put back into the world through z and the camera, lie at height 0."""
    height, width = clip.z.shape[1:]
    focal = 0.5 * height / np.tan(np.radians(scenes._FIELD_OF_VIEW) / 2)
    columns, rows = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    for frame in range(len(clip.z)):
        ground = clip.entity_ids[frame] == ray_casting.GROUND_ID
        z = clip.z[frame][ground].astype(np.float64)
        seen = np.stack([(columns[ground] - width / 2) / focal * z, (rows[ground] - height / 2) / focal * z, z], -1)
        camera = clip.camera[frame].astype(np.float64)
        world = (seen - camera[:3, 3]) @ camera[:3, :3]
        assert np.abs(world[:, 1]).max() < 1e-3


def test_flow_leads_to_the_same_entity():
    """Following the flow, a pixel nearly always lands on its own entity, and much more often than without it."""
    with_flow, without = [], []
    for clip in CLIPS:
        columns, rows = np.meshgrid(np.arange(64), np.arange(48))
        for frame in range(4):
            solid = clip.entity_ids[frame] >= ray_casting.FIRST_SOLID_ID
            flow = clip.flow[frame].astype(np.float32)
            x = np.clip(np.round(columns + flow[..., 0]), 0, 63).astype(int)
            y = np.clip(np.round(rows + flow[..., 1]), 0, 47).astype(int)
            same = clip.entity_ids[frame + 1][y, x] == clip.entity_ids[frame]
            with_flow.append(same[solid].mean())
            without.append((clip.entity_ids[frame + 1] == clip.entity_ids[frame])[solid].mean())
    assert np.mean(with_flow) > 0.93
    assert np.mean(with_flow) > np.mean(without)


def test_solid_size_makes_solids_bigger_and_words_stay_relative():
    settings = scenes.SceneSettings(height=48, width=64, num_frames=5, fps=8, solid_size=1.5)
    bigger = [scenes.render_clip(settings, seed) for seed in range(6)]

    def seen(clips):
        return np.mean([clip.entity_ids >= ray_casting.FIRST_SOLID_ID for clip in clips])

    assert seen(bigger) > 1.3 * seen(CLIPS)
    assert {solid["size"] for clip in bigger for solid in clip.scene["solids"]} == {"small", "", "large"}


def test_captions_name_what_is_there():
    for clip in CLIPS:
        for solid in clip.scene["solids"][:3]:
            assert f"{solid['color']} {solid['shape']}" in clip.detailed
        assert clip.brief[0].isupper() and clip.brief.endswith(".")


@pytest.mark.parametrize("shape", scenes.SHAPES)
def test_rays_meet_solids_where_their_implicit_surface_is_zero(shape):
    """Independent of the intersection code: hit points satisfy the shape's own equation."""
    rng = np.random.default_rng(0)
    start = np.tile([[0.3, 0.4, -5.0]], (4000, 1))
    ray = rng.normal((0, 0, 1), 0.25, (4000, 3))
    t, normal = ray_casting._INTERSECT[shape](start, ray)
    hit = t < 1e6
    assert 0.02 < hit.mean() < 0.95
    x, y, z = (start + t[:, None] * ray)[hit].T
    across = np.hypot(x, z)
    surface = {
        "ball": np.sqrt(x**2 + y**2 + z**2) - 1,
        "cube": np.max(np.abs([x, y, z]), axis=0) - 1,
        "cylinder": np.maximum(across - 1, np.abs(y) - 1),
        "cone": np.maximum(across - (1 - y) / 2, np.abs(y) - 1),
    }[shape]
    assert np.abs(surface).max() < 1e-5
    assert (np.einsum("ni,ni->n", normal[hit], ray[hit]) < 1e-6).all(), "surfaces face the ray that met them"
