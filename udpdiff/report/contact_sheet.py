"""The contact sheet: one picture per clip, with its labels by every variant side by side."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from udpdiff.report import media
from udpdiff.report.gallery import LabelledClip, labelled_clips
from udpdiff.report.inputs import Inputs

FRAMES = 3  # of each clip: first, middle, last


def contact_sheet(inputs: Inputs, measured: dict[str, dict[str, str]], folder: Path) -> list[dict]:
    """Draw each clip: one column for the clip and one per variant, first, middle and last frame below each other.

    Args:
        inputs: The report's files.
        measured: Clip id -> view -> figures as text, shown beside what the labeller said.
        folder: Of the pictures.

    Returns:
        A row per clip for the page, the evaluation clips first.
    """
    rows = []
    for index, (split, clip) in enumerate(islice(_clips(inputs), inputs.job.sheet)):
        name = f"labels-{index:03d}.jpg"
        columns = [clip.video, *clip.views.values()]
        size = media.write_jpeg(folder / name, media.table([[column[i] for column in columns] for i in range(FRAMES)]))
        notes = [
            {
                "view": view,
                "refused": clip.refused.get(view),
                "text": " · ".join(filter(None, [clip.notes.get(view), measured.get(clip.clip_id, {}).get(view)])),
            }
            for view in clip.views
        ]
        row = {"picture": f"{folder.name}/{name}", "clip_id": clip.clip_id, "split": split, "notes": notes}
        rows.append(row | {"views": ["clip", *clip.views], "words": clip.words} | size)
    return rows


def _clips(inputs: Inputs) -> Iterator[tuple[str, LabelledClip]]:
    for split, number in inputs.workflow.sheet_shards():
        for clip in labelled_clips(inputs, split, number, inputs.labellers(), FRAMES):
            yield split, clip
