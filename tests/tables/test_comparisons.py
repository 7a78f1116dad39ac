"""Rows against each other: joined by clip, with known answers, and refused with a reason where nothing can be said."""

from __future__ import annotations

import numpy as np
import pytest
from hand_made_measurements import distances, figure, write
from scipy.stats import t

from udpdiff.measures.fvd import fvd_infinity
from udpdiff.tables.comparisons import compare, compare_table, corrected
from udpdiff.tables.fill import fill_table
from udpdiff.tables.measured import read_measurements
from udpdiff.tables.specs import TABLES, Row

LOCATION, PIXELPLANES = TABLES[6].rows
SUBJECT = TABLES[6].metrics[0]
IDS = [f"clip {index}" for index in range(12)]


def measured(folder, values, **other):
    """Subject consistencies of both rows of table 6: (of the location-aware colormap, of Pixelplanes)."""
    for run, each in zip(("seg_location", "seg"), values, strict=True):
        write(folder, run, "seg", {"subject_consistency": figure(each)}, other.get(run, IDS[: len(each)]))
    return read_measurements(sorted(folder.rglob("*.json")))


def values(seed, shift=0.0, count=12):
    return np.random.default_rng(seed).normal(0.8 + shift, 0.05, count)


def compared(found, row=PIXELPLANES, against=LOCATION):
    return compare(row, against, SUBJECT, found, bootstrap_samples=200)


def test_a_difference_with_interval_test_and_verdict(tmp_path):
    base = values(0)
    (line,) = corrected([compared(measured(tmp_path, (base, base + 0.01)))])
    assert (line["difference"], line["low"], line["high"]) == pytest.approx((1, 1, 1)), "x 100, as printed"
    assert (line["row_value"], line["against_value"]) == pytest.approx((100 * base.mean() + 1, 100 * base.mean()))
    assert line["p"] == line["p_corrected"] == 2 / 2**12 and line["test"] == "sign flips, all"
    assert (line["verdict"], line["n"], line["left_out"]) == ("better", 12, 0)
    assert (line["row"]["label"], line["against"]["label"]) == ("Pixelplanes", "Location-aware colormap")
    assert (line["seeds"], line["about"], line["variance"]) == (1, "weights", None)
    assert (line["figure"], line["papers_figure"], line["direction"]) == ("subject_consistency", True, "higher")


def test_a_row_against_itself_shows_nothing(tmp_path):
    found = measured(tmp_path, (values(0), values(1)))
    (line,) = corrected([compared(found, against=PIXELPLANES)])
    assert (line["difference"], line["low"], line["high"], line["p"]) == (0, 0, 0, 1)
    assert line["verdict"] == "no difference shown"


def test_exchanged_rows_have_other_signs_and_the_other_word(tmp_path):
    found = measured(tmp_path, (values(0), values(1, shift=0.1)))
    (line,), (turned,) = (
        corrected([compared(found)]),
        corrected([compared(found, row=LOCATION, against=PIXELPLANES)]),
    )
    assert (line["verdict"], turned["verdict"]) == ("better", "worse")
    assert turned["difference"] == -line["difference"] and turned["p"] == line["p"]
    assert (turned["low"], turned["high"]) == pytest.approx((-line["high"], -line["low"]), abs=0.5)


def test_clips_are_joined_by_their_ids(tmp_path):
    first, second = values(0), values(1)
    order = np.random.default_rng(2).permutation(12)
    plain = compared(measured(tmp_path / "plain", (first, second)))
    shuffled = measured(tmp_path / "shuffled", (first, second[order]), seg=[IDS[index] for index in order])
    assert compared(shuffled) == plain


def test_clips_without_a_value_on_both_sides_are_left_out_and_counted(tmp_path):
    first, second = values(0), values(1)
    first[3], second[5] = np.nan, np.nan
    line = compared(measured(tmp_path, (first, second)))
    kept = [index for index in range(12) if index not in (3, 5)]
    assert (line["n"], line["left_out"]) == (10, 2)
    assert line["difference"] == pytest.approx(100 * (second - first)[kept].mean())
    more = measured(tmp_path / "more", (values(0), values(1)), seg=[*IDS[:11], "another"])
    assert (compared(more)["n"], compared(more)["left_out"]) == (11, 2)


def test_one_pair_is_refused_with_a_reason(tmp_path):
    first = np.full(12, np.nan)
    first[4] = 0.5
    (line,) = corrected([compared(measured(tmp_path, (first, values(1))))])
    assert line["verdict"] is line["p"] is line["difference"] is None
    assert line["reason"] == "1 of 12 prompts has a value on both sides, and a comparison needs 2."


def test_two_figures_are_never_compared(tmp_path):
    write(tmp_path, "seg", "seg", {"subject_consistency": figure(values(0))}, IDS)
    write(tmp_path, "seg_location", "seg", {"subject_consistency": figure(values(1), "another")}, IDS)
    found = read_measurements(sorted(tmp_path.rglob("*.json")))
    assert "two figures, subject_consistency (a network) and subject_consistency (another)" in compared(found)["reason"]
    other = compare(PIXELPLANES, Row("Elsewhere", "depth", "depth"), SUBJECT, found)
    assert other["reason"] == "one of the runs was not measured." and other["seeds"] == 0


def test_still_videos_in_one_row_make_no_other_figure(tmp_path):
    write(tmp_path, "seg", "seg", {"subject_consistency": figure(values(0))}, IDS)
    left_out = figure(values(1), "a network; 1 of 12 videos do not move and are left out")
    write(tmp_path, "seg_location", "seg", {"subject_consistency": left_out}, IDS)
    assert compared(read_measurements(sorted(tmp_path.rglob("*.json"))))["p"] is not None


def test_holm_is_over_a_table(tmp_path):
    """Of table 9: three pairs of rows on three figures, of which one pair differs on one figure."""
    for index, run in enumerate(("seg_grid8", "seg_grid12", "seg")):
        figures = {
            "subject_consistency": figure(values(0) + 0.02 * (run == "seg")),
            "background_consistency": figure(values(index + 1)),
            "motion_smoothness_blend": figure(values(index + 4)),
        }
        write(tmp_path, run, "seg", figures, IDS)
    found = compare_table(9, read_measurements(sorted(tmp_path.rglob("*.json"))), bootstrap_samples=50)
    lines = [line for line in found if line["p"] is not None]
    assert len(lines) == 9 and all(line["reason"].endswith("was not measured.") for line in found if line["p"] is None)
    assert sum(line["p"] == 2 / 2**12 for line in lines) == 2, "entities against either grid"
    smallest = [line for line in lines if line["p"] == 2 / 2**12]
    assert smallest[0]["p_corrected"] == smallest[1]["p_corrected"] == pytest.approx(9 * 2 / 2**12)
    assert [line["verdict"] for line in lines if line["metric"] == "subject_consistency"] == [
        "no difference shown", "better", "better",
    ]  # fmt: skip
    smoothness = [line for line in lines if line["metric"] == "motion_smoothness"]
    assert not any(line["papers_figure"] for line in smoothness)
    assert {line["label"] for line in smoothness} == {"Motion smoothness, by averages"}


FVD = next(metric for metric in TABLES[5].metrics if metric.name == "fvd")
INFINITY = next(metric for metric in TABLES[5].extra if metric.name == "fvd_infinity")
TEXT, EMBEDDING = TABLES[5].rows


def sets(folder, first, second, real, seeds=(0, 0), ids=None):
    """Distances of both rows of table 5: (task in the prompt, task embedding)."""
    names = [f"clip {index:03d}" for index in range(len(first))]
    for run, features, seed in zip(("multi_text", "multi"), (first, second), seeds, strict=True):
        own = (ids or names) if run == "multi" else names
        write(folder, run, "depth", distances(features, own, real, seed), own)
    return read_measurements(sorted(folder.rglob("*.json")))


def normal(seed, count=40, shift=0.0):
    return np.random.default_rng(seed).normal(shift, 1, (count, 5))


def test_distances_are_compared_on_the_same_subsets(tmp_path):
    base, real = normal(1, shift=1.0), normal(0, 60)
    near = base - 0.2
    found = sets(tmp_path, base, near, real)
    (line,) = corrected([compare(EMBEDDING, TEXT, FVD, found)])
    assert line["high"] < 0 and line["verdict"] == "better", "lower is better"
    assert line["test"] == "200 subsets without replacement, normal" and line["n"] == 40
    assert any("fewer than 10" in warning for warning in line["warnings"])
    (same,) = corrected([compare(TEXT, TEXT, FVD, found)])
    assert (same["difference"], same["low"], same["high"], same["p"]) == (0, 0, 0, 1)
    assert same["verdict"] == "no difference shown"
    single = found["multi", "depth"][0].fields["fvd"]
    assert line["high"] - line["low"] < 0.5 * (single["high"] - single["low"]), "pairs sharpen"


def test_an_interval_of_distances_is_as_wide_as_fresh_draws_spread(tmp_path):
    def drawn(seed):
        real, prompts, first, second = np.random.default_rng(seed).normal(size=(4, 60, 4))
        return prompts + 0.3 * first + 0.8, prompts + 0.3 * second + 1.0, real

    def gap(first, second, real):
        values = [distances(each, range(60), real)["fvd"]["value"] for each in (first, second)]
        return values[1] - values[0]

    from udpdiff.measures.fvd import frechet_distance

    fresh = []
    for seed in range(200):
        first, second, real = drawn(seed)
        fresh.append(frechet_distance(real, second) - frechet_distance(real, first))
    spread = np.percentile(fresh, 97.5) - np.percentile(fresh, 2.5)
    widths = []
    for seed in range(300, 304):
        line = compare(EMBEDDING, TEXT, FVD, sets(tmp_path / str(seed), *drawn(seed)))
        widths.append(line["high"] - line["low"])
    assert 0.7 < np.mean(widths) / spread < 1.5


def test_distances_without_bias_are_compared_too(tmp_path):
    base, real = normal(1, shift=1.0), normal(0, 60)
    found = sets(tmp_path, base, base - 0.2, real)
    (line,) = corrected([compare(EMBEDDING, TEXT, INFINITY, found)])
    assert line["figure"] == "fvd_infinity" and line["high"] < 0 and line["verdict"] == "better"
    first, second = (found[run, "depth"][0].fields["fvd_infinity"]["value"] for run in ("multi_text", "multi"))
    assert line["difference"] == pytest.approx(second - first)
    assert line["low"] + line["high"] == pytest.approx(2 * line["difference"]), "normal around it"
    (same,) = corrected([compare(TEXT, TEXT, INFINITY, found)])
    assert (same["difference"], same["low"], same["high"], same["p"]) == (0, 0, 0, 1)


def test_an_interval_of_distances_without_bias_is_as_wide_as_fresh_draws_spread(tmp_path):
    """The chance of the line's own draws included."""

    def drawn(seed):
        real, prompts, first, second = np.random.default_rng(seed).normal(size=(4, 60, 4))
        return prompts + first + 0.8, prompts + second + 1.0, real

    fresh = []
    for seed in range(100):
        *both, real = drawn(seed)
        first, second = (fvd_infinity(real, made, np.random.default_rng(0)).value for made in both)
        fresh.append(second - first)
    spread = np.percentile(fresh, 97.5) - np.percentile(fresh, 2.5)
    lines = [compare(EMBEDDING, TEXT, INFINITY, sets(tmp_path / str(seed), *drawn(seed))) for seed in range(300, 304)]
    assert 0.7 < np.mean([line["high"] - line["low"] for line in lines]) / spread < 1.4


def test_distances_of_other_prompts_or_draws_are_refused(tmp_path):
    base, real = normal(1), normal(0, 60)
    other = sets(tmp_path / "seed", base, base, real, seeds=(0, 1))
    prompts = sets(tmp_path / "prompts", base, base, real, ids=[f"other {index}" for index in range(40)])
    for found in (other, prompts):
        assert "cannot be paired" in compare(EMBEDDING, TEXT, FVD, found)["reason"]
    few = sets(tmp_path / "few", normal(1, 6), normal(2, 6), real)
    assert "6 videos are too few" in compare(EMBEDDING, TEXT, FVD, few)["reason"]


def trainings(folder, effects, prompts=24, gain=0.0):
    """Several trainings of both rows of table 6; each of Pixelplanes has its own effect."""
    names = [f"clip {index}" for index in range(prompts)]
    for number, effect in enumerate(effects):
        suffix = f"-{number}" if number else ""
        base = values(10 + number, count=prompts)
        write(folder, f"seg_location{suffix}", "seg", {"subject_consistency": figure(base)}, names)
        better = {"subject_consistency": figure(base + gain + effect + values(50 + number, count=prompts) / 50)}
        write(folder, f"seg{suffix}", "seg", better, names)
    return read_measurements(sorted(folder.rglob("*.json")))


def test_several_trainings_make_a_verdict_on_the_method(tmp_path):
    """One lucky training is better for certain; with others that are not, nothing is shown."""
    lucky = trainings(tmp_path / "one", [0.1])
    (line,) = corrected([compared(lucky)])
    assert (line["verdict"], line["about"]) == ("better", "weights")
    several = trainings(tmp_path / "several", [0.1, -0.12, -0.05])
    (line,) = corrected([compared(several)])
    assert (line["verdict"], line["about"], line["seeds"]) == ("no difference shown", "method", 3)
    assert line["variance"]["seed"] > 10 * line["variance"]["rest"]
    steady = trainings(tmp_path / "steady", [0.1, 0.101, 0.099])
    (line,) = corrected([compared(steady)])
    assert (line["verdict"], line["about"]) == ("better", "method")


def test_a_table_has_the_mean_over_trainings_beside_the_first(tmp_path):
    effects = [0.1, -0.12, -0.05]
    found = trainings(tmp_path, effects)
    table = fill_table(6, found, compare_table(6, found, bootstrap_samples=50)).set_index("model")
    row = table.loc["Pixelplanes"]
    means = [each.fields["subject_consistency"]["value"] for each in found["seg", "seg"]]
    assert row["subject_consistency_ours"] == pytest.approx(100 * means[0])
    assert row["subject_consistency_mean"] == pytest.approx(100 * np.mean(means))
    assert row["subject_consistency_mean_high"] - row["subject_consistency_mean_low"] > 20, (
        "three trainings that differ"
    )
    assert (row["seeds"], row["about"], row["subject_consistency_verdict"]) == (3, "method", "no difference shown")
    alone = {pair: each[:1] for pair, each in found.items()}
    single = fill_table(6, alone, compare_table(6, alone, bootstrap_samples=50))
    assert set(table.reset_index().columns) - set(single.columns) == {
        f"subject_consistency_mean{end}" for end in ("", "_low", "_high")
    }


def test_trainings_that_one_row_lacks_do_not_count(tmp_path):
    found = trainings(tmp_path, [0.0, 0.0])
    found["seg", "seg"].pop()
    assert (compared(found)["seeds"], compared(found)["about"]) == (1, "weights")


def test_distances_over_several_trainings_are_wider(tmp_path):
    base, real = normal(1, shift=1.0), normal(0, 60)
    names = [f"clip {index:03d}" for index in range(40)]
    for number, shift in enumerate((0.0, 0.6, -0.5)):
        suffix = f"-{number}" if number else ""
        write(tmp_path, f"multi_text{suffix}", "depth", distances(base, names, real), names)
        write(tmp_path, f"multi{suffix}", "depth", distances(base - 0.2 + shift, names, real), names)
    found = read_measurements(sorted(tmp_path.rglob("*.json")))
    line = compare(EMBEDDING, TEXT, FVD, found)
    alone = compare(EMBEDDING, TEXT, FVD, {pair: each[:1] for pair, each in found.items()})
    assert (line["seeds"], line["about"]) == (3, "method") and "3 trainings" in line["test"]
    assert alone["p"] < 0.01 < line["p"] and line["high"] - line["low"] > 3 * (alone["high"] - alone["low"])
    values = [
        ours.fields["fvd"]["value"] - text.fields["fvd"]["value"]
        for ours, text in zip(found["multi", "depth"], found["multi_text", "depth"], strict=True)
    ]
    by_trainings = 2 * t.ppf(0.975, 2) * np.std(values, ddof=1) / np.sqrt(3)
    assert line["high"] - line["low"] == pytest.approx(by_trainings, rel=0.1), "little more than the trainings' own"
