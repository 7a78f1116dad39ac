from __future__ import annotations

import numpy as np
import pytest

from udpdiff.measures import vbench
from udpdiff.metrics.bootstrap import bootstrap_mean
from udpdiff.metrics.interpolation import blend, load_interpolator

VIDEOS = ["BIjo0hm1fdM.47", "JGmMJ5pZl4Y.21", "AvVDsFBc6bA.0", "inline_video"]


@pytest.mark.parametrize("name", VIDEOS)
def test_consistencies_of_reference_features_equal_the_reference(golden, name):
    case = golden.json("vbench")["videos"][name]
    features = golden.tensors("vbench", "features.safetensors")
    assert vbench.consistency(features[f"{name}.dino_feat"]) == pytest.approx(case["subject_consistency"], abs=1e-6)
    assert vbench.consistency(features[f"{name}.clip_feat"]) == pytest.approx(case["background_consistency"], abs=1e-6)


def test_data_set_figures_equal_the_reference(golden):
    reference = golden.json("vbench")
    cases = [reference["videos"][name] for name in VIDEOS]
    mean = bootstrap_mean(
        [case["subject_consistency"] for case in cases], weights=[case["num_frames"] - 1 for case in cases]
    )
    assert mean.value == pytest.approx(reference["dataset"]["subject_consistency"], abs=1e-9)


def test_predictions_are_truncated_like_the_reference(golden):
    reference = golden.json("vbench")["amt_pair"]
    pair = golden.tensors("vbench", "amt_pair.safetensors")
    np.testing.assert_array_equal(vbench.truncate_to_uint8(pair["pred_float"] * np.float32(255)), pair["pred_uint8"])
    video = np.stack([pair["frame0"], pair["true_middle"], pair["frame1"]])
    smoothness = vbench.motion_smoothness(video, lambda before, after: pair["pred_float"][None] * 255.0)
    assert smoothness == pytest.approx(1 - reference["mean_abs_diff_to_true_middle"] / 255, abs=1e-9)


def test_consistency_by_hand():
    # Angles 0, 60 and 180 degrees: to the previous frame cos 60 and cos 120 (cut to 0), to the first cos 60, cos 180.
    angles = np.radians([0, 60, 180])
    features = np.stack([np.cos(angles), np.sin(angles)], 1) * np.array([[1.0], [5.0], [0.1]])
    assert vbench.consistency(features) == pytest.approx((0.5 + 0) / 2)


def test_smoothness_by_hand():
    frames = np.array([0, 12, 21, 40, 40, 7], np.uint8)  # averages 10.5 (cut to 10) and 30.5 (cut to 30); 7 is unused
    video = np.broadcast_to(frames[:, None, None, None], (6, 2, 2, 3))
    assert vbench.motion_smoothness(video, blend) == pytest.approx((255 - (2 + 10) / 2) / 255)


def test_a_still_video_is_perfectly_smooth_and_flicker_is_not():
    still = np.full((5, 4, 4, 3), 90, np.uint8)
    flicker = still.copy()
    flicker[1::2] += 50
    assert vbench.motion_smoothness(still, blend) == 1
    assert vbench.motion_smoothness(flicker, blend) == pytest.approx(1 - 50 / 255)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: vbench.consistency(np.ones((1, 4))), "T >= 2"),
        (lambda: vbench.consistency(np.zeros((3, 4))), "all zero"),
        (lambda: vbench.motion_smoothness(np.zeros((2, 4, 4, 3), np.uint8), blend), "T >= 3"),
        (lambda: vbench.motion_smoothness(np.zeros((3, 4, 4, 3)), blend), "uint8"),
        (lambda: vbench.motion_smoothness(np.zeros((3, 4, 4, 3), np.uint8), lambda a, b: a[:, :2]), "one per pair"),
        (lambda: load_interpolator("amt"), "plugin:MODULE:FUNCTION"),
    ],
)
def test_unusable_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_the_average_of_neighbours_never_reports_as_vbench(tmp_path, monkeypatch):
    (tmp_path / "my_network.py").write_text(
        "class Amt:\n"
        "    name = 'AMT-S'\n"
        "    def __call__(self, before, after):\n"
        "        return before\n"
        "def load():\n"
        "    return Amt()\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert load_interpolator("blend").metric == "motion_smoothness_blend"
    plugin = load_interpolator("plugin:my_network:load")
    assert (plugin.metric, plugin.name) == ("motion_smoothness", "AMT-S")
    assert plugin.interpolate(1, 2) == 1


@pytest.mark.parametrize("frames", [3, 8, 11])
@pytest.mark.parametrize("pairs", [1, 2, 100])
def test_smoothness_does_not_depend_on_how_many_pairs_are_interpolated_at_once(monkeypatch, frames, pairs):
    video = np.random.default_rng(frames).integers(0, 256, (frames, 6, 8, 3), np.uint8)
    monkeypatch.setattr(vbench, "_PAIR_VALUES", pairs * video[0].size + 1)
    seen = []

    def interpolate(before, after):
        seen.append(len(before))
        return blend(before, after)

    even, odd = video[0::2].astype(float), video[1::2].astype(float)
    count = len(even) - 1
    expected = np.abs(np.floor((even[:-1] + even[1:]) / 2) - odd[:count]).mean()
    assert vbench.motion_smoothness(video, interpolate) == pytest.approx(1 - expected / 255, abs=1e-12)
    assert sum(seen) == count and max(seen) == min(pairs, count)
