"""Plots of the report as SVG files: training curves, losses over timesteps, spreads of figures over clips.

Entries of training logs in, files out; draws with matplotlib.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from udpdiff.storage.files import written_file


def training_curves(logs: dict[str, list[dict]], keys: dict[str, str], path: Path, y_label: str) -> Path:
    """Draw one panel per key, one smoothed line per run that has it.

    Args:
        logs: Run -> entries of train.jsonl with `step` and the keys.
        keys: Key -> title; dotted for nested ones.
        path: Of an SVG file.
        y_label: Of the first panel.
    """
    canvas, axes = _subplots(len(keys))
    for axis, (key, title) in zip(axes, keys.items(), strict=True):
        for index, (run, entries) in enumerate(logs.items()):
            points = [(entry["step"], _get(entry, key)) for entry in entries if _get(entry, key) is not None]
            if not points:
                continue
            steps, values = (np.array(column, float) for column in zip(*points, strict=True))
            axis.plot(steps, _smooth(values), label=run, color=f"C{index}", linewidth=1.4)
            axis.plot(steps, values, color=f"C{index}", linewidth=0.5, alpha=0.2)
        axis.set_title(title, fontsize=10)
        axis.set_xlabel("step")
        axis.set_yscale("log")
        axis.grid(alpha=0.25)
    axes[0].set_ylabel(y_label)
    handles, labels = axes[0].get_legend_handles_labels()
    canvas.legend(handles, labels, loc="lower center", ncol=min(len(labels), 6), fontsize=8, frameon=False)
    canvas.tight_layout(rect=(0, 0.1, 1, 1))
    return _save(canvas, path)


def losses_against_base(losses: dict[str, dict[int, float]], base: str, path: Path) -> Path:
    """Draw the video's validation loss of every run over steps, with the base's as reference, and its ratio to the base's.

    Args:
        losses: Label of a run -> step -> loss; the base among them.
        base: Its label.
        path: Of an SVG file.
    """
    canvas, (left, right) = _subplots(2, width=5.2)
    colors = iter(f"C{index}" for index in range(len(losses)))
    for label, found in losses.items():
        style = {"color": "black", "linestyle": "--"} if label == base else {"color": next(colors)}
        style |= {"linewidth": 1.4, "marker": "o", "markersize": 3}
        left.plot(list(found), list(found.values()), label=label, **style)
        shared = [step for step in found if step in losses[base]]
        right.plot(shared, [found[step] / losses[base][step] for step in shared], **style)
    for axis, title in ((left, "video validation loss"), (right, f"divided by that of {base}, after as many steps")):
        axis.set_title(title, fontsize=10)
        axis.set_xlabel("step")
        axis.grid(alpha=0.25)
    left.set_yscale("log")
    canvas.legend(loc="lower center", ncol=min(len(losses), 4), fontsize=8, frameon=False)
    canvas.tight_layout(rect=(0, 0.04 + 0.05 * -(-len(losses) // 4), 1, 1))
    return _save(canvas, path)


def distribution(values: dict[str, list[float]], path: Path, title: str) -> Path:
    """Draw one row per variant: every clip as a dot, a box around the middle half, a bar at the median.

    Args:
        values: Variant -> its value of each clip.
        path: Of an SVG file.
        title: Of the plot.
    """
    canvas, (axis,) = _subplots(1, height=0.42 * len(values) + 0.85, width=3.4)
    rng = np.random.default_rng(0)
    for row, points in enumerate(np.asarray(found, float) for found in values.values()):
        low, middle, high = np.percentile(points, [25, 50, 75]) if len(points) else [np.nan] * 3
        axis.barh(row, high - low, left=low, height=0.6, facecolor="none", edgecolor="#1d2330", linewidth=0.8)
        axis.plot([middle, middle], [row - 0.3, row + 0.3], color="#1d2330", linewidth=2)
        spread = row + rng.uniform(-0.22, 0.22, len(points))
        axis.scatter(points, spread, s=10, alpha=0.5, color=f"C{row}", linewidths=0, zorder=3)
    axis.set_title(title, fontsize=10)
    axis.set_yticks(range(len(values)), list(values), fontsize=9)
    axis.invert_yaxis()
    axis.grid(axis="x", alpha=0.25)
    canvas.tight_layout()
    return _save(canvas, path)


def _subplots(count, height=3.4, width=4.2):
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    canvas, axes = pyplot.subplots(1, count, figsize=(width * count + 0.6, height), squeeze=False)
    return canvas, list(axes[0])


def _save(canvas, path):
    from matplotlib import pyplot

    with written_file(path) as staging:
        canvas.savefig(staging, format=path.suffix[1:], metadata={"Date": None})
    pyplot.close(canvas)
    return path


def _get(entry, key):
    for part in key.split("."):
        if isinstance(entry, list):
            entry = entry[int(part)] if int(part) < len(entry) else None
        else:
            entry = entry.get(part) if isinstance(entry, dict) else None
    return entry


def _smooth(values, window=7):
    kernel = np.ones(min(window, len(values)))
    return np.convolve(values, kernel, "same") / np.convolve(np.ones_like(values), kernel, "same")
