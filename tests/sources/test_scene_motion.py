"""How solids and the camera of scenes move, and that they do what the scene's words say."""

from __future__ import annotations

import numpy as np
import pytest

from udpdiff.sources import ray_casting, scenes
from udpdiff.sources.physics import Mover, simulate


def mover(position, velocity=(0, 0, 0), yaw_rate=0.0, rolls=False) -> Mover:
    """A solid of radius 0.5 whose centre rests half a unit above the ground."""
    return Mover(np.array(position, float), np.array(velocity, float), 0.5, 0.5, 0.3, yaw_rate, rolls)


def test_a_bounce_gives_back_nine_sixteenths_of_the_height():
    """A restitution of three quarters in speed; then it comes to rest on the ground."""
    centers, _ = simulate([mover((0, 2.5, 0))], num_frames=1000, fps=200, half_width=3)
    height = centers[0, :, 1] - 0.5
    assert height.min() >= 0 and height[0] == 2 and height[-1] < 0.01
    lands = int(np.argmax(np.diff(height) > 0))
    assert lands / 200 == pytest.approx(np.sqrt(2 * 2 / 9.8), abs=0.02)
    assert height[lands : lands + 120].max() == pytest.approx(2 * 0.75**2, rel=0.03)


def test_a_ball_rolls_without_slipping_and_others_slide_and_spin():
    ball, cube = mover((-1, 0.5, 0), (1, 0, 0), rolls=True), mover((0, 0.5, 2), (0, 0, -0.5), yaw_rate=2.0)
    centers, rotations = simulate([ball, cube], num_frames=3, fps=10, half_width=5)
    np.testing.assert_allclose(centers[:, 2, [0, 2]], [[-0.8, 0], [0, 1.9]], atol=1e-9)
    turned = rotations[0, 2] @ rotations[0, 0].T
    angle = 0.2 / 0.5  # way over radius, about the axis across it: the top goes ahead
    np.testing.assert_allclose(turned @ [0, 1, 0], [np.sin(angle), np.cos(angle), 0], atol=1e-9)
    np.testing.assert_allclose(turned @ [0, 0, 1], [0, 0, 1], atol=1e-9)
    spun = rotations[1, 2] @ rotations[1, 0].T
    np.testing.assert_allclose(spun @ [0, 0, 1], [np.sin(0.4), 0, np.cos(0.4)], atol=1e-9)
    np.testing.assert_allclose(rotations[1, 0] @ [0, 0, 1], [np.sin(0.3), 0, np.cos(0.3)], atol=1e-9)


def test_what_meets_head_on_exchanges_its_speed_and_walls_send_back():
    first, second = mover((-0.8, 0.5, 0), (1, 0, 0)), mover((0.4, 0.5, 0))
    centers, _ = simulate([first, second], num_frames=21, fps=20, half_width=4)
    np.testing.assert_allclose(first.velocity[[0, 2]], 0, atol=1e-9)
    np.testing.assert_allclose(second.velocity[[0, 2]], [1, 0], atol=1e-9)
    assert np.linalg.norm(centers[1] - centers[0], axis=1).min() == pytest.approx(1, abs=0.01)
    alone = mover((0, 0.5, 2), (0, 0, 2))
    centers, _ = simulate([alone], num_frames=21, fps=20, half_width=3)
    assert centers[0, :, 2].max() == pytest.approx(2.5, abs=0.02) and alone.velocity[2] == -2


@pytest.fixture(scope="module")
def clips():
    """Small scenes, enough of them that each motion occurs."""
    settings = scenes.SceneSettings(height=24, width=32, num_frames=3, fps=4)
    return [scenes.render_clip(settings, seed) for seed in range(50)]


def test_the_camera_moves_as_its_name_says(clips):
    seen = set()
    for clip in clips:
        origins = -np.einsum("tji,tj->ti", clip.camera[:, :3, :3], clip.camera[:, :3, 3])
        way = clip.camera[0, :3, :3] @ (origins[-1] - origins[0])  # x right, y down, z ahead, of the first camera
        motion = clip.scene["camera"]
        seen.add(motion)
        if motion == "still":
            assert np.abs(way).max() < 1e-5
        elif motion in ("left", "right"):
            assert np.sign(way[0]) == (1 if motion == "right" else -1) and abs(way[0]) > 2 * abs(way[2])
        else:
            assert np.sign(way[2]) == (1 if motion == "in" else -1) and abs(way[2]) > 2 * abs(way[0])
    assert seen == set(scenes.CAMERAS)


def test_solids_move_where_the_words_say(clips):
    """Before a still camera: by the flow to the sides, by the distance to the camera along its axis."""
    moved = {name: [] for name in ("left", "right", "away", "closer")}
    for clip in clips:
        if clip.scene["camera"] != "still":
            continue
        for index, solid in enumerate(clip.scene["solids"]):
            own = clip.entity_ids == ray_casting.FIRST_SOLID_ID + index
            if solid["action"] == "moves" and own.sum(axis=(1, 2)).min() > 8:
                across = clip.flow[0].astype(np.float32)[own[0]][:, 0].mean()
                ahead = clip.z[1][own[1]].mean() - clip.z[0][own[0]].mean()
                moved[solid["heading"]].append(across if solid["heading"] in ("left", "right") else ahead)
    assert min(map(len, moved.values())) >= 3
    for heading, sign in (("left", -1), ("right", 1), ("away", 1), ("closer", -1)):
        assert np.mean(np.sign(moved[heading]) == sign) > 0.8, (heading, moved[heading])


def test_flow_is_the_way_of_the_surface_to_the_next_frame(clips):
    """Of the ground, which stands still, by z and the cameras of both frames alone."""
    clip = next(clip for clip in clips if clip.scene["camera"] == "left")
    height, width = clip.z.shape[1:]
    focal = 0.5 * height / np.tan(np.radians(46.0) / 2)
    columns, rows = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    rays = np.stack([(columns - width / 2) / focal, (rows - height / 2) / focal, np.ones_like(columns)], -1)
    for frame in range(2):
        here, later = clip.camera[frame].astype(np.float64), clip.camera[frame + 1].astype(np.float64)
        world = (rays * clip.z[frame][..., None] - here[:3, 3]) @ here[:3, :3]
        seen = world @ later[:3, :3].T + later[:3, 3]
        place = np.stack([seen[..., 0], seen[..., 1]], -1) / seen[..., 2:] * focal + [width / 2, height / 2]
        ground = clip.entity_ids[frame] == ray_casting.GROUND_ID
        way = place - np.stack([columns, rows], -1)
        np.testing.assert_allclose(clip.flow[frame][ground], way[ground], atol=0.02)
        assert np.abs(way[ground]).max() > 0.1


def test_the_detailed_caption_tells_the_first_solids_in_order_with_what_they_do(clips):
    words = {"left": "left", "right": "right", "away": "away", "closer": "closer"}
    many = [clip for clip in clips if len(clip.scene["solids"]) > 3]
    assert many
    for clip in many:
        text, at = clip.detailed, 0
        for solid in clip.scene["solids"][:3]:
            verb = {"stays": "stays", "spins": "spins", "bounces": "bounces"}.get(solid["action"])
            verb = verb or f"{'rolls' if solid['shape'] == 'ball' else 'slides'} {words[solid['heading']]}"
            found = text.find(f"{solid['color']} {solid['shape']} {verb}", at)
            assert found >= at, (text, solid)
            at = found + 1
        rest = len(clip.scene["solids"]) - 3
        assert ("one more solid follows" if rest == 1 else "two more solids follow") in text
        moves = clip.scene["camera"]
        assert text.endswith("The camera is still." if moves == "still" else f"The camera moves {moves}.")
