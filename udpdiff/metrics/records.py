"""One figure of a file of measurements: how it is written, and how its values are read by clip, never by position."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict

from udpdiff.metrics.bootstrap import Estimate

# Names of the lists in a document's `clips`: all generated videos, the real ones, those generated that a judge could
# compare, and rounds of timings, which are paired as clips are.
VIDEOS, REAL, COMPARED, ROUNDS = "videos", "real", "compared", "rounds"


def entry(estimate: Estimate, extractor: str, per_video: Iterable[float] = (), clips: str | None = None) -> dict:
    """Return one figure as plain JSON; values and ends of the interval that are not a number become null.

    Args:
        estimate: Its value, interval and number of videos.
        extractor: What made it.
        per_video: Values of single clips.
        clips: The document's list of these clips; None where the document says it otherwise.
    """
    values = [None if math.isnan(value) else float(value) for value in per_video]
    fields = asdict(estimate) | {"per_video": values, "clips": clips, "extractor": extractor}
    return {key: None if isinstance(value, float) and math.isnan(value) else value for key, value in fields.items()}


def by_clip(document: Mapping, name: str) -> dict[str, float | None]:
    """Return a figure's values by clip id: None for a clip that is left out, nothing for a figure of the whole set.

    Args:
        document: The content of a quality.json or runtime.json.
        name: Of the figure.

    Raises:
        ValueError: The values are not as many as the clips.
    """
    figure = document["metrics"][name]
    if not figure["per_video"]:
        return {}
    ids = document["clips"][figure["clips"]]
    if len(set(ids)) != len(figure["per_video"]):
        raise ValueError(
            f"Figure {name} of {document['run']}/{document['task']}: got {len(figure['per_video'])} values for "
            f"{len(set(ids))} clips, expected one each; measure it again."
        )
    return dict(zip(ids, figure["per_video"], strict=True))
