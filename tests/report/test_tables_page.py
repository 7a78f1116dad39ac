"""Tables as the report shows them: verdicts, what distances are worth, motion beside consistency, LaTeX."""

from __future__ import annotations

import pandas as pd
import pytest
from small_results import small_job

from udpdiff.report.inputs import Inputs
from udpdiff.report.latex import tabular
from udpdiff.report.pages.samples import Pair, Samples
from udpdiff.report.pages.tables import tables
from udpdiff.storage.sealed import seal_file
from udpdiff.tables.paper import PAPER_TABLES

NAMES = ("subject_consistency", "background_consistency", "motion_smoothness", "fvd", "kvd", "dynamic_degree")


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    """Table 2 with every column that a table may have, its page, and the folder of its files."""
    results = tmp_path_factory.mktemp("results")
    lines = [
        {"model": "CogVideoX 5B", "run": "base", "task": "video"},
        {"model": "UDPDiff_(seg)", "run": "multi", "task": "seg"},
    ]
    for index, line in enumerate(lines):
        for name in NAMES:
            line |= {
                f"{name}_ours": 90.0 + index,
                f"{name}_ours_low": 89.5,
                f"{name}_ours_high": None,
                f"{name}_paper": 95.0,
            }
        line |= {
            "n_videos": 24,
            "subject_consistency_extractor": "ViT",
            "motion_smoothness_extractor": "motion_smoothness_blend: frame average",
            "fvd_n": 24,
            "fvd_dimensions": 70,
            "fvd_floor_at_n": 231.2,
            "fvd_warning": "N is too small.",
            "kvd_warning": f"N of row {index}.",
            "prompt_fidelity_ours": 70.0,
            "fvd_floor_ours": 265.0,
            "fvd_infinity_ours": 100.0,
            "kernel_distance_ours": None,
        }
    lines[1] |= {"prompt_fidelity_verdict": "worse", "fvd_infinity_verdict": "no difference shown"}
    lines[1] |= {"subject_consistency_verdict": "better", "subject_consistency_difference": 1.0, "about": "weights"}
    lines[1] |= {"subject_consistency_difference_low": 0.4, "subject_consistency_difference_high": 1.6}
    lines[1]["subject_consistency_p"] = 0.0004
    path = results / "table2.csv"
    pd.DataFrame(lines).to_csv(path, index=False)
    seal_file(path, results / "table2.csv.sha256")
    pair = Pair(run="multi", task="seg", label="multi", phrase="", legend="", origin=None, film=None,
                scores={"subject_consistency": [1], "motion_smoothness_blend": [1]})  # fmt: skip
    samples = Samples(prompts=[], figures=[], pairs=[pair], base=None, featured=None, films_first=1, films_worst=0)
    job = small_job().model_copy(update={"tables": (2,)})
    [table] = tables(Inputs(job, results, [], []), results / "report/media", samples).tables
    return table, results / "report/data"


def test_verdicts_are_those_of_the_row_and_say_what_they_are_about(shown):
    base, ours = shown[0].rows
    assert (ours.cells[0].verdict, ours.cells[0].p, ours.about) == ("better", 0.0004, "weights")
    assert (ours.cells[0].difference, ours.cells[0].difference_low, ours.cells[0].difference_high) == (1.0, 0.4, 1.6)
    assert base.cells[0].verdict is None and base.about is None and ours.cells[1].verdict is None


def test_the_row_that_others_are_compared_with_is_the_reference(shown):
    assert [row.reference for row in shown[0].rows] == [True, False]


def test_a_column_of_another_figure_than_the_papers_says_so_and_what_it_means(shown):
    table, _ = shown
    consistency, _, smoothness, *_ = table.columns
    assert (consistency.label, consistency.papers) == ("Subject consistency", "paper")
    assert (smoothness.label, smoothness.papers) == ("Motion smoothness, by averages", "paper, by AMT")
    assert (
        "By the average of both neighbours" in smoothness.words and "By the network that VBench" not in smoothness.words
    )
    assert "Motion smoothness, by averages: motion_smoothness_blend: frame average" in table.extractors
    assert "Motion smoothness, by averages & paper, by AMT &" in table.latex and smoothness.name == "motion_smoothness"


def test_a_distance_says_what_it_is_worth(shown):
    table, _ = shown
    place = [column.name for column in table.columns].index("fvd")
    for row in table.rows:
        assert row.cells[place].note == "N = 24, D = 70, floor 231.20" and row.cells[place].warning == "N is too small."
    assert table.warnings[0] == "Frechet video distance: N is too small.", "once, for it is of all rows"
    assert table.warnings[1:] == [
        "Kernel video distance of CogVideoX 5B: N of row 0.",
        "Kernel video distance of UDPDiff_(seg): N of row 1.",
    ]
    for row in table.rows:
        assert all(cell.note is None for at, cell in enumerate(row.cells) if at != place)


def test_how_much_moves_stands_right_behind_the_consistencies(shown):
    names = [column.name for column in shown[0].columns]
    assert names == [
        "subject_consistency",
        "background_consistency",
        "motion_smoothness",
        "dynamic_degree",
        "fvd",
        "fvd_infinity",
        "kvd",
        "fvd_floor",
        "prompt_fidelity",
    ], "and a column without any value is left out"


def test_what_is_neither_the_papers_nor_better_or_worse_is_folded_away(shown):
    folded = {column.name for column in shown[0].columns if column.folded}
    assert folded == {"fvd_infinity", "kvd", "fvd_floor"}


def test_cells_lead_to_figures_of_single_samples_where_there_are_any(shown):
    base, ours = shown[0].rows
    assert [cell.figure for cell in ours.cells[:4]] == ["subject_consistency", None, "motion_smoothness_blend", None]
    assert not any(cell.figure for cell in base.cells), "the base has no samples here"


def test_the_table_lies_beside_as_csv_and_as_latex(shown):
    table, folder = shown
    assert pd.read_csv(folder / "table2.csv").shape[0] == 2
    text = (folder / "table2.tex").read_text()
    assert (
        text == table.latex
        and "\nModel & " in text
        and table.heading == "Model"
        and r"UDPDiff\_(seg) & 91.00 & 95.00" in text
        and "Motion (mean flow), \\%" in text
    )
    rows = [line for line in text.splitlines() if " & " in line]
    assert len(rows) == 3 and len({line.count(" & ") for line in rows}) == 1, "every row has every column"


def test_a_row_of_labels_says_whose_they_are(tmp_path):
    results = tmp_path / "results"
    results.mkdir()
    lines = [
        {"model": model, "run": "multi", "task": "depth", "n_videos": 24, "delta1_ours": 0.5}
        for model in ("Depth Anything V2", "UDPDiff (multi-depth)")
    ]
    pd.DataFrame(lines).assign(delta1_ours_low=None, delta1_ours_high=None, delta1_paper=0.4).to_csv(
        results / "table3.csv", index=False
    )
    seal_file(results / "table3.csv", results / "table3.csv.sha256")
    job = small_job().model_copy(update={"tables": (3,)})
    samples = Samples(prompts=[], figures=[], pairs=[], base=None, featured=None, films_first=1, films_worst=0)
    [table] = tables(Inputs(job, results, [], []), results / "report/media", samples).tables
    assert [row.labeller for row in table.rows] == ["depth_anything", None]


def test_the_first_column_says_what_its_rows_are():
    assert (
        PAPER_TABLES[7].heading == "Partition" and next(iter(PAPER_TABLES[7].rows)) == "(0.3 segmentation, 0.7 depth)"
    )


def test_special_characters_are_printed_by_latex():
    text = tabular(["a_b", "100 %"], [["x & y", "−1"], ["\\input{z}", "δ1"]], "C#")
    assert r"a\_b & 100 \%" in text and r"x \& y & $-$1" in text and r"\caption{C\#}" in text
    assert r"\textbackslash{}input\{z\} & $\delta$1" in text
