from __future__ import annotations

import numpy as np
import pytest

from udpdiff.measures import fvd

CASES = ["well_posed", "rank_deficient", "ill_conditioned", "large_mean", "relu_zero_columns", "i3d_like_400d"]


@pytest.mark.parametrize("name", CASES)
def test_distances_equal_the_reference_values(golden, name):
    case = golden.json("frechet")["cases"][name]
    data = golden.tensors("frechet", case["file"])
    for ddof, key in ((1, "exact_cov_N_minus_1"), (0, "exact_cov_N")):
        assert fvd.frechet_distance(data["real"], data["gen"], ddof=ddof) == pytest.approx(
            case["frechet"][key], rel=1e-10
        )
    kernel = case["mmd_poly3"]
    assert fvd.kernel_distance(data["real"], data["gen"]) == pytest.approx(
        kernel["unbiased_float64_all_rows"], rel=1e-9
    )
    first = kernel["first_m_rows"]
    assert fvd.kernel_distance(data["real"][:first], data["gen"][:first]) == pytest.approx(
        kernel["torchmetrics_float64_first_m_rows"], rel=1e-9
    )


def test_identical_sets_are_at_no_distance(golden):
    case = golden.json("frechet")["cases"]["identical"]
    data = golden.tensors("frechet", case["file"])
    assert fvd.frechet_distance(data["real"], data["gen"]) == pytest.approx(0, abs=1e-10)


@pytest.mark.parametrize("name", ["well_posed", "i3d_like_400d"])
def test_extrapolation_equals_the_reference_with_its_subsets(golden, name):
    document = golden.json("frechet")
    reference = document["fvd_infinity"][name]["both_subsampled"]
    data = golden.tensors("frechet", document["cases"][name]["file"])
    rows = golden.tensors("frechet", "subset_indices.safetensors")
    sizes = np.array([point["n"] for point in reference["points"]])
    distances = []
    for index, size in enumerate(sizes):
        real, generated = (rows[f"{name}.both.{side}_index"][index][:size] for side in ("real", "gen"))
        distances.append(fvd.frechet_distance(data["real"][real], data["gen"][generated]))
    np.testing.assert_allclose(distances, [point["fd"] for point in reference["points"]], rtol=1e-8)
    line = fvd.extrapolate(sizes, np.array(distances))
    assert line.value == pytest.approx(reference["intercept_fvd_infinity"], rel=1e-8)
    assert line.standard_error == pytest.approx(reference["intercept_standard_error"], rel=1e-8)


def test_distance_of_known_gaussians():
    # Two points each way along one axis: variance 2 and 8 (N-1), means 0 and 3.
    first = np.array([[-1.0, 0.0], [1.0, 0.0]])
    second = np.array([[1.0, 0.0], [5.0, 0.0]])
    assert fvd.frechet_distance(first, second) == pytest.approx(9 + (np.sqrt(8) - np.sqrt(2)) ** 2)


def test_kernel_distance_by_hand():
    first, second = np.array([[1.0], [2.0]]), np.array([[0.0], [1.0]])
    within = (1 * 2 + 1) ** 3 + (0 * 1 + 1) ** 3
    across = np.mean([(0 + 1) ** 3, (1 + 1) ** 3, (0 + 1) ** 3, (2 + 1) ** 3])
    assert fvd.kernel_distance(first, second) == pytest.approx(within - 2 * across)


def test_bias_shows_in_the_floor_and_leaves_with_the_extrapolation():
    rng = np.random.default_rng(5)
    first, second = rng.normal(size=(2, 240, 24))
    plain = fvd.frechet_distance(first, second)
    line = fvd.fvd_infinity(first, second, rng)
    assert plain > 0.8
    assert abs(line.value) < 0.35 * plain
    assert fvd.split_floor(first, rng) > plain


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        (np.zeros((4, 3)), np.zeros((4, 2)), "expected"),
        (np.zeros((1, 3)), np.zeros((4, 3)), "at least 2"),
        (np.full((4, 3), np.nan), np.zeros((4, 3)), "not finite"),
    ],
)
def test_unusable_features_are_refused(first, second, message):
    with pytest.raises(ValueError, match=message):
        fvd.frechet_distance(first, second)
