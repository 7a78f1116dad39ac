"""Good clips pass; each kind of bad clip is rejected, for its own reason."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml

from udpdiff.clip import Rejection
from udpdiff.config.data import Filters
from udpdiff.sources.filters import check, score_clip
from udpdiff.sources.scenes import SceneSettings, render_clip
from udpdiff.video_io import decode_mp4, encode_mp4

SETTINGS = Filters(**yaml.safe_load((Path(__file__).parents[2] / "config.yaml").read_text())["filters"])


@pytest.fixture(scope="module")
def scenes() -> list[np.ndarray]:
    """Four rendered scenes, through the codec as in the workflow."""
    settings = SceneSettings(height=64, width=64, num_frames=9, fps=8)
    return [decode_mp4(encode_mp4(render_clip(settings, seed).video, 8)) for seed in range(4)]


def blurred(video: np.ndarray, rounds: int) -> np.ndarray:
    """A box filter of 3 x 3 pixels, repeated."""
    image = video.astype(np.float32)
    for _ in range(rounds):
        image = sum(np.roll(image, (dy, dx), (1, 2)) for dy in (-1, 0, 1) for dx in (-1, 0, 1)) / 9
    return image.astype(np.uint8)


def with_bars(video: np.ndarray, pixels: int, axis: int) -> np.ndarray:
    barred = np.moveaxis(video.copy(), axis, 1)
    barred[:, :pixels] = barred[:, -pixels:] = 8
    return np.moveaxis(barred, 1, axis)


def reasons(video: np.ndarray, settings: Filters = SETTINGS) -> set[str]:
    return {reason.split(":")[0] for reason in check(score_clip(video), settings)}


def test_scenes_pass(scenes):
    for video in scenes:
        assert check(score_clip(video), SETTINGS) == []


def test_scores_are_plain_numbers_in_range(scenes):
    for video in scenes:
        scores = score_clip(video)
        assert all(type(score) is float for score in scores.values())
        assert all(0 <= scores[name] <= 1 for name in scores if name.endswith("share") or name == "cut_score")


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (lambda video: video * 0, Rejection.TOO_DARK),
        (lambda video: (video * 0.08).astype(np.uint8), Rejection.TOO_DARK),
        (lambda video: video * 0 + 255, Rejection.CLIPPED),
        (lambda video: np.clip(video.astype(int) * 2 + 120, 0, 255).astype(np.uint8), Rejection.CLIPPED),
        (lambda video: video[:1].repeat(9, axis=0), Rejection.TOO_STILL),
        (lambda video: blurred(video, 20), Rejection.BLURRED),
        (lambda video: with_bars(video, 8, axis=1), Rejection.LETTERBOX),
        (lambda video: with_bars(video, 8, axis=2), Rejection.LETTERBOX),
    ],
    ids=["black", "dark", "white", "overexposed", "frozen", "blurred", "letterbox", "pillarbox"],
)
def test_bad_clips_are_rejected_for_their_reason(scenes, damage, expected):
    for video in scenes:
        assert expected in reasons(damage(video))


def test_a_bar_on_one_side_is_no_letterbox(scenes):
    floor = scenes[0].copy()
    floor[:, -16:] = 8
    assert score_clip(floor)["letterbox_share"] == 0


def test_a_cut_is_found_wherever_it_is(scenes):
    other = 255 - scenes[1][:, ::-1]
    for position in (1, 4, 8):
        assert Rejection.SCENE_CUT in reasons(np.concatenate([scenes[0][:position], other[position:]]))


@pytest.mark.parametrize("frames", [3, 4, 5])
def test_a_dissolve_is_found_wherever_it_is(scenes, frames):
    """About half a second at 8 frames a second; no step of it is large."""
    for one, other in ((0, 1), (1, 2), (2, 3), (3, 0)):
        for start in range(9 - frames):
            share = (np.arange(9) - start).clip(0, frames)[:, None, None, None] / frames
            blend = ((1 - share) * scenes[one] + share * (255 - scenes[other])).round().astype(np.uint8)
            assert score_clip(blend)["cut_score"] > SETTINGS.max_cut_score


def test_what_moves_or_grows_is_no_dissolve(scenes):
    """A thing that crosses the picture, and one that comes near, over grain."""
    grain = np.random.default_rng(0).integers(60, 100, (9, 64, 64, 3))
    crossing, growing = grain.astype(np.uint8), grain.astype(np.uint8)
    for t in range(9):
        crossing[t, 16:48, 5 * t : 5 * t + 24] = (220, 60, 40)
        growing[t, 30 - 2 * t : 34 + 2 * t, 30 - 2 * t : 34 + 2 * t] = (40, 60, 220)
    for video in (crossing, growing, *scenes):
        assert score_clip(video)["cut_score"] < 0.6 * SETTINGS.max_cut_score


def test_a_moving_camera_and_a_change_of_light_are_no_cuts():
    rng = np.random.default_rng(0)
    world = np.kron(rng.integers(40, 200, (24, 60, 3)), np.ones((6, 6, 1))).astype(np.uint8)
    pan = np.stack([world[:64, 11 * t : 11 * t + 64] for t in range(9)])
    assert score_clip(pan)["motion"] > 10
    assert reasons(pan) == set()
    light = np.stack([(pan[0] * (1.2 - 0.08 * t)).clip(0, 255).astype(np.uint8) for t in range(9)])
    assert reasons(light) == set()


@pytest.mark.parametrize(("down", "right"), [(0, 3), (0, -3), (3, 0), (-2, 1)])
def test_a_camera_that_moves_by_whole_blocks_jumps_nowhere(down, right):
    """Blocks are 4 x 4 pixels here; what is left of a picture is the same one, elsewhere."""
    world = np.kron(np.random.default_rng(0).integers(0, 256, (64, 64, 3)), np.ones((4, 4, 1))).astype(np.uint8)
    corners = [(4 * (24 + down * t), 4 * (24 + right * t)) for t in range(9)]
    pan = np.stack([world[top : top + 64, left : left + 64] for top, left in corners])
    assert score_clip(pan)["cut_score"] < 0.01


def test_scores_follow_what_they_measure(scenes):
    video = scenes[0]
    assert score_clip(blurred(video, 1))["sharpness"] < 0.5 * score_clip(video)["sharpness"]
    slow = video[[0, 0, 0, 1, 1, 1, 2, 2, 2]]
    assert score_clip(slow)["motion"] < 0.6 * score_clip(video)["motion"]


def test_thresholds_decide_and_reasons_name_both_numbers(scenes):
    score = score_clip(scenes[0])["motion"]
    strict = SETTINGS.model_copy(update={"min_motion": score + 1})
    (reason,) = check(score_clip(scenes[0]), strict)
    assert reason == f"too still: motion {score:.3g}, at least {score + 1:g} needed"


def test_a_score_at_its_threshold_is_kept():
    scores = {
        "near_black_share": SETTINGS.max_near_black_share,
        "clipped_share": SETTINGS.max_clipped_share,
        "letterbox_share": SETTINGS.max_letterbox_share,
        "sharpness": SETTINGS.min_sharpness,
        "motion": SETTINGS.min_motion,
        "cut_score": SETTINGS.max_cut_score,
    }
    assert check(scores, SETTINGS) == []
    for name, score in scores.items():
        beyond = score - 1e-6 if name in ("sharpness", "motion") else score + 1e-6
        assert len(check(scores | {name: beyond}, SETTINGS)) == 1


def test_sharpness_is_the_median_variance_of_the_laplacian():
    """A checkerboard of 100 and 110: each pixel's neighbours lie 10 away, so that the Laplacian is 40 or -40."""
    board = (100 + 10 * (np.indices((34, 34)).sum(axis=0) % 2)).astype(np.uint8)
    sharp, flat = np.repeat(board[..., None], 3, axis=-1), np.full((34, 34, 3), 100, np.uint8)
    assert score_clip(np.stack([sharp, sharp, flat]))["sharpness"] == pytest.approx(1600, rel=1e-4)
    assert score_clip(np.stack([sharp, flat, flat]))["sharpness"] == pytest.approx(0, abs=1e-6)


def test_a_score_that_is_no_number_rejects(scenes):
    assert check(score_clip(scenes[0]) | {"cut_score": float("nan")}, SETTINGS)


@pytest.mark.parametrize(
    "video",
    [np.zeros((9, 64, 64, 3), np.float32), np.zeros((1, 64, 64, 3), np.uint8), np.zeros((9, 8, 64, 3), np.uint8)],
)
def test_what_cannot_be_scored_is_named(video):
    with pytest.raises(ValueError, match="expected"):
        score_clip(video)
