"""Compares rows, paired by prompt and seed: difference, 95 % interval, test corrected over a table, and a verdict in words.

Values are joined by clip id, so that the order of clips means nothing; a prompt that lacks a value on either side is
left out and counted. Knows figures as numbers, and no file.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import asdict

import numpy as np

from udpdiff.measures.fvd import extrapolate
from udpdiff.metrics.bootstrap import Estimate, bootstrap_mean, subset_error, subset_interval
from udpdiff.metrics.registry import describe
from udpdiff.metrics.set_distances import SHARE, SUBSETS
from udpdiff.metrics.significance import (
    LEVEL,
    TOO_FEW,
    at_best,
    holm,
    least_p,
    normal_test,
    sign_flip_test,
    split_variance,
    two_way_mean,
)
from udpdiff.tables.measured import Figures, Measured
from udpdiff.tables.specs import Metric, Row, table_spec

BETTER, WORSE, NO_DIFFERENCE = "better", "worse", "no difference shown"
WEIGHTS, METHOD = "weights", "method"
LEAST_PAIRS = 2


class Refusal(ValueError):
    """Why two rows cannot be compared, as a sentence."""


def compare_table(number: int, measured: Measured, *, bootstrap_samples: int = 2000, seed: int = 0) -> list[dict]:
    """Return all comparisons of a table, each row against every row above it, figure by figure; see `compare`.

    One Holm family: all of the table's columns whose values can be better or worse, ours included.
    """
    spec = table_spec(number)
    found = [
        compare(row, against, metric, measured, bootstrap_samples=bootstrap_samples, seed=seed)
        for metric in (*spec.metrics, *spec.extra)
        if metric.direction != "neither"
        for against, row in itertools.combinations(spec.rows, 2)
    ]
    return corrected(found)


def compare(
    row: Row, against: Row | None, metric: Metric, measured: Measured, *, bootstrap_samples: int = 2000, seed: int = 0
) -> dict:
    """Return the comparison of two rows on one figure as plain JSON, before any correction.

    Keys:

    - metric, label, unit, digits, direction ("higher" or "lower" is better); figure: the key of what was measured
      (`metrics.registry` has it), papers_figure: whether it is what the paper reports.
    - row, against: {label, run, task}; against is null where a row is set against 0: its own mean, or a gain.
    - row_value, against_value, difference (row minus against), low, high (95 %): in the table's units.
    - p: before correction; least_p: the smallest that so many pairs allow; p_corrected: Holm's, null until `corrected`
      and where there are too few to tell; test: its name.
    - n: pairs; left_out: prompts without a value on either side.
    - seeds: trainings of each run behind it; about: "weights" with one, as nothing is known of how another training
      would fall, "method" with several, paired by their numbers: one number is one seed.
    - variance: {seed, prompt, rest}, of differences of single videos, with several trainings, else null.
    - verdict: null where refused, until `corrected` else; reason: of a refusal, or of too few pairs.
    - warnings: sentences on what the figure is worth (a distance of few videos), row and row against.

    Single videos: bootstrap over prompts and sign flips, or by `significance.two_way_mean` with several trainings.
    Distances of sets: from the same subsets of prompts and real videos without replacement, see `metrics.set_distances`.
    """
    trainings = [measured.get((each.run, each.task), []) for each in (row, *([against] if against else []))]
    seeds = min(map(len, trainings))
    line = {"metric": metric.name, "label": metric.label, "unit": metric.unit, "direction": metric.direction}
    line |= {"row": _named(row), "against": against and _named(against), "seeds": seeds}
    line |= {"about": METHOD if seeds > 1 else WEIGHTS, "warnings": []}
    line |= dict.fromkeys(_NUMBERS)
    try:
        if not seeds:
            raise Refusal("one of the runs was not measured")
        pairs = [_pair(row, against, metric, *each) for each in zip(*trainings, strict=False)]
        name = pairs[0][0][0]
        figure = describe(name.removeprefix(row.prefix))
        line |= {
            "label": figure.label,
            "figure": name,
            "digits": figure.digits,
            "papers_figure": name == f"{row.prefix}{metric.sources[0]}",
        }
        line |= _compared(pairs, metric.scale, bootstrap_samples, seed)
    except Refusal as refusal:
        line["reason"] = f"{refusal}."
    return line


_NUMBERS = (
    "figure", "papers_figure", "digits", "row_value", "against_value", "difference", "low", "high", "p", "least_p",
    "p_corrected", "test", "n", "left_out", "variance", "verdict", "reason",
)  # fmt: skip


def corrected(comparisons: Sequence[dict]) -> list[dict]:
    """Return comparisons of one family with Holm's p and a verdict: at 0.05 "better", "worse", else "no difference shown".

    Where no outcome of so many pairs could fall below 0.05 after the correction, the verdict is "too few to tell",
    without p and with the reason.
    """
    tested = [line for line in comparisons if line["p"] is not None]
    ps = zip(holm([line["p"] for line in tested]), at_best([line["least_p"] for line in tested]), strict=True)
    judged = {id(line): line | _judged(line, p, least) for line, (p, least) in zip(tested, ps, strict=True)}
    return [judged.get(id(line), line) for line in comparisons]


def _judged(line: dict, p: float, least: float) -> dict:
    if least >= LEVEL:
        reason = f"With {line['n']} pairs no p below {least:.3g} is possible after the correction."
        return {"verdict": TOO_FEW, "reason": reason}
    return {"p_corrected": p, "verdict": _verdict(line, p)}


def _verdict(line: dict, p: float) -> str:
    if p >= LEVEL or not line["difference"]:
        return NO_DIFFERENCE
    return BETTER if (line["difference"] > 0) == (line["direction"] == "higher") else WORSE


def _named(row: Row) -> dict:
    return {"label": row.label, "run": row.run, "task": row.task}


def _pair(row: Row, against: Row | None, metric: Metric, *sides: Figures) -> list[tuple[str, dict, dict]]:
    """Return (name, fields, values by clip) of one training of the row, and of the other row where there is one."""
    found = []
    for each, figures in zip((row, against), sides, strict=False):
        name = figures.find(metric, each)
        if name is None:
            raise Refusal(f"{metric.label} of {each.label} was not measured")
        found.append((name, figures.fields[name], figures.values[name]))
    made = [
        (name.removeprefix(each.prefix), figure["extractor"].partition(";")[0])
        for each, (name, figure, _) in zip((row, against), found, strict=False)
    ]
    labelled = any(each and each.labeller for each in (row, against))  # extractors of labellers' rows name the labeller
    if len({name if labelled else (name, extractor) for name, extractor in made}) > 1:
        words = " and ".join(f"{name} ({extractor})" for name, extractor in made)
        raise Refusal(f"these are two figures, {words}, which cannot be compared")
    return found


def _compared(pairs: list, scale: float, bootstrap_samples: int, seed: int) -> dict:
    """Return the numbers of a comparison, of one pair for each training."""
    sides = [[pair[side] for pair in pairs] for side in range(len(pairs[0]))]
    values = [scale * float(np.mean([fields["value"] for _, fields, _ in side])) for side in _known(sides)]
    line = {"row_value": values[0], "against_value": values[1] if len(values) > 1 else 0.0}
    warnings = (fields.get("warning") for _, fields, _ in itertools.chain(*sides))
    line["warnings"] = list(dict.fromkeys(warning for warning in warnings if warning))
    if "per_subset" in sides[0][0][1]:
        return line | _compared_sets(sides, scale)
    return line | _compared_clips(sides, scale, bootstrap_samples, seed)


def _known(sides: list) -> list:
    if any(fields["value"] is None for side in sides for _, fields, _ in side):
        raise Refusal("one of the rows has no value, as no video was left to measure")
    return sides


def _compared_clips(sides: list, scale: float, bootstrap_samples: int, seed: int) -> dict:
    by_clip = [values for side in sides for *_, values in side]
    if not all(by_clip):
        raise Refusal("the figure has no values of single videos or subsets, so nothing can be paired")
    every = sorted(set().union(*by_clip))
    whole = [clip for clip in every if all(values.get(clip) is not None for values in by_clip)]
    if len(whole) < LEAST_PAIRS:
        raise Refusal(
            f"{len(whole)} of {len(every)} prompts {'has' if len(whole) == 1 else 'have'} a value on both sides, and a "
            f"comparison needs {LEAST_PAIRS}"
        )
    rows = [scale * np.array([[values[clip] for clip in whole] for *_, values in side]) for side in sides]
    differences = rows[0] - rows[1] if len(rows) > 1 else rows[0]
    counts = {"n": len(whole), "left_out": len(every) - len(whole)}
    if len(differences) > 1:
        estimate, p = two_way_mean(differences)
        test = "two-way random effects, t"
        return counts | _tested(estimate, p, test) | {"variance": asdict(split_variance(differences))}
    p, test = sign_flip_test(differences[0], seed=seed)
    estimate = bootstrap_mean(differences[0], resamples=bootstrap_samples, seed=seed)
    return counts | _tested(estimate, p, test, least_p(len(whole)))


def _compared_sets(sides: list, scale: float) -> dict:
    """Distances: of the same subsets, which are those of the same prompts; several trainings add their own variance."""
    trainings = list(zip(*sides, strict=True))
    for pair in trainings:
        if len({fields["subsets"] for _, fields, _ in pair}) > 1:
            raise Refusal("the distances are of other prompts, real videos or draws, so they cannot be paired")
    if not sides[0][0][1]["per_subset"]:
        raise Refusal(f"{sides[0][0][1]['n']} videos are too few for subsets, from which the spread is known")

    def gap(key):
        rows = [np.array([fields[key] for _, fields, _ in side], np.float64) for side in sides]
        return scale * (rows[0] - rows[1] if len(rows) > 1 else rows[0])

    values, subsets, count = gap("value"), gap("per_subset"), sides[0][0][1]["n"]
    mean, of_lines = float(values.mean()), scale * _error_of_lines(trainings)
    error = math.hypot(subset_error(subsets.mean(0), share=SHARE), of_lines)
    counts = {"n": count, "left_out": 0}
    if len(values) > 1:
        test = f"{SUBSETS} subsets and {len(values)} trainings, t"
        return counts | _tested(*_over_trainings(values, error, count), test)
    estimate = subset_interval(mean, subsets.mean(0), share=SHARE, n=count)
    if of_lines:
        estimate = Estimate(mean, mean - 1.96 * error, mean + 1.96 * error, count)
    return counts | _tested(estimate, normal_test(mean, error), f"{SUBSETS} subsets without replacement, normal")


def _error_of_lines(trainings: list) -> float:
    """Return the standard error of mean differences of extrapolated distances by the draws of their lines; 0 of others.

    Lines of one row and the other are of the same draws, so their difference is itself a line, with its own residuals.
    """
    errors = []
    for pair in trainings:
        lines = [fields["line"] for _, fields, _ in pair if "line" in fields]
        if lines:
            first, *others = (np.array(line["distances"]) for line in lines)
            errors.append(extrapolate(np.array(lines[0]["sizes"]), first - sum(others)).standard_error)
    return math.hypot(*errors) / len(trainings)


def _over_trainings(values: np.ndarray, error: float, count: int) -> tuple[Estimate, float]:
    """Return mean, interval and p of differences (S,) of sets, each of known spread over prompts.

    The variance over trainings holds what prompts and trainings do together as well, and so does that over subsets: it
    is counted twice, on the safe side.
    """
    from scipy.stats import t

    mean, of_seeds, of_prompts = float(values.mean()), float(values.var(ddof=1)) / len(values), error**2
    variance = of_seeds + of_prompts
    if not variance:
        return Estimate(mean, mean, mean, count), 0.0 if mean else 1.0
    freedom = variance**2 / (of_seeds**2 / (len(values) - 1) + of_prompts**2 / (SUBSETS - 1))
    reach = float(t.ppf(1 - LEVEL / 2, freedom)) * math.sqrt(variance)
    return Estimate(mean, mean - reach, mean + reach, count), float(2 * t.sf(abs(mean) / math.sqrt(variance), freedom))


def _tested(estimate: Estimate, p: float, test: str, least: float = 0.0) -> dict:
    ends = {name: None if math.isnan(end) else end for name, end in (("low", estimate.low), ("high", estimate.high))}
    return {"difference": estimate.value, **ends, "p": p, "least_p": least, "test": test}
