"""Every command in README and docs is one that a test runs, or needs what a test has not, which is said here."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
WHOLE, SCALES = "tests/workflow/test_whole_workflow.py", "tests/workflow/test_scales.py"
# What a command begins with, comments and line breaks taken out -> the test that runs such a one, at the test's size.
RUN = {
    "snakemake --cores all --directory work --configfile my_videos.yaml": "tests/sources/test_videos.py",
    "snakemake --cores all panda_dense": WHOLE,
    "snakemake --cores all paper_figures": WHOLE,
    "snakemake --cores all results/table": WHOLE,
    "snakemake --cores all results/runs/": WHOLE,
    "snakemake --cores all results/samples/foreground": "tests/tasks/test_add_a_task_page.py",
    "snakemake --cores all results/samples/": WHOLE,
    "snakemake --cores all results/entities/": WHOLE,
    "snakemake --cores all results/memory.json": "tests/scripts/test_measure_memory.py",
    "snakemake --cores all results/throughput.json": WHOLE,
    "snakemake --cores all --resources gpu=1 --config preset=one_gpu": SCALES,
    "snakemake --cores all mini_checkpoints": "tests/mini/test_stages.py",
    "snakemake --cores 32 --resources gpu=8": "tests/workflow/test_profile.py",
    "snakemake --cores 1 --config preset=paper": SCALES,
    "snakemake --cores 1 --report": WHOLE,
    "snakemake --cores 1 plan": WHOLE,
    "snakemake --cores 1 --forcerun fetch_checkpoint -- prefetch": "tests/checkpoints/test_prefetching.py",
    "snakemake --cores 1 -- prefetch": "tests/checkpoints/test_prefetching.py",
    "snakemake --cores 1 --configfile lab.yaml --config preset=paper -- prefetch": "tests/checkpoints/test_prefetching.py",
    "snakemake --cores all": WHOLE,
    "snakemake -n": WHOLE,
    "snakemake --unlock": "tests/workflow/test_config_files.py",
    "snakemake --profile slurm": SCALES,
    'snakemake --snakefile "$(udpdiff workflow --path)"': "tests/packaging/test_wheel.py",
    "snakemake --profile mycluster --config preset=rehearsal": "tests/slurm/test_on_slurm.py",
    "snakemake --profile mycluster": SCALES,
    "udpdiff COMMAND --help": "tests/command/test_generating.py",
    "udpdiff generate": "tests/command/test_generating.py",
    "udpdiff export": "tests/command/test_generating.py",
    "udpdiff label": "tests/command/test_labelling_a_file.py",
    "udpdiff compare": "tests/report/test_compare.py",
    "udpdiff workflow": "tests/command/test_generating.py",
    "udpdiff plan": "tests/scripts/test_plan_script.py",
    "python -m scripts.plan": "tests/scripts/test_plan_script.py",
    "python -m scripts.train_mini captioner": "tests/mini/test_resuming.py",
    "python -m scripts.train_mini cogvideox": "tests/mini/test_base.py",
    "python -m udpdiff.labelling.cropformer_checkpoint": "tests/labelling/test_official_cropformer_files.py",
    "python -m udpdiff.config_page": "tests/workflow/test_config_page.py",
    "python -m udpdiff.config_schema": "tests/packaging/test_project_files.py",
    "python -m udpdiff.conda_environment": "tests/packaging/test_project_files.py",
    "python -m udpdiff.metrics.registry": "tests/metrics/test_registry.py",
    "python -m udpdiff.report.training_lengths": "tests/report/test_training_lengths.py",
    "pip install -e . && snakemake --cores all": WHOLE,
    'pip install -e ".[docs]" && sphinx-build': "tests/test_documentation.py",
    'pip install -e ".[test]" && pytest -m faults': "tests/faults/test_campaign_harness.py",
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
}
_INLINE = re.compile(r"`((?:snakemake|python -m|udpdiff|pip|pytest|rsync|scancel|tmux) [^`]+)`")


def commands(page: Path) -> set[str]:
    text = page.read_text()
    blocks = re.findall(r"(?ms)^```(?:sh|bash)\n(.*?)^```", text)
    lines = [line for block in blocks for line in block.splitlines()]
    lines += _INLINE.findall(re.sub(r"(?s)```.*?```", "", text))
    found = {re.sub(r"\s+#.*", "", " ".join(line.split())) for line in lines}
    return {line for line in found if line and not line.startswith("#")}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_each_is_run_or_says_what_it_needs(page):
    known = [*RUN, *(beginning for beginnings in NEEDS.values() for beginning in beginnings)]
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


def test_each_of_the_list_stands_on_a_page_and_has_its_test():
    written = {line for page in PAGES for line in commands(page)}
    for beginning in [*RUN, *(each for beginnings in NEEDS.values() for each in beginnings)]:
        assert any(line.startswith(beginning) for line in written), beginning
    assert all("def test" in (ROOT / test).read_text() for test in RUN.values())
