"""Figures in README and docs are those of files: a comment behind them, or before a table, names the file and its entries.

    ... 34 minutes ... <!-- figures: docs/quality.json cost.total_seconds/60 -->
    <!-- table: docs/mini-scale/latents.csv -->

Files are json, csv (with the columns `figure` and `value`, else entries are ROW.COLUMN, rows from 1), pages of results that
commands write (entries are TABLE.ROW.COLUMN, the first number of the cell), or what `udpdiff plan`
prints (`plan`, then its options with colons between them). A paragraph with a figure and without such a comment is here, with what it has its figures from.
"""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from functools import cache
from pathlib import Path

import pytest
import yaml

from udpdiff import command
from udpdiff.mini.stages import STAGES
from udpdiff.planning.counted_work import prompt_bytes
from udpdiff.planning.parameters import base_parts, text_parameters, transformer_parameters, widened_parameters
from udpdiff.report.quality import judge

ROOT = Path(__file__).parents[1]
GENERATED = {"configuration.md", "figures.md"}
PAGES = [ROOT / "README.md", *(page for page in sorted(ROOT.glob("docs/*.md")) if page.name not in GENERATED)]
BENCHMARKS = ROOT / "benchmarks" / "README.md"
MARK = re.compile(r"<!-- (figures|table): (.+?) -->", re.DOTALL)
NUMBER = re.compile(r"(?<![\w.-])\d+(?:,\d{3})*(?:\.\d+)?")
# What is a figure: a fraction, or a number with a unit.
FIGURE = re.compile(
    r"(?<![\w.-])(?:\d+(?:,\d{3})*\.\d+|\d[\d,]* ?(?:%|[GMT]i?B|dB|s|(?:GPU-)?hours?|minutes?|seconds?)\b)"
)
# Versions, and the share of intervals, are none.
NO_FIGURES = re.compile(r"(?:[Pp]ython|torch|SLURM|snakemake|plugin|CogVideoX) \d+(?:\.\d+)+|95 %")
# What a section of the benchmarks begins with that has figures of no file.
ONCE = re.compile(r"\A## .*\n\nMeasured once, on \d+ \w+ \d{4}")
ELSEWHERE = {
    "benchmarks": {
        "| (": "targets, the paper's and others' values, and what is said to be measured once",
        "| question | command": "the name of a card",
        "- (c) diffusers' script": "2 bytes for each of 5B's weights, and its text encoder",
        "`null` compares models": "settings",
    },
    "README.md": {"| model | subject": "tests/test_readme_results.py", "| preset | what": "the test below"},
    "checkpoints.md": {"| part | real checkpoint": "names and licences"},
    "cluster.md": {"- Being stopped is not a failure": "settings", "| symptom | cause": "settings and others' limits"},
    "data.md": {"First-frame entities come": "settings; tests/labelling/test_memory_plan.py"},
    "mini-scale.md": {"From 360 to 10,000 steps": "goals of config.yaml, a difference of the table above"},
    "scales.md": {
        "`config.yaml` is the mini": "names of cards",
        "One RTX 4090": "names of cards; tests/planning/test_plan.py::test_one_gpu_takes_a_week_and_23_gigabytes",
        "What keeps the paper's": "tests/planning/test_plan.py::test_the_papers_scale_fits_six_terabytes",
    },
    "training.md": {
        "The figures are counted": "cited",
        "CogVideoX-2B was trained": "names of models",
        "CogVideoX 1.5 needs": "names of models",
    },
}


def numbers(text: str) -> list[str]:
    return [found.replace(",", "") for found in NUMBER.findall(text)]


def blocks(page: Path) -> list[str]:
    """Paragraphs, points of a list, tables and rows of a table that have a comment of their own."""
    return parted(page.read_text())


def parted(text: str) -> list[str]:
    text = re.sub(r"(?s)```.*?```", "", text)
    parts = re.split(r"\n\s*\n|\n(?=- )", text)
    for part in list(parts):
        if part.startswith("|") and "<!--" in part:
            parts.remove(part)
            parts += part.splitlines()
    return [part.strip() for part in parts]


def plain(block: str) -> str:
    """The words of a block: without comments, code and addresses."""
    return re.sub(r"(?s)<!--.*?-->|`[^`]*`|\]\([^)]*\)", " ", block)


@cache
def entries(source: str) -> dict[str, float]:
    path = ROOT / source
    if path.suffix == ".csv":
        with open(path, newline="") as file:
            rows = list(csv.DictReader(file))
        if {"figure", "value"} <= set(rows[0]):
            return {row["figure"]: float(row["value"]) for row in rows}
        cells = {f"{number}.{name}": cell for number, row in enumerate(rows, 1) for name, cell in row.items()}
        return {key: float(cell) for key, cell in cells.items() if NUMBER.fullmatch(cell)}
    if path.suffix == ".md":
        tables = re.findall(r"(?:^\|.*\n)+", path.read_text(), re.MULTILINE)
        rows = {
            f"{one}.{two}": row
            for one, table in enumerate(tables, 1)
            for two, row in enumerate(table.splitlines()[2:], 1)
        }
        cells = {
            f"{key}.{three}": cell for key, row in rows.items() for three, cell in enumerate(row[1:-1].split("|"), 1)
        }
        return {key: float(numbers(cell)[0]) for key, cell in cells.items() if numbers(cell)}
    found, rest = {}, [("", json.loads(path.read_text()))]
    for name, value in rest:
        if isinstance(value, dict):
            rest += [(f"{name}.{key}".lstrip("."), each) for key, each in value.items()]
        elif isinstance(value, int | float):
            found[name] = value
    return found


def planned(page: str) -> dict[str, float]:
    """What a printed plan says: hours of each stage and of all, GB of disk and of downloads."""
    found = {}
    for line in page.splitlines():
        if match := re.match(r"(all|[\w/ .()-]+?) +[\d,]+ +(?:[\d,]+ +)?>?([\d.,]+) +>?[\d.,]+ ", line):
            found[f"hours.{match[1]}"] = float(match[2].replace(",", ""))
    for name, pattern in {"disk": r"Disk at its peak: ([\d.,]+)", "videos": r"([\d.,]+) GB of videos"}.items():
        found |= {f"{name}_gb": float(each.replace(",", "")) for each in re.findall(pattern, page)}
    found |= {f"wall_{unit}": float(each) for each, unit in re.findall(r"takes about ([\d.]+) (minutes|hours)", page)}
    found["hours.latents"] = sum(hours for stage, hours in found.items() if stage.startswith("hours.latents/"))
    fetched = re.findall(r"Downloads: ([\d.,]+) GB of checkpoints", page)
    found["downloads_gb"] = sum(float(each.replace(",", "")) for each in fetched) + found.get("videos_gb", 0)
    return found


def value_of(key: str, found: dict[str, float]) -> float:
    name, sign, factor = re.fullmatch(r"([^*]+?)(?:([*/])(\d+))?", key).groups() if key not in found else (key, None, 1)
    return found[name] * float(factor) if sign == "*" else found[name] / float(factor or 1)


def says(number: str, value: float) -> bool:
    """Whether a number of the text is this value, rounded; zeros at the end of a whole one may be of rounding."""
    digits = len(number.partition(".")[2]) or len(number.rstrip("0")) - len(number)
    away = abs(float(number) - value)
    return away <= 0.5 * 10**-digits + 1e-9 and away <= 0.15 * abs(value)


@pytest.fixture
def source_of(capsys):
    def find(source: str) -> dict[str, float]:
        if not source.startswith("plan"):
            return entries(source)
        capsys.readouterr()
        command.main(["plan", "--results", "none", "--benchmarks", "none", *source.split(":")[1:]])
        return planned(capsys.readouterr().out)

    return find


@pytest.mark.parametrize("page", [*PAGES, BENCHMARKS], ids=lambda page: page.name)
def test_figures_are_those_of_the_file_that_is_named(page, source_of):
    for block in blocks(page):
        for kind, named in MARK.findall(block):
            if kind == "table":
                continue
            source, *keys = named.split()
            found, told = source_of(source), iter(numbers(plain(block[: block.index(named)])))
            for key in keys:
                value = value_of(key, found)
                assert any(says(number, value) for number in told), (
                    f"{page.name}: no {key} = {value:g} in order in\n{block}"
                )


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_tables_are_those_of_the_file_that_is_named(page):
    for name, table in re.findall(r"<!-- table: (\S+) -->\n\n((?:\|.*\n)+)", page.read_text()):
        shown = [[cell.strip() for cell in line.strip()[1:-1].split("|")] for line in table.splitlines()[2:]]
        with open(ROOT / name, newline="") as file:
            kept = list(csv.reader(file))[1:]
        assert [numbers(" ".join(row)) for row in shown] == [numbers(" ".join(row)) for row in kept], name
        labels = [(one[0], other[0]) for one, other in zip(shown, kept, strict=True) if not NUMBER.match(one[0])]
        assert all(one == other for one, other in labels), name


@pytest.mark.parametrize("page", [*PAGES, BENCHMARKS], ids=lambda page: page.name)
def test_no_figure_is_without_a_file(page):
    known, after = ELSEWHERE.get("benchmarks" if page == BENCHMARKS else page.name, {}), ""
    sections = re.split(r"(?m)^(?=## )", page.read_text())
    for block in parted("".join(each for each in sections if page != BENCHMARKS or not ONCE.match(each))):
        marked, after = MARK.search(block) or after, block if block.startswith("<!-- table") else ""
        if not marked and not block.startswith(tuple(known)):
            found = FIGURE.findall(NO_FIGURES.sub(" ", plain(block)))
            assert not found, f"{page.name}: {found} of no file in\n{block}"
    assert all(any(block.startswith(each) for block in blocks(page)) for each in known)


@pytest.mark.parametrize("preset", ["none", "hours", "rehearsal", "one_gpu", "paper"])
def test_the_table_of_presets_is_what_their_plans_say(preset, source_of):
    page = (ROOT / "README.md").read_text()
    [row] = re.findall(rf"^\| `?{preset}`? \|.*$", page, re.MULTILINE)
    assert "| GPU-hours | disk at its peak | downloads |" in page, "which is more than the results that stay"
    *_, hours, disk, downloads = (cell.strip() for cell in row[1:-1].split("|"))
    options = {"none": "", "paper": ":--preset:paper:--device:h100:--gpus:8"}.get(preset, f":--preset:{preset}")
    plan = source_of(f"plan{options}")
    if "hours.all" in plan:
        assert hours.startswith("> ") and says(numbers(hours)[0], plan["hours.all"])
    else:
        assert hours == "none"
        for figure, unit in re.findall(r"2 cores: ([\d.]+) (\w+)", row):
            assert float(figure) == plan[f"wall_{unit}"]
    scale = 1000 if disk.endswith("TB") else 1
    assert says(numbers(disk)[0], plan["disk_gb"] / scale)
    assert downloads == "none" if not plan["downloads_gb"] else says(numbers(downloads)[0], plan["downloads_gb"])


def test_the_default_run_among_the_recipes_is_that_of_its_file_and_goals_are_the_configurations():
    keys = {
        "entity tube IoU": "generated.entity_tube_iou",
        "the same, shuffled": "generated.entity_tube_iou_shuffled",
        "share": "generated.entity_tube_iou_normalised",
        "solids alone, tube IoU": "generated.solid_tube_iou",
        "solids alone, share": "generated.solid_tube_iou_normalised",
        "depth delta-1": "generated.depth_delta1",
        "delta-1 over shuffled": "generated.depth_delta1_over_shuffled",
        "delta-1 over constant": "generated.depth_delta1_over_constant",
        "FVD over the base's, entities": "against_base.multi.fvd_ratio_seg",
        "FVD over the base's, depth": "against_base.multi.fvd_ratio_depth",
        "video's validation loss over the base's": "against_base.multi.video_loss_ratio",
    }
    lines = [goal.split() for goal in yaml.safe_load((ROOT / "config.yaml").read_text())["report"]["goals"]]
    goals = {key: float(value) for key, _, value in lines if NUMBER.fullmatch(value)}
    with open(ROOT / "docs/mini-scale/generated.csv", newline="") as file:
        rows = {row["figure"]: row for row in csv.DictReader(file)}
    assert set(rows) == set(keys)
    for name, row in rows.items():
        key = keys[name]
        for end in ("", "_low", "_high"):
            cell = row[f"captioned{end}"]
            assert says(cell, entries("docs/quality.json")[key + end]) if cell else end, f"{name}{end}"
        assert goals.get(key) == (float(row["asked_for"]) if row["asked_for"] else None), name


def test_goals_that_are_missed_are_as_many_as_the_pages_say():
    goals = yaml.safe_load((ROOT / "config.yaml").read_text())["report"]["goals"]
    missed = [verdict["key"] for verdict in judge(entries("docs/quality.json"), goals) if verdict["met"] is False]
    groups = Counter(key.partition(".")[0] for key in missed)
    assert groups == {"generated": 6, "against_base": 5, "cost": 1} and "cost.total_seconds" in missed
    limits, readme = (" ".join((ROOT / page).read_text().split()) for page in ("docs/limits.md", "README.md"))
    assert (
        f"misses {len(missed)} of its own {len(goals)} goals. Six are for what the multi-task model generates and five"
        in limits
    )
    assert f"{len(missed)} of the default run's own {len(goals)} goals are missed" in readme


def test_what_was_counted_is_counted_again():
    base = "THUDM/CogVideoX-5b"
    parts = base_parts(base)
    widened, whole = (count(parts["transformer"], 2, 2) for count in (widened_parameters, transformer_parameters))
    counted = {
        "paper.text_encoder_gb": 2 * text_parameters(parts["text_encoder"]) / 1e9,
        "paper.prompts_tb": 300_000 * prompt_bytes(base, captions=2) / 1e12,
        "lora.widened_share": 100 * widened / whole,
    }
    with open(ROOT / "docs/measured.csv", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["how"].startswith("counted: ")]
    assert {row["figure"] for row in rows} == set(counted)
    for row in rows:
        assert abs(float(row["value"]) - counted[row["figure"]]) <= 0.5 * 10 ** -len(row["value"].partition(".")[2]), (
            row
        )


def test_how_a_figure_was_had_is_said_and_names_commands_that_are_there():
    with open(ROOT / "docs/measured.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert all(set(row) == {"figure", "value", "how"} and all(row.values()) for row in rows)
    commands = {row["how"] for row in rows if not row["how"].startswith(("once: ", "counted: "))}
    assert all(how.startswith(("snakemake --cores all in a fresh clone", "pip install -e .")) for how in commands)
    top = (ROOT / "docs/mini-scale.md").read_text().partition("\n## ")[0]
    assert "measured once" in top and "(#where-the-figures-come-from) lists can be made again" in top
    named = {stage for row in rows for stage in re.findall(r"scripts\.train_mini (\w+)", row["how"])}
    assert named and named <= set(STAGES)


def test_benchmarks_are_lettered_in_order_and_what_is_to_know_of_them_too():
    rows, notes = (re.findall(rf"(?m)^{start} \((\w)\)", BENCHMARKS.read_text()) for start in (r"\|", "-"))
    assert rows == sorted(rows) and notes == sorted(notes) and set(notes) <= set(rows) == set("abcdefghij")
