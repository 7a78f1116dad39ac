"""The card of a mini checkpoint: what it was trained on, for how long, how good it is, its loss curve and its licence."""

from __future__ import annotations

import json
from pathlib import Path

from udpdiff.checkpoints.licences import OWN

_CURVE_POINTS = 200
_WIDTH, _HEIGHT = 320, 120  # of the drawn curve, in px


def write_card(
    folder: str | Path, name: str, data: str, steps: int, seed: int, quality: dict, curve: list, notes: str = ""
) -> None:
    """Write README.md, training.json and loss.svg into the checkpoint's folder.

    quality: measured values by name, on held-out scenes. curve: (step, loss) pairs in order of steps; thinned to 200.
    notes: a paragraph on what a reader would not expect.
    """
    folder = Path(folder)
    points = [[int(step), round(float(loss), 5)] for step, loss in curve]
    points = points[:: max(1, -(-len(points) // _CURVE_POINTS))]
    record = {"name": name, "data": data, "steps": steps, "seed": seed, "quality": quality, "curve": points}
    (folder / "training.json").write_text(json.dumps(record, indent=1, default=float) + "\n")
    (folder / "loss.svg").write_text(_draw(points))
    rows = "\n".join(f"| {key.replace('_', ' ')} | {_shown(value)} |" for key, value in quality.items())
    (folder / "README.md").write_text(
        f"# mini:{name}\n\n"
        "A small checkpoint, trained from scratch by this project for its default scale. It shows that the whole chain "
        "works; its numbers compare with no published model.\n\n"
        f"{notes}{chr(10) * 2 if notes else ''}"
        f"- Data: {data}\n- Optimizer steps: {steps}\n- Seed: {seed}\n- Licence: {OWN}\n\n"
        f"| measured on held-out scenes | value |\n|---|---|\n{rows}\n\n![loss over steps](loss.svg)\n"
    )


def earlier_training(folder: str | Path | None) -> tuple[int, list[tuple[int, float]]]:
    """The steps and the loss curve on a checkpoint's card; none without a card."""
    path = folder and Path(folder) / "training.json"
    if not path or not path.exists():
        return 0, []
    record = json.loads(path.read_text())
    return record["steps"], [tuple(point) for point in record["curve"]]


def _shown(value) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _draw(points: list[list[float]]) -> str:
    """An SVG of the curve, loss on a logarithmic axis where it is positive."""
    if len(points) < 2:
        return f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{_HEIGHT}"/>\n'
    from math import log10

    positive = all(loss > 0 for _, loss in points)
    heights = [log10(loss) if positive else loss for _, loss in points]
    low, high = min(heights), max(heights)
    first, last = points[0][0], points[-1][0]
    line = " ".join(
        f"{10 + (step - first) / max(last - first, 1) * (_WIDTH - 20):.1f},"
        f"{_HEIGHT - 25 - (value - low) / max(high - low, 1e-9) * (_HEIGHT - 40):.1f}"
        for (step, _), value in zip(points, heights, strict=True)
    )
    axis = f"loss {points[0][1]:.3g} to {points[-1][1]:.3g}{' (log)' if positive else ''}, steps {first} to {last}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" height="{_HEIGHT}">'
        f'<polyline points="{line}" fill="none" stroke="#2a6f97" stroke-width="1.5"/>'
        f'<text x="10" y="{_HEIGHT - 6}" font-family="sans-serif" font-size="11" fill="#444">{axis}</text></svg>\n'
    )
