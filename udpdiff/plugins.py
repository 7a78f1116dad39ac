"""Functions of the user's, named `plugin:MODULE:FUNCTION`: in a module of the work folder, or installed.

`check` reads source and runs nothing. The work folder is looked at last, so that a `random.py` there is nobody's library.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import re
import sys
from collections.abc import Callable, Iterator
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

_REFERENCE = re.compile(r"plugin:([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*):([A-Za-z_]\w*)")


def load(reference: str) -> Callable:
    """Return the function; its module is run.

    Raises:
        ValueError: There is no such function, see `check`.
    """
    check(reference)
    _, module, function = reference.split(":")
    if str(Path.cwd()) not in sys.path:
        sys.path.append(str(Path.cwd()))
    found = getattr(importlib.import_module(module), function, None)
    if not callable(found):
        raise ValueError(f"got {reference!r}, and {module}.{function} is no function")
    return found


def check(reference: str) -> None:
    """Refuse a reference that would fail when it is loaded, as far as source tells.

    Raises:
        ValueError: It has another form; no such module is found, or one that it imports; it does not define the function.
    """
    parts = _REFERENCE.fullmatch(reference)
    if parts is None:
        raise ValueError(f"got {reference!r}; a function of yours is written plugin:MODULE:FUNCTION")
    module, function = parts[1], parts[2]
    spec = _find(module)
    if spec is None:
        raise ValueError(
            f"got {reference!r}, and there is no module {module} in the work folder {str(Path.cwd())!r}, and none is installed"
        )
    if spec.origin is None or not spec.origin.endswith(".py"):
        return  # built in or compiled
    try:
        tree = ast.parse(Path(spec.origin).read_bytes())
    except (SyntaxError, ValueError, OSError) as error:
        raise ValueError(f"got {reference!r}, and {spec.origin} cannot be read as Python: {error}") from error
    names = set(_bound(tree.body))
    if function not in names and not names & {"*", "__getattr__"}:
        raise ValueError(f"got {reference!r}, and {spec.origin} defines no {function}")
    for name in _imported(tree.body):
        if _find(name) is None:
            raise ValueError(f"got {reference!r}, and {spec.origin} imports {name}, which is not installed")


def source(reference: str) -> Path | None:
    """Return the file that a reference's module is read from; None where there is none, or it is no Python."""
    parts = _REFERENCE.fullmatch(reference)
    spec = _find(parts[1]) if parts else None
    return Path(spec.origin) if spec and spec.origin and spec.origin.endswith(".py") else None


def _find(module: str) -> ModuleSpec | None:
    """Where a module would come from; the packages that hold it are not run."""
    top, *rest = module.split(".")
    try:
        spec = importlib.util.find_spec(top)
    except (ValueError, ImportError):  # a module that was made by hand
        spec = None
    spec = spec or PathFinder.find_spec(top, [str(Path.cwd())])
    for depth in range(len(rest)):
        if spec is None or spec.submodule_search_locations is None:
            return None
        spec = PathFinder.find_spec(".".join([top, *rest[: depth + 1]]), spec.submodule_search_locations)
    return spec


def _bound(statements: list[ast.stmt]) -> Iterator[str]:
    """Names that a module's own statements bind."""
    for node in statements:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Import | ast.ImportFrom):
            yield from (alias.asname or alias.name.split(".")[0] for alias in node.names)
        else:
            yield from (name.id for name in ast.walk(node) if isinstance(name, ast.Name))
            yield from _bound([child for child in ast.walk(node) if child is not node and isinstance(child, ast.stmt)])


def _imported(statements: list[ast.stmt]) -> Iterator[str]:
    """Packages that a module needs to be imported; what it tries to import is its own affair."""
    for node in statements:
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.split(".")[0]
