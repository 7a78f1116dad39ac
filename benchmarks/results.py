"""The files of results beside this one: tables with the command, the hardware and the versions behind them."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from udpdiff.provenance import provenance
from udpdiff.storage.files import write_text

FOLDER = Path(__file__).resolve().parent
_VERSIONS = ("python", "torch", "diffusers", "transformers", "accelerate", "peft")


def results_path(benchmark: str, shape: str) -> Path:
    """Return where a benchmark's results lie by default."""
    return FOLDER / f"{benchmark}.{shape}.md"


def table(rows: Sequence[dict[str, object]]) -> str:
    """Return rows as a Markdown table; the first row names the columns, what is None is a dash."""
    columns = list(rows[0])
    lines = [columns, ["---"] * len(columns)]
    lines += [["—" if row[name] is None else str(row[name]) for name in columns] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def write_results(path: str | Path, module: str, title: str, parts: Sequence[str], arguments: Sequence[str]) -> None:
    """Write a file of results, replacing an earlier one, and print it.

    Args:
        module: That was run.
        parts: Paragraphs and tables, in Markdown.
        arguments: Of the command line.
    """
    made = provenance()
    hardware = made["hardware"]
    gpus = ", ".join(gpu["name"] for gpu in hardware["gpus"]) or "no GPU"
    versions = ", ".join(f"{name} {made['versions'].get(name)}" for name in _VERSIONS)
    behind = [
        f"    python -m {module} {shlex.join(arguments)}",
        f"Hardware: {hardware['processor']}, {hardware['torch_threads']} torch thread(s) of {hardware['cores']} cores, "
        f"{hardware['memory_gb']} GB; {gpus}.\n"
        f"Versions: {versions}.\n"
        f"Commit: {made['commit']}{' with changes' if made['dirty'] else ''}, package {made['package_sha256'][:12]}.",
        f"Seconds{' are of the processor, for others used this machine; they' if '--processor-time' in arguments else ''}"
        " and ratios are medians over the rounds, with 95 % bootstrap intervals; a ratio is taken within each round.",
    ]
    text = "\n\n".join([f"# {title}", "Written by the command; not edited by hand.", *behind, *parts]) + "\n"
    write_text(path, text)
    print(text, file=sys.stdout)
