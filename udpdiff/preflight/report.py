"""Whether what the report is to show will be there: runs of its tables, figures of its goals."""

from __future__ import annotations

from collections.abc import Iterator

from udpdiff.config.schema import LABEL_KINDS, Config
from udpdiff.metrics.registry import FIGURES, describe
from udpdiff.tables import specs

_ENDS = ("_low", "_high", "_n")


def report_faults(config: Config) -> Iterator[str]:
    """Yield a line for each table without its runs and each goal of no figure."""
    known = {(run, task) for run, spec in config.runs.items() for task in (spec.tasks or ["video"])}
    for number in sorted(set(config.report.tables)):
        missing = [pair for pair in specs.needed(number) if pair not in known]
        if missing:
            runs = ", ".join(f"{run} (tasks: {task})" for run, task in missing)
            yield f"report.tables: got {number}, which needs runs that `runs:` does not define: {runs}; add them, or leave it out"
    for line in config.report.goals:
        if fault := _goal_fault(config, line):
            yield f"report.goals: got {line!r}; {fault}"


def _goal_fault(config: Config, line: str) -> str | None:
    key, comparison, bound = line.split()
    try:
        if comparison == ">":
            describe(f"{key}_{bound}"), describe(f"{key}_over_{bound}")
        else:
            float(bound)
    except ValueError:
        return f"{bound!r} is neither a number nor a control of {key}; docs/figures.md lists all figures"
    group, _, rest = key.partition(".")
    owner, _, name = rest.rpartition(".")
    name = next((name.removesuffix(end) for end in _ENDS if name.endswith(end)), name)
    owners = {
        "labels": {name for kind in LABEL_KINDS for name in getattr(config.labels, kind)},
        "runtime": set(config.runs),
        "against_base": set(config.runs),
    }.get(group, set())
    if group not in FIGURES or group == "labellers":
        return f"there is no group {group!r}; allowed: labels, codec, generated, against_base, runtime, cost"
    if (group == "runtime" or owner) and owner not in owners:
        return f"{owner or name!r} is not among {', '.join(sorted(owners)) or 'what this group is measured for'}"
    try:
        describe(f"{group}.{name}")
    except ValueError:
        return f"there is no figure {name!r} in {group}; docs/figures.md lists all"
    return None
