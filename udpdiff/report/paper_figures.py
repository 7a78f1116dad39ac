"""Figures 3 to 5 of the paper, of our own samples: six-frame strips, the base's video above UDPDiff's and what came with it.

Which prompts: the first ones of the evaluation split, in its order, whatever they look like; all models had the same noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from udpdiff.report.media import strip, write_png
from udpdiff.storage.files import write_text
from udpdiff.storage.shards import ShardReader
from udpdiff.tasks import get_task
from udpdiff.video_io import decode_mp4

# Figure -> run, and the tasks whose samples it shows.
FIGURES: dict[int, tuple[str, tuple[str, ...]]] = {
    3: ("seg", ("seg",)),
    4: ("depth", ("depth",)),
    5: ("multi", ("seg", "depth")),
}
PROMPTS = 3
_GAP_PIXELS = 6


def draw_figure(
    base: str, clips: Sequence[str], predictions: Sequence[str], prompts: int, figure: str | Path, caption: str | Path
) -> None:
    """Write a png of strips, under one another, and a text that says what each row shows.

    Args:
        base: Shard of the base's samples.
        clips: Shards of the run's samples, of one task each.
        predictions: Shards of the dense predictions that came with them, in the same order.
        prompts: How many of the first prompts are shown.
        figure: To write, as is caption.

    Raises:
        StorageError: A shard is damaged, or a file cannot be written.
    """
    strips, lines = [], []
    with ShardReader(base) as plain:
        shown = plain.clip_ids[:prompts]
        for clip_id in shown:
            rows, names = [decode_mp4(plain.read(clip_id, "video_mp4"))], ["base"]
            for videos, dense in zip(clips, predictions, strict=True):
                with ShardReader(videos) as video, ShardReader(dense) as prediction:
                    task, run = get_task(prediction.attrs["task"]), prediction.attrs["run"]
                    rows.append(decode_mp4(video.read(clip_id, "video_mp4")))
                    rows.append(task.picture(task.from_storage(prediction.read(clip_id, "prediction"))))
                    names += [f"{run}, video", f"{run}, {task.name}"]
            strips.append(strip(rows))
            lines.append(f"{'; '.join(names)}: {plain.read(clip_id, 'detailed')}")
    gap = np.full((_GAP_PIXELS, strips[0].shape[1], 3), 255, np.uint8)
    write_png(Path(figure), np.concatenate([part for each in strips for part in (each, gap)][:-1]))
    rule = f"The first {len(shown)} prompts of the evaluation split, in its order; six frames at even distances; rows from top:"
    write_text(caption, "\n".join([rule, *lines]) + "\n")
