"""Summary of repeated timings of a pipeline and its parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

PARTS = ("text_encoder", "transformer", "vae")


def summarise(seconds: Sequence[float], *, resamples: int = 2000, seed: int = 0) -> dict[str, float]:
    """Median of repeated timings with the 95 % percentile bootstrap interval of the median, in seconds."""
    values = np.asarray(seconds, np.float64)
    if values.ndim != 1 or not len(values) or not (values > 0).all():
        raise ValueError(f"Timings: got {list(seconds)!r}, expected one or more positive numbers of seconds.")
    drawn = np.random.default_rng(seed).integers(len(values), size=(resamples, len(values)))
    low, high = np.percentile(np.median(values[drawn], axis=1), [2.5, 97.5])
    return {"value": float(np.median(values)), "low": float(low), "high": float(high), "n": len(values)}


def summarise_parts(timings: Sequence[Mapping[str, float]]) -> dict[str, dict[str, float]]:
    """Summaries by part of repeated timings, each a mapping with `total` and the parts of the pipeline.

    Parts are named as in `PARTS`, in seconds; time outside them is reported as `other`. The first run of a process
    should be left out by the caller: it loads and compiles.
    """
    missing = [name for name in ("total", *PARTS) if any(name not in timing for timing in timings)]
    if missing:
        raise ValueError(f"Timings: missing {', '.join(missing)}; each needs total, {', '.join(PARTS)} in seconds.")
    columns = {name: [timing[name] for timing in timings] for name in ("total", *PARTS)}
    result = {name: summarise(values) for name, values in columns.items()}
    other = [timing["total"] - sum(timing[name] for name in PARTS) for timing in timings]
    result["other"] = summarise([max(value, 1e-9) for value in other])
    return result
