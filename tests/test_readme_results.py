"""The README's table of results is docs/table2.csv, a copy of what the default run writes to results/table2.csv."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from udpdiff.tables.fill import figure_behind
from udpdiff.tables.paper import MS
from udpdiff.tables.specs import table_spec

ROOT = Path(__file__).parents[1]
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
    found = [
        line
        for line in (ROOT / "README.md").read_text().splitlines()
        if line.startswith(tuple(known[:9] for known in lines))
    ]
    assert found == lines


def test_its_headings_say_that_our_smoothness_is_not_the_papers():
    table, metric = (
        pd.read_csv(ROOT / "docs" / "table2.csv"),
        next(each for each in table_spec(2).metrics if each.name == MS),
    )
    [heading] = [line for line in (ROOT / "README.md").read_text().splitlines() if line.startswith("| model | subject")]
    ours = figure_behind(metric, table[f"{MS}_extractor"]).label.lower().replace(",", "")
    assert [cell.strip() for cell in heading.split("|")[6:8]] == [
        f"{ours} ↑, ours",
        "motion smoothness by AMT ↑, paper",
    ]
