"""Joins the comparisons of all tables with the paper's claims: what each says, what ours shows, and at which scale.

A verdict of a smaller scale is about that scale: it is never the paper's, and every document says which it is. Knows
comparisons and claims as data, and no file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from udpdiff.counted import counted
from udpdiff.jobs import JudgeClaims, Scale
from udpdiff.metrics.significance import LEVEL, TOO_FEW
from udpdiff.tables.claims import CLAIMS, Claim, Part
from udpdiff.tables.comparisons import BETTER, WEIGHTS, WORSE, compare, corrected
from udpdiff.tables.measured import Measured

SHOWN, CONTRADICTED, NOT_SHOWN, NOT_MEASURED = "shown", "contradicted", "not shown", "not measured"
_NO_FIGURE = "The paper shows pictures and gives no figure, so nothing is compared."
# Section 4.1 of the paper; what a run must have at least to be of its scale.
_PAPER = {"steps": 40_000, "train": 300_000, "prompts": 1024, "num_frames": 49, "height": 480, "width": 720}
_PAPERS_BASES = ("CogVideoX-5b",)


def judge_claims(job: JudgeClaims, tables: Mapping[int, Sequence[dict]], measured: Measured) -> dict:
    """Return the content of verdicts.json.

    Keys:

    - scale: {words, papers}: what was run, and whether it is the paper's scale.
    - seeds: {least, words}: the fewest trainings of a run behind any comparison, null without one; words: what follows.
    - level: of the tests, 0.05; correction: "Holm".
    - tables: number (as text) -> comparisons, see `comparisons.compare`; text: those of claims across tables, which are
      a family of their own.
    - claims: lines {says, section, table, relation, outcome, scale, papers_scale, parts}. outcome: "shown",
      "contradicted", "not shown" or "not measured", or the first two with " in part" where parts differ; reason: why
      nothing is compared. parts: comparisons as above (row first, against second, with signs to match), each with
      relation ("better", "comparable"), margin (of comparable rows, in the table's units, and ours), paper_difference
      (of the paper's own numbers), outcome, and verdict null where it was not compared.

    Every page that shows a verdict shows scale.words, and seeds.words or the comparison's `about`.

    Args:
        job: Scale and seeds.
        tables: Comparisons by number.
        measured: Figures of the runs of claims across tables, where they are there.
    """
    across = [part for claim in CLAIMS for part in claim.parts if part.table is None]
    options = {"bootstrap_samples": job.bootstrap_samples, "seed": job.seed}
    text = corrected([compare(*part.rows(), part.column(), measured, **options) for part in across])
    by_part = dict(zip(across, text, strict=True))
    scale = {"words": scale_words(job.scale), "papers": is_papers(job.scale)}
    claims = [_judged(claim, tables, by_part, scale) for claim in CLAIMS]
    compared = [line for lines in (*tables.values(), text) for line in lines if line["verdict"]]
    return {
        "scale": scale,
        "seeds": _seeds(compared),
        "level": LEVEL,
        "correction": "Holm",
        "tables": {str(number): list(lines) for number, lines in sorted(tables.items())},
        "text": text,
        "claims": claims,
    }


def is_papers(scale: Scale) -> bool:
    """Return whether a scale is the paper's: its source and base, and at least its numbers."""
    known = scale.source == "panda70m" and scale.base.partition("@")[0].endswith(_PAPERS_BASES)
    return known and all(getattr(scale, name) >= least for name, least in _PAPER.items())


def scale_words(scale: Scale, trained_on: int | None = None) -> str:
    """Return the scale as one sentence, which says of any but the paper's that its verdicts are not the paper's.

    trained_on: The clips that filters left of those asked for; None where nobody counted them.
    """
    clips = f"at most {scale.train} clips" if trained_on is None else counted(trained_on, "clip")
    words = (
        f"{scale.base}, trained for {counted(scale.steps, 'step')} on {clips} from {scale.source} of "
        f"{counted(scale.num_frames, 'frame')} of {scale.height} x {scale.width}; "
        f"{counted(scale.prompts, 'prompt')}"
    )
    if is_papers(scale):
        return f"The paper's scale: {words}."
    return f"Not the paper's scale: {words}. What is shown or not here holds for models of this scale alone."


def _seeds(compared: Sequence[dict]) -> dict:
    least = min((line["seeds"] for line in compared), default=None)
    if least is None:
        return {"least": None, "words": "No two rows were compared."}
    if any(line["about"] == WEIGHTS for line in compared):
        several = ", where a line does not say otherwise" if any(line["seeds"] > 1 for line in compared) else ""
        words = f"One training of each run{several}: a verdict is about these weights, not about the method."
    else:
        words = f"At least {least} trainings of each run: a verdict is about the method, over trainings and prompts."
    return {"least": least, "words": words}


def _judged(claim: Claim, tables: Mapping[int, Sequence[dict]], across: Mapping[Part, dict], scale: dict) -> dict:
    parts = [_judged_part(part, tables, across) for part in claim.parts]
    line = {"says": claim.says, "section": claim.section, "table": claim.table}
    line |= {"outcome": _joined([part["outcome"] for part in parts]), "reason": None if parts else _NO_FIGURE}
    return line | {"scale": scale["words"], "papers_scale": scale["papers"], "parts": parts}


def _judged_part(part: Part, tables: Mapping[int, Sequence[dict]], across: Mapping[Part, dict]) -> dict:
    line = across[part] if part.table is None else _line_of(part, tables.get(part.table, ()))
    own = {"relation": part.relation, "margin": None, "paper_difference": round(part.printed_difference(), 4)}
    if line is None:
        row, against = ({"label": row.label, "run": row.run, "task": row.task} for row in part.rows())
        blank = dict.fromkeys(("difference", "low", "high", "p", "p_corrected", "n", "seeds", "about", "verdict"))
        blank |= {"metric": part.metric, "label": part.column().label, "row": row, "against": against}
        return blank | own | {"outcome": NOT_MEASURED, "reason": f"Table {part.table} is not among the report's."}
    if part.margin is not None and line["against_value"] is not None:
        own["margin"] = part.margin * (abs(line["against_value"]) if part.relative else 1)
    return line | own | {"outcome": _outcome(line, part.relation, own["margin"])}


def _line_of(part: Part, lines: Sequence[dict]) -> dict | None:
    """Return a table's comparison of the part's rows, row first; None where the table was not made."""
    labels = [part.row[1], part.against[1]]
    for line in lines:
        own = [line["row"]["label"], line["against"]["label"]]
        if line["metric"] == part.metric and sorted(own) == sorted(labels):
            return line if own == labels else turned(line)
    return None


def turned(line: dict) -> dict:
    """Return a comparison with its rows exchanged: differences change their signs, and verdicts their words."""

    def minus(value):
        return None if value is None else -value

    words = {BETTER: WORSE, WORSE: BETTER}
    return line | {
        "row": line["against"],
        "against": line["row"],
        "row_value": line["against_value"],
        "against_value": line["row_value"],
        "difference": minus(line["difference"]),
        "low": minus(line["high"]),
        "high": minus(line["low"]),
        "verdict": words.get(line["verdict"], line["verdict"]),
    }


def _outcome(line: dict, relation: str, margin: float | None) -> str:
    if line["verdict"] is None:
        return NOT_MEASURED
    if line["verdict"] == TOO_FEW:
        return NOT_SHOWN
    if relation == "better":
        return {BETTER: SHOWN, WORSE: CONTRADICTED}.get(line["verdict"], NOT_SHOWN)
    if line["low"] is None:
        return NOT_SHOWN
    if -margin <= line["low"] and line["high"] <= margin:
        return SHOWN
    beyond = line["low"] > margin or line["high"] < -margin
    # A difference that the table does not show contradicts nothing.
    return CONTRADICTED if beyond and line["verdict"] in (BETTER, WORSE) else NOT_SHOWN


def _joined(outcomes: Sequence[str]) -> str:
    if len(set(outcomes)) <= 1:
        return outcomes[0] if outcomes else NOT_MEASURED
    for outcome in (CONTRADICTED, SHOWN):
        if outcome in outcomes:
            return f"{outcome} in part"
    return NOT_SHOWN
