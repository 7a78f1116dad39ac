"""The paper's claims as data, and what our figures say to each, at a scale that is always named."""

from __future__ import annotations

import numpy as np
import pytest
from hand_made_measurements import figure, write

from udpdiff.jobs import JudgeClaims, Scale
from udpdiff.tables import claims
from udpdiff.tables.claims import CLAIMS
from udpdiff.tables.comparisons import compare_table
from udpdiff.tables.measured import read_measurements
from udpdiff.tables.specs import TABLES
from udpdiff.tables.verdicts import is_papers, judge_claims, scale_words, turned

MINI = Scale(
    source="scenes", base="mini:cogvideox", steps=360, train=144, prompts=24, num_frames=9, height=64, width=64
)
PAPERS = Scale(
    source="panda70m", base="THUDM/CogVideoX-5b", steps=40_000, train=300_000, prompts=1024,
    num_frames=49, height=480, width=720,
)  # fmt: skip
IDS = [f"clip {index}" for index in range(12)]


def test_every_table_and_section_has_its_claims():
    assert {claim.table for claim in CLAIMS} == {None, *TABLES}
    assert [claim.section for claim in CLAIMS] == sorted(claim.section for claim in CLAIMS)
    assert {claim.section for claim in CLAIMS} == {"4.2", "4.3", "4.4", "4.5"}
    assert len({claim.says for claim in CLAIMS}) == len(CLAIMS)
    assert claims.needed() == [("multi", "depth"), ("depth", "depth"), ("multi", "seg"), ("seg", "seg")]


def test_every_part_names_rows_that_are_there_and_differ():
    for claim in CLAIMS:
        for part in claim.parts:
            row, against = part.rows()
            assert row != against and claim.table == part.table
            assert (part.margin is None) == (part.relation == "better")


@pytest.mark.parametrize("claim", [claim for claim in CLAIMS if claim.parts], ids=lambda claim: claim.says[:40])
def test_the_papers_own_numbers_mostly_say_what_it_claims(claim):
    """By sign alone; where they do not, the difference that stands beside the claim says so."""
    against_it = {
        ("One model of both tasks outperforms the model of segmentation alone.", "background_consistency"),
        ("One model of both tasks outperforms the model of segmentation alone.", "motion_smoothness"),
        ("Depth that is estimated over the video teaches more than depth frame by frame.", "background_consistency"),
    }
    for part in claim.parts:
        if part.relation == "better":
            gain = part.printed_difference() * (1 if part.column().direction == "higher" else -1)
            assert (gain > 0) != ((claim.says, part.metric) in against_it), part


NAMES = ("subject_consistency", "background_consistency", "motion_smoothness_blend")
TABLE_1 = {("base", "video"): 0.0, ("seg", "seg"): 0.0, ("depth", "depth"): 0.05}


def judged(folder, gains, tables=(), scale=MINI, trainings=1, pairs=12):
    """Verdicts on runs whose consistencies are one base's plus a gain."""
    base = np.random.default_rng(0).normal(0.8, 0.02, pairs)
    for (run, task), gain in gains.items():
        for number in range(trainings):
            name = f"{run}-{number}" if number else run
            write(folder, name, task, {metric: figure(base + gain) for metric in NAMES}, IDS[:pairs])
    measured = read_measurements(sorted(folder.rglob("*.json")))
    found = {number: compare_table(number, measured, bootstrap_samples=50) for number in tables}
    return judge_claims(JudgeClaims(seed=0, bootstrap_samples=50, scale=scale), found, measured)


def line_of(document, start):
    return next(line for line in document["claims"] if line["says"].startswith(start))


def test_claims_are_shown_contradicted_or_neither(tmp_path):
    document = judged(tmp_path, TABLE_1 | {("seg", "seg"): -0.05}, tables=[1])
    assert len(document["claims"]) == len(CLAIMS)
    depth, seg = line_of(document, "Learning depth"), line_of(document, "Learning segmentation")
    assert (depth["outcome"], seg["outcome"]) == ("shown", "contradicted")
    part = depth["parts"][0]
    assert (part["difference"], part["verdict"], part["relation"]) == (pytest.approx(5), "better", "better")
    assert part["paper_difference"] == pytest.approx(95.91 - 94.57)
    equal = judged(tmp_path / "equal", TABLE_1, tables=[1])
    assert line_of(equal, "Learning segmentation")["outcome"] == "not shown"


def test_what_was_not_run_is_not_measured(tmp_path):
    document = judged(tmp_path, TABLE_1, tables=[1])
    line = line_of(document, "Learned task embeddings")
    assert (line["outcome"], line["parts"][0]["reason"]) == ("not measured", "Table 5 is not among the report's.")
    pictures = line_of(document, "Motion is more realistic")
    assert (pictures["outcome"], pictures["parts"]) == ("not measured", []) and "no figure" in pictures["reason"]
    across = line_of(document, "One model of both tasks outperforms the model of depth")
    assert across["outcome"] == "not measured" and across["parts"][0]["reason"] == "one of the runs was not measured."


def test_claims_across_tables_are_a_family_of_their_own(tmp_path):
    gains = {("depth", "depth"): 0.0, ("multi", "depth"): 0.05, ("seg", "seg"): 0.0, ("multi", "seg"): -0.05}
    document = judged(tmp_path, gains)
    line = line_of(document, "One model of both tasks outperforms the model of depth")
    assert line["outcome"] == "shown" and line["parts"][0]["difference"] == pytest.approx(5)
    assert line["parts"][0]["p_corrected"] == pytest.approx(6 * 2 / 2**12)
    seg = line_of(document, "One model of both tasks outperforms the model of segmentation")
    assert seg["outcome"] == "contradicted" and len(document["text"]) == 6 and document["tables"] == {}


def test_comparable_rows_are_within_a_margin_by_their_whole_interval(tmp_path):
    gains = {("base", "video"): 0.0, ("multi", "depth"): 0.0}
    for gain, outcome in ((0.001, "shown"), (0.02, "contradicted"), (-0.02, "contradicted")):
        found = judged(tmp_path / str(gain), gains | {("multi", "seg"): gain}, tables=[2])
        line = line_of(found, "With several tasks, the background consistency")
        assert (line["outcome"], line["parts"][0]["margin"]) == (outcome, 0.5)
    base = np.random.default_rng(0).normal(0.8, 0.02, 12)
    uneven = {metric: figure(base + np.random.default_rng(1).normal(0, 0.02, 12)) for metric in NAMES}
    write(tmp_path / "wide", "multi", "seg", uneven, IDS)
    wide = judged(tmp_path / "wide", gains, tables=[2])
    assert line_of(wide, "With several tasks, the background consistency")["outcome"] == "not shown"


def test_a_claim_on_the_upper_of_two_rows_is_turned(tmp_path):
    """Depth Anything's row stands above the prediction's, and the claim is that it is better."""
    rng = np.random.default_rng(0)
    metrics = {
        "depth_delta1_unaligned": figure(rng.normal(0.4, 0.01, 12)),
        "depth_rmse_unaligned": figure(np.full(12, 0.2)),
    }
    others = {
        "depth_anything_depth_delta1_unaligned": figure(rng.normal(0.6, 0.01, 12), "depth_anything against judge")
    }
    others["depth_anything_depth_rmse_unaligned"] = figure(np.full(12, 0.3), "depth_anything against judge")
    write(tmp_path, "multi", "depth", metrics | others, IDS)
    measured = read_measurements(sorted(tmp_path.rglob("*.json")))
    lines = compare_table(3, measured, bootstrap_samples=50)
    assert lines[0]["difference"] == pytest.approx(-0.2, abs=0.02) and lines[0]["verdict"] == "worse"
    document = judge_claims(JudgeClaims(seed=0, bootstrap_samples=50, scale=MINI), {3: lines}, measured)
    line = line_of(document, "The generated depth")
    delta1, rmse = line["parts"]
    assert (delta1["difference"], delta1["outcome"]) == (-lines[0]["difference"], "shown")
    assert (delta1["low"], delta1["high"]) == (-lines[0]["high"], -lines[0]["low"])
    assert (rmse["verdict"], rmse["outcome"], line["outcome"]) == ("worse", "contradicted", "contradicted in part")
    assert turned(turned(lines[0])) == lines[0]


def test_every_line_says_its_scale_and_only_the_papers_is_called_so(tmp_path):
    document = judged(tmp_path, TABLE_1, tables=[1])
    assert document["scale"]["papers"] is False and document["scale"]["words"].startswith(
        "Not the paper's scale: mini:"
    )
    assert all(
        line["scale"] == document["scale"]["words"] and line["papers_scale"] is False for line in document["claims"]
    )
    assert f"on at most {MINI.train} clips from" in document["scale"]["words"], "nobody has counted them there"
    one = MINI.model_copy(update={"steps": 1, "num_frames": 1, "prompts": 1})
    assert "for 1 step on 1 clip from scenes of 1 frame of" in scale_words(one, 1) and "; 1 prompt." in scale_words(
        one, 1
    )
    assert is_papers(PAPERS) and scale_words(PAPERS).startswith("The paper's scale")
    for name, value in {
        "source": "videos",
        "base": "THUDM/CogVideoX-2b",
        "steps": 39_999,
        "prompts": 1023,
        "width": 64,
    }.items():
        assert not is_papers(PAPERS.model_copy(update={name: value}))


def test_what_a_verdict_is_about_depends_on_the_trainings(tmp_path):
    one, several = judged(tmp_path / "1", TABLE_1, [1]), judged(tmp_path / "2", TABLE_1, [1], trainings=2)
    assert (one["seeds"]["least"], several["seeds"]["least"]) == (1, 2)
    assert "about these weights, not about the method" in one["seeds"]["words"]
    assert "about the method" in several["seeds"]["words"] and "weights" not in several["seeds"]["words"]
    assert judged(tmp_path / "none", {("seg", "seg"): 0.0})["seeds"] == {
        "least": None,
        "words": "No two rows were compared.",
    }


def test_a_difference_that_the_table_does_not_show_contradicts_no_claim(tmp_path):
    """Five pairs leave no p below 0.05, however far their interval is from the margin."""
    gains = {("base", "video"): 0.0, ("multi", "depth"): 0.0, ("multi", "seg"): 0.02}
    for pairs, verdict, outcome in ((12, "better", "contradicted"), (5, "too few to tell", "not shown")):
        found = judged(tmp_path / str(pairs), gains, tables=[2], pairs=pairs)
        [part] = line_of(found, "With several tasks, the background consistency")["parts"]
        assert part["low"] > part["margin"]
        assert (part["verdict"], part["outcome"]) == (verdict, outcome)
