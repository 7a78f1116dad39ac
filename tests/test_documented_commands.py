"""Every command in README and docs is one that a test runs, or needs what a test has not, which is said here and on the page."""

from __future__ import annotations

import ast
import re
import shlex
from functools import cache
from pathlib import Path

import pytest
from snakemake.cli import get_argument_parser

ROOT = Path(__file__).parents[1]
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "benchmarks/README.md")),
    *sorted((ROOT / "docs").glob("*.md")),
]
WHOLE, SCALES = "tests/workflow/test_whole_workflow.py", "tests/workflow/test_scales.py"
TAKEN_AWAY = f"{WHOLE}::test_the_data_set_and_the_papers_figures_come_as_files_and_into_snakemakes_report"
GENERATING, LINE = "tests/command/test_generating.py", "test_the_documented_line_runs_as_it_stands"
PREFETCHED = "test_a_commit_stays_until_it_is_fetched_anew_and_a_moved_one_makes_its_labels_again"
TARGETS = "tests/workflow/test_documented_lines.py::test_targets_of_the_mini_scale_are_there"
DRY_RUN = "tests/workflow/test_documented_lines.py::test_a_line_for_other_scales_and_data_is_planned"
BENCHMARKS = "tests/benchmarks"
# What a command begins with, comments and line breaks taken out -> the test that runs such a one, at the test's size: it
# takes the line from the page, or its own lines have the words of the beginning.
RUN = {
    "snakemake --cores all panda_dense": TAKEN_AWAY,
    "snakemake --cores all paper_figures": TAKEN_AWAY,
    "snakemake --cores all show_labels": TAKEN_AWAY,
    "snakemake --cores 1 --report": TAKEN_AWAY,
    "snakemake --report": TAKEN_AWAY,
    'snakemake --snakefile "$(udpdiff workflow --path)"': "tests/packaging/test_wheel.py::test_documented_lines_start_the_installed_workflow",
    "snakemake --cores all results/table": f"{WHOLE}::test_everything_ends_in_a_report",
    "snakemake --cores all results/runs/": f"{WHOLE}::test_everything_ends_in_a_report",
    "snakemake --cores all results/samples/foreground": "tests/tasks/test_add_a_task_page.py::test_its_run_is_encoded_trained_and_sampled",
    "snakemake --cores all results/samples/": f"{WHOLE}::test_runs_on_one_seed_meet_the_same_video_noise",
    "snakemake --cores all results/entities/": TARGETS,
    "snakemake --cores 1 --config preset=paper": DRY_RUN,
    "snakemake --cores 1 plan": f"{WHOLE}::test_plan_of_the_mini_scale",
    "snakemake --cores 1 --forcerun fetch_checkpoint -- prefetch": f"tests/checkpoints/test_prefetching.py::{PREFETCHED}",
    "snakemake --cores 1 -- prefetch": f"tests/checkpoints/test_prefetching.py::{PREFETCHED}",
    "snakemake --cores all": f"{WHOLE}::test_everything_ends_in_a_report",
    "snakemake -n": f"{WHOLE}::test_dry_run_of_everything",
    "snakemake --unlock": "tests/workflow/test_config_files.py::test_a_killed_snakemake_is_started_again_by_two_commands",
    "snakemake --profile slurm all": f"{SCALES}::test_the_profile_runs_the_papers_scale_and_the_first_message_names_all_that_is_missing",
    "udpdiff COMMAND --help": f"{GENERATING}::test_help_is_instant_and_loads_no_network",
    "udpdiff generate": "tests/command/test_readme_example.py::test_the_first_picture_shows_what_the_command_makes",
    "udpdiff export": f"{GENERATING}::{LINE}",
    "udpdiff label": f"{GENERATING}::{LINE}",
    "udpdiff compare": f"{GENERATING}::{LINE}",
    "udpdiff workflow": f"{GENERATING}::{LINE}",
    "udpdiff plan": "tests/test_documented_figures.py::test_the_table_of_presets_is_what_their_plans_say",
    "python -m scripts.train_mini": "tests/mini/test_stages.py::test_documented_lines_train_the_stage_that_they_name",
    "python -m udpdiff.labelling.cropformer_checkpoint": "tests/labelling/test_official_cropformer_files.py::test_the_command_converts_a_file",
    "python -m udpdiff.config.page": "tests/workflow/test_config_page.py::test_the_page_is_current",
    "python -m udpdiff.config.json_schema": "tests/packaging/test_project_files.py::test_generated_files_are_current",
    "python -m udpdiff.conda_environment": "tests/packaging/test_project_files.py::test_generated_files_are_current",
    "python -m udpdiff.metrics.registry": "tests/metrics/test_registry.py::test_the_page_about_figures_is_the_registrys",
    "python -m udpdiff.report.training_lengths": "tests/report/test_training_lengths.py::test_a_line_for_each_run_as_it_is_printed",
    "python -m benchmarks.acceleration": f"{BENCHMARKS}/test_acceleration_benchmark.py::test_the_command_says_which_number_comes_from_where",
    "python -m benchmarks.dense_figures": f"{BENCHMARKS}/test_dense_figures_benchmark.py::test_the_command_sets_j_and_f_against_the_plain_definition",
    "python -m benchmarks.labellers": f"{BENCHMARKS}/test_labellers_benchmark.py::test_the_command_times_labellers_on_scenes",
    "python -m benchmarks.pipelines": f"{BENCHMARKS}/test_pipelines.py::test_the_command_writes_every_part_of_every_pipeline",
    "python -m benchmarks.training": f"{BENCHMARKS}/test_training_benchmark.py::test_the_command_writes_ratios_and_what_differs",
    "pip install -e . && snakemake --cores all": f"{WHOLE}::test_everything_ends_in_a_report",
    'pip install -e ".[docs]" && sphinx-build': "tests/test_documentation.py::test_the_site_builds_without_a_warning",
}
# What takes more than a test has: tests plan it by a dry run of the very line, and its page says what it takes. Beginning ->
# a word of its row of a table, or of its section.
PLANNED = {
    "snakemake --cores all --directory work --configfile my_videos.yaml": "trains",
    "snakemake --cores all results/memory.json": "minutes",
    "snakemake --cores all results/throughput.json": "minutes",
    "snakemake --cores all mini_checkpoints": "hours",
    "snakemake --cores all --config preset=hours": "hours",
    "snakemake --cores all --configfile FILE": "results/training",
    "snakemake --cores all --resources gpu=1 --config preset=one_gpu": "4090",
    "snakemake --cores 32 --resources gpu=8": "GPUs",
    "snakemake --cores 1 --configfile lab.yaml --config preset=paper -- prefetch": "internet",
    "snakemake --profile slurm --configfile lab.yaml": "cluster",
    "snakemake --profile mycluster": "cluster",
}
# A package index and a fresh environment, which CI has; a scheduler's prompt, an editor, another machine.
NEEDS = {
    "a package index: .ci/run installs and tests so": (
        "pip install",
        "git clone",
        "python -m venv",
        "pytest",
        "ruff check",
    ),
    "a person at a terminal": ("cp -r slurm mycluster", "$EDITOR", "tmux"),
    "somebody's cluster": ("scancel",),
    "a second machine": ("rsync",),
    "twenty minutes": ('pip install -e ".[test]" && pytest -m faults',),
    "a GPU, and networks of the hub": ("python -m benchmarks.consistency",),
    "a browser and a site of a thousand films": ("python -m benchmarks.first_view",),
}
# What a line has whatever it is about, and a program that tests start as a module.
COMMON = {"snakemake", "udpdiff", "python", "pip", "install", "-e", "-m", "-n", ".", "&&", "--", "--cores", "all", "1"}
COMMON |= {".[docs]", "sphinx-build", "COMMAND"}
_INLINE = re.compile(r"`((?:snakemake|python -m|udpdiff|pip|pytest|rsync|scancel|tmux) [^`]+)`")


def commands(page: Path) -> set[str]:
    text = page.read_text()
    blocks = re.findall(r"(?ms)^```(?:sh|bash)\n(.*?)^```", text)
    lines = [line for block in blocks for line in block.splitlines()]
    lines += _INLINE.findall(re.sub(r"(?s)```.*?```", "", text))
    found = {re.sub(r"\s+#.*", "", " ".join(line.split())) for line in lines}
    return {line for line in found if line and not line.startswith("#")}


@cache
def code_of(test: str) -> str:
    """The lines of `FILE::FUNCTION`, with the file's constants, functions and fixtures that these lines name."""
    file, _, name = test.partition("::")
    text = (ROOT / file).read_text()
    defined: dict[str, ast.stmt] = {}
    for node in ast.parse(text).body:
        named = [node] if isinstance(node, ast.FunctionDef | ast.ClassDef) else getattr(node, "targets", [])
        for each in named:
            words = ast.walk(each) if isinstance(each, ast.expr) else [each]
            defined |= {getattr(word, "id", getattr(word, "name", "")): node for word in words}
    taken, waiting = {}, [name]
    while waiting:
        if (name := waiting.pop()) in taken or name not in defined:
            continue
        node = defined[name]
        first = min([node.lineno, *(each.lineno for each in getattr(node, "decorator_list", []))])
        taken[name] = "\n".join(text.splitlines()[first - 1 : node.end_lineno])
        waiting += re.findall(r"\w+", taken[name])
    return "\n".join(taken.values())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_each_is_run_or_says_what_it_needs(page):
    known = [*RUN, *PLANNED, *(beginning for beginnings in NEEDS.values() for beginning in beginnings)]
    assert not {line for line in commands(page) if not line.startswith(tuple(known))}


def test_nobody_is_told_to_type_snakemake_without_its_cores():
    """Snakemake does nothing without `--cores` or a profile: pages, messages and comments name an option before a target."""
    told = [
        *ROOT.glob("*.md"),
        *ROOT.glob("docs/*.md"),
        *(ROOT / "udpdiff").rglob("*.py"),
        *(ROOT / "presets").glob("*"),
    ]
    bare = {path.name: found for path in told if (found := re.findall(r"`snakemake [^-`][^`]*`", path.read_text()))}
    assert not bare


def test_each_of_the_list_stands_on_a_page():
    written = {line for page in PAGES for line in commands(page)}
    for beginning in [*RUN, *PLANNED, *(each for beginnings in NEEDS.values() for each in beginnings)]:
        assert any(line.startswith(beginning) for line in written), beginning


@pytest.mark.parametrize("beginning", RUN)
def test_the_test_that_is_named_runs_it(beginning):
    code = code_of(RUN[beginning])
    assert "def test" in code, f"{RUN[beginning]} is no test"
    modules = ("udpdiff.", "scripts.", "benchmarks.")  # which tests import
    words = {word.rpartition(".")[2] if word.startswith(modules) else word for word in shlex.split(beginning)} - COMMON
    pages = {page.name for page in PAGES if any(line.startswith(beginning) for line in commands(page))}
    reads = "commands(" in code or any(name in code for name in pages)
    assert reads or not {word for word in words if word not in code}


@pytest.mark.parametrize("beginning", PLANNED)
def test_what_is_only_planned_says_on_its_page_what_it_takes(beginning):
    for page in PAGES:
        for section in re.split(r"\n(?=## )", page.read_text()):
            rows = re.findall(r"(?m)^\|.*", section)
            for part in [*rows, re.sub(r"(?m)^\|.*", "", section)]:
                near = part if part in rows else section
                told = beginning not in " ".join(part.split()) or PLANNED[beginning] in near
                assert told, f"{page.name}: {part}"


def test_options_that_pages_name_are_there():
    """Of Snakemake, of this project's commands, and of the commands that pages quote from elsewhere."""
    known = {option for action in get_argument_parser()._actions for option in action.option_strings}
    ours = [
        *(ROOT / "udpdiff/command").glob("*.py"),
        *(ROOT / "scripts").glob("*.py"),
        *(ROOT / "benchmarks").glob("*.py"),
    ]
    known |= set(re.findall(r'"(--[a-z][\w-]*)"', "".join(path.read_text() for path in ours)))
    known |= {"--help", "--gpus-per-node", "--signal", "--logdir"}  # of argparse, sbatch, scancel and tensorboard
    for page in PAGES:
        text = re.sub(r"(?s)```.*?```", "", page.read_text())
        named = {
            option for span in re.findall(r"`([^`]+)`", text) for option in re.findall(r"(?<![\w-])--[a-z][\w-]*", span)
        }
        assert not named - known, page.name


PYTHON = {
    "README.md": "tests/command/test_readme_example.py",
    "add_a_task.md": "tests/tasks/test_add_a_task_page.py",
    "data.md": "tests/scripts/test_data_set_to_take_away.py",
    "training.md": "tests/training/test_adapter.py",
    "use.md": "tests/command/test_labelling_a_file.py",
}


def test_lines_of_python_are_run_by_tests_that_read_them_from_their_page():
    assert {page.name for page in PAGES if "```python" in page.read_text()} == PYTHON.keys()
    for page, test in PYTHON.items():
        text = (ROOT / test).read_text()
        assert page in text and ("exec(" in text or page == "add_a_task.md"), page
