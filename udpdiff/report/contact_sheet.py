"""The contact sheet: one picture per clip, with its labels by every variant side by side.

Reads results folders; returns plain dicts for the page.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

FRAMES = 3  # of each clip: first, middle, last


def sheet_clips(settings: dict) -> int:
    """How many clips the sheet shows: of scenes a few examples do, for their labels are measured."""
    report = settings["report"]
    return report["examples"] if settings["source"]["kind"] == "scenes" else report["contact_sheet"]


def contact_sheet(settings: dict, results: Path, measured: dict[str, dict[str, str]], folder: Path) -> list[dict]:
    """A picture of each clip: one column for the clip and one per variant, first, middle and last frame below each other.

    measured: clip id -> view -> figures as text, shown beside what the labeller said. The evaluation clips come first.
    """
    from udpdiff.report import media

    rows = []
    for index, (split, clip) in enumerate(islice(_clips(settings, results), sheet_clips(settings))):
        name = f"labels-{index:03d}.jpg"
        columns = [clip.video, *clip.views.values()]
        media.write_jpeg(folder / name, media.table([[column[i] for column in columns] for i in range(FRAMES)]))
        notes = [
            {
                "view": view,
                "refused": clip.refused.get(view),
                "text": " · ".join(filter(None, [clip.notes.get(view), measured.get(clip.clip_id, {}).get(view)])),
            }
            for view in clip.views
        ]
        row = {"picture": f"{folder.name}/{name}", "clip_id": clip.clip_id, "split": split, "notes": notes}
        rows.append(row | {"views": ["clip", *clip.views], "words": clip.words})
    return rows


def _clips(settings, results) -> Iterator:
    """(split, clip with its labels) of all shards; a variant that did not run on a shard is not among its views."""
    from udpdiff.report import gallery
    from udpdiff.storage.captions import read_captions

    for split in ("evaluation", "train"):
        for path in gallery.in_order((results / "clips" / split).glob("*.h5")):
            shards = {
                kind: {variant: results / kind / variant / split / path.name for variant in settings["labels"][kind]}
                for kind in ("entities", "depth")
            }
            there = {
                kind: {variant: shard for variant, shard in named.items() if shard.exists()}
                for kind, named in shards.items()
            }
            captions = read_captions([results / "captions" / split / f"{path.stem}.parquet"])
            for clip in gallery.labelled_clips(path, there["entities"], there["depth"], captions, FRAMES):
                yield split, clip
