"""A table of the report as LaTeX, for packages booktabs and nothing else."""

from __future__ import annotations

from collections.abc import Sequence

_SPECIAL = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "−": "$-$", "–": "--", "δ": r"$\delta$", "×": r"$\times$",
}  # fmt: skip


def escaped(text: str) -> str:
    """Return text that LaTeX prints as it is."""
    return "".join(_SPECIAL.get(letter, letter) for letter in text)


def tabular(headings: Sequence[str], rows: Sequence[Sequence[str]], caption: str) -> str:
    """Return a table environment: the first column to the left, the others to the right.

    Args:
        headings: Of the columns, plain text.
        rows: Plain text by row and column.
        caption: Plain text.
    """
    lines = [" & ".join(map(escaped, line)) + r" \\" for line in (headings, *rows)]
    return "\n".join(
        [
            r"\begin{table}",
            rf"\caption{{{escaped(caption)}}}",
            rf"\begin{{tabular}}{{l{'r' * (len(headings) - 1)}}}",
            r"\toprule",
            lines[0],
            r"\midrule",
            *lines[1:],
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
            "",
        ]
    )
