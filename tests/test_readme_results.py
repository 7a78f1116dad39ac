"""README's results are docs/table2.csv, a copy of what the default run writes to results/table2.csv; its scales are the presets."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest

from udpdiff.command.configuration import layered
from udpdiff.config.parsing import parse
from udpdiff.metrics.registry import describe
from udpdiff.metrics.significance import TOO_FEW
from udpdiff.tables.comparisons import NO_DIFFERENCE
from udpdiff.tables.fill import figure_behind
from udpdiff.tables.paper import MS
from udpdiff.tables.specs import table_spec
from udpdiff.workflow.user_values import missing_values
from udpdiff.workflow.workflow import Workflow

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
WORDS = " ".join(README.split())  # wherever lines end
FIGURES = {"subject_consistency": 2, "background_consistency": 2, "motion_smoothness": 2, "fvd": 0}


def as_markdown(table: pd.DataFrame) -> list[str]:
    """Return a line for each model: every figure of ours with its interval, and the paper's."""
    lines = []
    for row in table.to_dict("records"):
        cells = [row["model"]]
        for name, digits in FIGURES.items():
            ours, low, high = (f"{row[f'{name}_ours{end}']:.{digits}f}" for end in ("", "_low", "_high"))
            cells += [f"{ours} ({low} to {high})", f"{row[f'{name}_paper']:.2f}"]
        cells.append(f"{row['dynamic_degree_ours']:.2f} (real videos: {row['dynamic_degree_real_ours']:.2f})")
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def test_the_table_is_that_of_the_run():
    lines = as_markdown(pd.read_csv(ROOT / "docs" / "table2.csv"))
    found = [line for line in README.splitlines() if line.startswith(tuple(known[:9] for known in lines))]
    assert found == lines


def test_its_headings_say_what_our_smoothness_and_our_motion_are():
    table, metric = (
        pd.read_csv(ROOT / "docs" / "table2.csv"),
        next(each for each in table_spec(2).metrics if each.name == MS),
    )
    [heading] = [line for line in README.splitlines() if line.startswith("| model | subject")]
    ours = figure_behind(metric, table[f"{MS}_extractor"]).label.lower().replace(",", "")
    assert [cell.strip() for cell in heading.split("|")[6:8]] == [
        f"{ours} ↑, ours",
        "motion smoothness by AMT ↑, paper",
    ]
    assert heading.split("|")[-2].strip() == f"{describe('dynamic_degree').label.lower()}, %, ours"


def beyond_chance(table: pd.DataFrame) -> str:
    """Say in which metrics which rows differ from the base beyond chance: of each verdict of the table that says so."""
    said = []
    for column in table.filter(like="_verdict"):
        name = column.removesuffix("_verdict")
        label = "FVD" if name == "fvd" else describe(name).label
        label = label if label.startswith("FVD") else label[0].lower() + label[1:]
        for verdict, rows in table[~table[column].isna()].groupby(column, sort=False):
            if verdict not in (NO_DIFFERENCE, TOO_FEW):
                said.append(f"{label}, {verdict} ({', '.join(rows['task'])})")
    return f"Beyond chance, ours differ from the base in: {'; '.join(said) or 'nothing'}."


def test_what_is_said_to_differ_beyond_chance_is_what_the_verdicts_say():
    table = pd.read_csv(ROOT / "docs" / "table2.csv")
    assert table["model"][0] == "CogVideoX 5B" and table.filter(like="_verdict").iloc[0].isna().all()
    assert beyond_chance(table) in WORDS, f"README must say: {beyond_chance(table)}"


def test_the_number_of_videos_and_the_bias_of_fvd_are_those_of_the_run():
    table = pd.read_csv(ROOT / "docs" / "table2.csv")
    [number] = set(table["n_videos"])
    assert f"ours at the mini scale ({number} prompts," in WORDS
    assert table["fvd_warning"].str.startswith("Mostly the bias").all() == (
        f"With {number} videos, FVD is mostly small-sample bias." in WORDS
    )


def test_every_verdict_is_told_and_none_is_nothing():
    verdicts = {"fvd_verdict": [None, "better", "worse"], "kvd_verdict": [None, NO_DIFFERENCE, "better"]}
    told = beyond_chance(pd.DataFrame({"task": ["video", "seg", "depth"], **verdicts}))
    assert told.endswith("in: FVD, better (seg); FVD, worse (depth); kernel video distance, better (depth).")
    none = pd.DataFrame({"task": ["video", "seg"], "fvd_verdict": [None, NO_DIFFERENCE]})
    assert beyond_chance(none).endswith("in: nothing.")


@pytest.mark.parametrize("preset", ["none", "hours", "rehearsal", "one_gpu", "paper"])
def test_runs_and_tables_of_each_preset_are_those_that_readme_says(preset):
    config = parse(layered(None if preset == "none" else preset, []))
    flow = Workflow(config, missing_values(config))
    trained = {run for run, _ in flow.shown_pairs()} & set(config.runs)
    [row] = re.findall(rf"^\| `?{preset}`? \|.*$", README, re.MULTILINE)
    if preset in re.search(r"Except for (.*?), all have the eleven runs and tables 1 to 9", README)[1]:
        assert "five runs of" in row and len(trained) == 5
        assert "; table 2 alone" in row and flow.report_tables() == [2]
        steps = max(config.run_training(run).steps for run in trained)
        assert f"up to {steps:,} steps, {config.clips.train:,} clips" in row
        assert ("with the source's captions" in row) == (config.labels.captions.captioner is None)
    else:
        assert len(trained) == 11 and flow.report_tables() == list(range(1, 10))


def test_it_is_read_in_a_terminal_as_well():
    lines = README.splitlines()
    assert len(lines) <= 120
    wide = re.compile(r"[|]|!\[|\[!\[")  # rows of tables and pictures, which cannot be wrapped
    seen = [re.sub(r" *<!--.*?-->|(?<=\])\([^)]*\)", "", line) for line in lines if not wide.match(line)]
    assert not [line for line in seen if len(line) > 140], "as it reads: without targets of links"
