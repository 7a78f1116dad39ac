"""Imports go down the floors only, and light modules stay light."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# From the ground up. A package, or a module beside the packages, imports from lower floors alone.
FLOORS = (
    (
        "background",
        "clip",
        "conda_environment",
        "config_values",
        "counted",
        "default_device",
        "files",
        "finite",
        "interruption",
        "pixel_statistics",
        "plugins",
        "progress",
        "provenance",
        "quick_start",
        "quiet_libraries",
        "readable_errors",
        "replicates",
        "workflow_place",
    ),
    ("content_digests", "decoding", "locking", "shell_prefix"),
    ("video_io", "representations", "measures", "storage"),
    ("checkpoints", "gpu_memory", "launching", "tasks"),
    ("timing",),
    ("config", "figure_record"),
    ("jobs_data",),
    ("jobs",),
    ("labelling", "sources", "model", "metrics"),
    ("tables",),
    ("training",),
    ("workflow",),
    ("planning", "mini"),
    ("preflight",),
    ("report",),
    ("panda_dense",),
    ("command",),
    ("__main__",),
)
FLOOR_OF = {name: floor for floor, names in enumerate(FLOORS) for name in names}


def imports_of(path: Path):
    """(imported module of udpdiff, whether at module level)."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "udpdiff":
            names = [node.module] if node.module != "udpdiff" else [f"udpdiff.{alias.name}" for alias in node.names]
            yield from (name.removeprefix("udpdiff.") for name in names)
        elif isinstance(node, ast.Import):
            yield from (a.name.removeprefix("udpdiff.") for a in node.names if a.name.startswith("udpdiff."))


def module_files():
    for path in sorted((ROOT / "udpdiff").rglob("*.py")):
        name = ".".join(path.relative_to(ROOT / "udpdiff").with_suffix("").parts).removesuffix(".__init__")
        if name != "__init__":
            yield pytest.param(name, path, id=name)


@pytest.mark.parametrize("name, path", module_files())
def test_imports_go_down(name, path):
    own = name.split(".")[0]
    for imported in imports_of(path):
        other = imported.split(".")[0]
        if other == own:
            continue
        assert FLOOR_OF[other] < FLOOR_OF[own], f"{name} imports {imported}, which is not on a lower floor"


def test_scripts_are_the_only_ones_above():
    for path in (ROOT / "udpdiff").rglob("*.py"):
        assert "scripts" not in {name.split(".")[0] for name in imports_of(path)}
        assert "from scripts" not in path.read_text()


def test_nobody_imports_the_trainers_of_mini_checkpoints():
    for path in [*(ROOT / "udpdiff").rglob("*.py"), *(ROOT / "scripts").glob("*.py")]:
        if path.parent.name != "mini" and path.name != "train_mini.py":
            assert not [name for name in imports_of(path) if name.split(".")[0] == "mini"], path


@pytest.mark.parametrize(
    "module",
    [
        "preflight",
        "workflow.jobs",
        "config.layers",
        "jobs",
        "tables.specs",
        "planning.costs",
        "planning.expected_time",
        "planning.fit",
        "checkpoints",
        "mini.stages",
        "tasks",
        "metrics.registry",
        "storage.shards",
        "launching.commands",
    ],
)
def test_what_the_snakefile_imports_is_light(module):
    code = f"import sys, udpdiff.{module}; print([m for m in ('torch', 'diffusers', 'transformers', 'pandas') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


def test_every_script_belongs_to_a_rule():
    rules = "".join(path.read_text() for path in (ROOT / "rules").glob("*.smk"))
    shared = {"__init__", "launch"}
    for path in (ROOT / "scripts").glob("*.py"):
        if path.stem not in shared:
            assert f"rule {path.stem}:" in rules, f"no rule is called {path.stem}"
            assert f"scripts.{path.stem} " in rules, f"no rule runs scripts.{path.stem}"


def test_no_circles():
    graph = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): {
            f"udpdiff.{name}" for name in imports_of(path)
        }
        for path in (ROOT / "udpdiff").rglob("*.py")
    }
    graph.pop("udpdiff")  # names its parts, and imports each on first use
    done: set[str] = set()

    def visit(name: str, above: tuple[str, ...]) -> None:
        assert name not in above, f"a circle of imports: {' -> '.join([*above[above.index(name) :], name])}"
        if name in done:
            return
        for other in graph.get(name, ()):
            # `from package import name` names a module or something in the package.
            visit(other if other in graph else other.rpartition(".")[0], (*above, name))
        done.add(name)

    for name in graph:
        visit(name, ())


REASONS_FOR_LENGTH: dict[str, str] = {}


def test_files_are_short_or_say_why():
    long = {
        path.relative_to(ROOT).as_posix()
        for folder in ("udpdiff", "scripts", "rules")
        for path in [*(ROOT / folder).rglob("*.py"), *(ROOT / folder).rglob("*.smk")]
        if len(path.read_text().splitlines()) > 300
    }
    assert long == set(REASONS_FOR_LENGTH)
