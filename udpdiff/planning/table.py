"""A plan as text: a row for each stage, what is fetched and paid, what does not fit, and what each figure rests on."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from udpdiff.counted import counted
from udpdiff.planning.devices import Device
from udpdiff.planning.disk import Disk
from udpdiff.planning.figures import Memory
from udpdiff.planning.stages import StagePlan

UNKNOWN = "not known"
WIDTH = 120
_HEADER = ("stage", "jobs", "clips", "GPU hours", "wall", "GPU GB", "host", "disk GB", "price", "rests on")


class Notes:
    """Numbered notes, each text once."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def number(self, text: str) -> int:
        """Return the number of a text, from 1 on."""
        if text not in self.texts:
            self.texts.append(text)
        return self.texts.index(text) + 1


def plan_table(stages: Sequence[StagePlan], device: Device, gpus: int = 1, price: float | None = None) -> str:
    """Return the stages as a table with its sum, and below it what each figure rests on.

    Args:
        device: What hours are counted for, and what memory is compared with.
        gpus: At hand together.
        price: Of a GPU-hour.
    """
    notes = Notes()
    rows = [_HEADER, *(_row(stage, notes, device, gpus, price) for stage in stages), _sum(stages, gpus, price)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADER))]
    lines = [_line(row, widths) for row in rows]
    rule = "-" * len(lines[0])
    return "\n".join([lines[0], rule, *lines[1:-1], rule, lines[-1], "", *_explained(notes)])


def cpu_table(stages: Sequence[StagePlan]) -> str:
    """Return the stages as a table with its sum, without what is of GPUs; hours are of one core."""
    rows: list[tuple[str, ...]] = [("stage", "jobs", "clips", "core hours", "disk GB", "hours rest on")]
    for stage in stages:
        jobs, clips = (f"{count:,}" if count else "-" for count in (stage.jobs, stage.clips))
        hours = number(stage.hours) if stage.hours else "-"
        disk = number(stage.disk_bytes / 1e9) if stage.disk_bytes else "-"
        basis = f"{stage.speed.origin}: {stage.speed.basis}" if stage.hours else "not known" if stage.clips else ""
        rows.append((stage.stage, jobs, clips, hours, disk, basis))
    hours, disk = (sum(values) for values in zip(*((s.hours or 0, s.disk_bytes or 0) for s in stages), strict=True))
    total = number(hours) if hours else "-"
    rows.append(("all", f"{sum(stage.jobs for stage in stages):,}", "", total, number(disk / 1e9), ""))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [_line(row, widths) for row in rows]
    rule = "-" * len(lines[0])
    return "\n".join([lines[0], rule, *lines[1:-1], rule, lines[-1]])


def _row(stage: StagePlan, notes: Notes, device: Device, gpus: int, price: float | None) -> tuple[str, ...]:
    speed, at_least = stage.speed, ">" if stage.speed and stage.speed.bound else ""
    told = [f"{speed.origin}: {speed.basis}"] if speed else []
    told += [f"GPU memory, {stage.gpu.origin}: {stage.gpu.basis}"] if stage.gpu else []
    origin = speed.origin if speed else UNKNOWN * stage.on_gpu
    places = ",".join(str(notes.number(text)) for text in told)
    disk = "-"
    if stage.disk_bytes:
        disk = number(stage.disk_bytes / 1e9) + "*" * stage.bytes_measured + "~" * (stage.run is not None)
    return (
        stage.stage,
        f"{stage.jobs:,}" if stage.jobs else "-",
        f"{stage.clips:,}" if stage.clips else "-",
        at_least + number(stage.hours) if speed else "-",
        at_least + number(stage.wall_hours(gpus)) if speed else "-",
        _gigabytes(stage.gpu, device.usable_bytes),
        _gigabytes(stage.host),
        disk,
        at_least + number(stage.hours * price) if speed and price is not None else "-",
        f"{origin} [{places}]" if places else origin,
    )


def _sum(stages: Sequence[StagePlan], gpus: int, price: float | None) -> tuple[str, ...]:
    known = [stage for stage in stages if stage.speed]
    hours, wall = sum(stage.hours for stage in known), sum(stage.wall_hours(gpus) for stage in known)
    peaks = [
        max((getattr(stage, name).bytes for stage in stages if getattr(stage, name)), default=0)
        for name in ("gpu", "host")
    ]
    disk = sum(stage.disk_bytes or 0 for stage in stages)
    missing = [stage.stage for stage in stages if stage.on_gpu and not stage.speed]
    more = ">" if missing or any(stage.speed.bound for stage in known) else ""
    return (
        "all",
        f"{sum(stage.jobs for stage in stages):,}",
        "",
        more + number(hours),
        more + number(wall),
        *(number(peak / 1e9) if peak else "-" for peak in peaks),
        number(disk / 1e9),
        more + number(hours * price) if price is not None else "-",
        f"{len(missing)} not known" if missing else "",
    )


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    left = (0, len(row) - 1)
    cells = [
        cell.ljust(width) if column in left else cell.rjust(width)
        for column, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]
    return f"{' '.join(cells[:-1])}  {cells[-1]}".rstrip()


def _gigabytes(memory: Memory | None, usable: float | None = None) -> str:
    if memory is None:
        return "-"
    return number(memory.gb) + ("!" if usable and memory.bytes > usable else "")


def _explained(notes: Notes) -> list[str]:
    general = (
        "GPU-hours without the loading of models; wall hours with all GPUs at work and nobody waiting. Clips of train count each "
        "time they are seen. GB of GPU and host are of one process at its peak; ! does not fit. > at least. * of shards that are "
        "there, scaled to all clips; other disk by count. ~ made in one run's turn and gone after its training."
    )
    texts = [general, *(f"[{place}] {text}." for place, text in enumerate(notes.texts, 1))]
    return [line for text in texts for line in textwrap.wrap(text, WIDTH, subsequent_indent="    ")]


def disk_lines(disk: Disk, written: float) -> list[str]:
    """Return what is said of the disk; written: bytes of all stages, whether they stay or pass."""
    freed = ""
    if disk.freed:
        freed = (
            f" The {number(written / 1e9)} GB of all stages are never there at once: {number(disk.freed / 1e9)} GB of them, "
            "latents and labels of one run and checkpoints, go again on the way."
        )
    another = f" Each further training at the same time adds {number(disk.another / 1e9)} GB." if disk.another else ""
    return textwrap.wrap(
        f"Disk at its peak: {number(disk.peak / 1e9)} GB.{freed}{another}", WIDTH, subsequent_indent="    "
    )


def download_lines(checkpoints: Sequence[tuple[str, float | None, str]], videos: float) -> list[str]:
    """Return what is fetched: (checkpoint, bytes, basis) and the bytes of videos."""
    known = [(name, size, basis) for name, size, basis in checkpoints if size]
    parts = [f"{name} {size / 1e9:.1f} ({basis})" for name, size, basis in known]
    unknown = [name for name, size, _ in checkpoints if not size]
    total = sum(size for _, size, _ in known)
    lines = (
        [f"Downloads: {number(total / 1e9)} GB of checkpoints: {', '.join(parts)}."]
        if parts
        else ["Downloads: no checkpoint."]
    )
    if unknown:
        lines.append(f"    Not known: {', '.join(unknown)}.")
    if videos:
        lines.append(
            f"    {number(videos / 1e9)} GB of videos, counted: 1.5 Mbit/s, 4 seconds more than a clip, a quarter more for those lost."
        )
    return [part for line in lines for part in textwrap.wrap(line, WIDTH, subsequent_indent="    ")]


def number(value: float) -> str:
    """Return three digits that matter."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def in_words(hours: float) -> str:
    """Return a time as people say it: minutes, then hours, then days."""
    if hours < 1.5:
        return counted(max(1, round(60 * hours)), "minute")
    if hours < 48:
        return f"{hours:.1f} hours"
    days = hours / 24
    return f"{days:.1f} days" if days < 100 else f"{days:,.0f} days"
