"""A samples' page of 1,024 prompts by two models, made without any model: for tests and benchmarks of large pages."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import yaml

from udpdiff.config.parsing import parse
from udpdiff.report.films import film_path
from udpdiff.report.pages.samples import Film, Pair, Prompt, SampleFigure, Samples
from udpdiff.report.site import Page, write_site
from udpdiff.tasks.figure import Figure
from udpdiff.video_io import write_mp4

SAMPLES = 1024
_SIZE, _FRAMES = 64, 9
_CONFIGURATION = Path(__file__).resolve().parents[1] / "config.yaml"


def write_large_site(folder: Path) -> Path:
    """Write the page with one film under all names; return the page."""
    rng = np.random.default_rng(0)
    scores = {f"figure_{index}": rng.integers(0, 1000, SAMPLES).tolist() for index in range(12)}
    film = Film(
        streams=["video", "dense", "decoded"],
        width=_SIZE,
        height=_SIZE,
        frames=_FRAMES,
        fps=8.0,
        values=None,
        prompts=list(range(SAMPLES)),
    )
    pairs = [
        Pair(
            run=run,
            task="seg",
            label=run,
            phrase="entity segmentation",
            legend="",
            origin=None,
            film=film,
            scores=scores,
        )
        for run in ("one", "other")
    ]
    words = "a striped red ball rolls left, a large shiny green cube stays, the floor is sandy and the camera moves in"
    data = Samples(
        prompts=[Prompt(id=f"scene-{10_000_000 + index}", text=f"{words} {index}") for index in range(SAMPLES)],
        figures=[
            SampleFigure.of(Figure(key, key, "neither" if key == "figure_11" else "higher", 3, "")) for key in scores
        ],
        pairs=pairs,
        base=None,
        featured=None,
        films_first=SAMPLES,
        films_worst=0,
    )
    write_site(
        folder,
        [Page("samples", "Samples", data, ("film.js", "samples.js"))],
        {"config": parse(yaml.safe_load(_CONFIGURATION.read_text()))},
    )
    first = folder / "media" / film_path("one", "seg", 0)
    first.parent.mkdir(parents=True)
    frames = np.random.default_rng(1).integers(0, 255, (_FRAMES, _SIZE // 8, 3 * _SIZE // 8, 3), np.uint8)
    write_mp4(first, frames.repeat(8, axis=1).repeat(8, axis=2), 8.0)
    for run in ("one", "other"):
        for index in range(SAMPLES):
            path = folder / "media" / film_path(run, "seg", index)
            path.parent.mkdir(parents=True, exist_ok=True)
            if path != first:
                os.link(first, path)
    return folder / "samples.html"
