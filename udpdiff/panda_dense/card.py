"""The card of an exported data set: counts, reasons of rejection, label quality where truth exists, licences, checksums.

Its head is what the hub reads of a data set.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from udpdiff import jobs
from udpdiff.checkpoints.licences import OWN, VIDEOS, is_reference, licence_of, with_licence
from udpdiff.metrics.registry import describe
from udpdiff.storage.files import write_text
from udpdiff.storage.sealed import read_record

_LOADER = """```python
import io, json, tarfile
import numpy as np

read = {"mp4": bytes, "json": json.loads, "npz": lambda data: next(iter(np.load(io.BytesIO(data)).values()))}
clip = {}
for entry in (tar := tarfile.open("train/0.tar")):
    _, kind, *ending = entry.name.split(".")
    clip[kind] = read[ending[0] if ending else kind](tar.extractfile(entry).read())
    if kind == "json":  # the last of a clip: clip["mp4"], clip["entities"], clip["depth"], clip["json"]["detailed"]
        clip = {}
```"""
_FRAMES = 'np.stack([frame.to_ndarray(format="rgb24") for frame in av.open(io.BytesIO(clip["mp4"])).decode(video=0)])'


def write_card(
    job: jobs.DescribeDataSet, records: Sequence[str], quality: str | None, card: str | Path, checksums: str | Path
) -> None:
    """Write README.md and SHA256SUMS, which `sha256sum --check` reads, of a whole export.

    Args:
        job: What the labels are made of.
        records: Of all archives, SPLIT/SHARD.json.
        quality: Figures of the labels against exact truth; None where there is none.
        card: To write, as is checksums.
    """
    found = {(Path(path).parent.name, Path(path).stem): read_record(path) for path in records}
    write_text(
        checksums, "".join(f"{record['sha256']}  {split}/{shard}.tar\n" for (split, shard), record in found.items())
    )
    write_text(card, "\n".join(_lines(job, found, read_record(quality)["metrics"] if quality else {})) + "\n")


def _lines(
    job: jobs.DescribeDataSet, found: Mapping[tuple[str, str], Mapping[str, Any]], figures: Mapping[str, Any]
) -> Iterator[str]:
    yield from _head(job)
    yield from (
        "# Panda-Dense, as made here",
        "",
        "Video clips with entity ids, depth and two captions, after UDPDiff (CVPR 2025),",
    )
    yield from ("section 3.1: made by the workflow `udpdiff`, not by the paper's authors.", "", "## What is in it", "")
    yield from ("| split | archives | clips | seconds | entities | size |", "|---|---|---|---|---|---|")
    for split in dict.fromkeys(split for split, _ in found):
        inside = [record for (name, _), record in found.items() if name == split]
        total = {key: sum(record[key] for record in inside) for key in ("clips", "seconds", "entities", "bytes")}
        yield (
            f"| {split} | {len(inside)} | {total['clips']:,} | {total['seconds']:,.0f} | {total['entities']:,} |"
            f" {_size(total['bytes'])} |"
        )
    yield from (
        "",
        "Per clip in `SPLIT/SHARD.tar` (WebDataset): `KEY.mp4`; `KEY.entities.npz`, uint16 (T, H, W), 0 = none;",
    )
    yield from (
        "`KEY.depth.npz`, uint16 (T, H, W), 65535 = nearest within the clip; `KEY.json` with both captions, whole.",
        "",
    )
    yield from (
        _LOADER,
        "",
        f"With PyAV, `{_FRAMES}` are the frames, uint8 (T, H, W, 3).",
        "",
        "## What was left out",
        "",
        "| stage | reason | clips |",
        "|---|---|---|",
    )
    counts: Counter[tuple[str, str]] = Counter()
    for record in found.values():
        for stage, reasons in record["rejected"].items():
            counts.update({(stage, reason): count for reason, count in reasons.items()})
    yield from (f"| {stage} | {reason} | {count:,} |" for (stage, reason), count in sorted(counts.items()))
    yield from ([] if counts else ["| | nothing | 0 |"])
    yield from ("", "A clip that a later stage refused is in no archive.", "", "## How good the labels are", "")
    yield from _quality(figures)
    yield from ("", "## Where it comes from, and licences", "", f"- Videos: {VIDEOS[job.source]}.")
    yield from (f"- {part}: {with_licence(labeller)}" for part, labeller in job.labellers.items())
    yield "- Labels carry the licences and terms of the checkpoints that made them."
    yield from ("", "## Checksums", "", "`sha256sum --check SHA256SUMS`, in this folder.")


def _head(job: jobs.DescribeDataSet) -> Iterator[str]:
    """Free where videos and all labels are this project's own; else each part has its own licence, named below."""
    licences = {licence_of(named) for named in job.labellers.values() if is_reference(named)}
    free = job.source == "scenes" and licences <= {OWN}
    known = ["license: apache-2.0"] if free else ["license: other", "license_name: that-of-each-part"]
    tasks = "task_categories: [text-to-video, image-segmentation, depth-estimation]"
    yield from ("---", *known, "pretty_name: Panda-Dense, as made by udpdiff", tasks, "---", "")


def _size(count: int) -> str:
    unit, each = next((pair for pair in (("GB", 1e9), ("MB", 1e6)) if count >= pair[1]), ("kB", 1e3))
    return f"{count / each:,.1f} {unit}"


def _quality(figures: Mapping[str, Any]) -> Iterator[str]:
    if not figures:
        yield "Not known: of these videos there is no truth. Look at them before training on them: `snakemake --cores all -- show_labels` makes a page of them."
        return
    yield from (
        "Of the evaluation scenes, against exact truth.",
        "",
        "| figure | value (95 % interval) | n |",
        "|---|---|---|",
    )
    for key, found in figures.items():
        if "." not in key:  # of the labellers of this data set; others' names stand before theirs
            figure = describe(f"labels.{key}")
            interval = (
                "" if found.get("low") is None else f" ({figure.text(found['low'])} to {figure.text(found['high'])})"
            )
            yield f"| {figure.label} | {figure.text(found['value'])}{interval} | {found.get('n', '')} |"
