"""What the configured scale costs before it is run: jobs, hours of a device and disk, stage by stage.

An hour is measured on this machine, cited with its source, counted from the model's shape, or said to be not known;
nothing is made up in between.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from udpdiff.planning.cited_speeds import cited_speed
from udpdiff.throughput import Throughput, combined

UNKNOWN = "not known"
_LABEL_BYTES = 2  # uint16 per pixel, before compression


@dataclass(frozen=True)
class Speed:
    """Clips per hour of one device, and where that is from: `origin` measured, cited or counted, `basis` in words.

    bound: the number is an upper bound.
    """

    clips_per_hour: float
    origin: str
    basis: str
    bound: bool = False


@dataclass(frozen=True)
class StagePlan:
    """One stage: how many jobs, over how many clips (all jobs together), and what is known of speed and disk.

    bytes_per_clip: on disk; measured: of shards that are there, else before compression, hence at most.
    """

    stage: str
    jobs: int
    clips: int
    speed: Speed | None = None
    bytes_per_clip: float | None = None
    bytes_measured: bool = False

    @property
    def hours(self) -> float | None:
        return self.clips / self.speed.clips_per_hour if self.speed else None

    @property
    def disk_gb(self) -> float | None:
        return self.bytes_per_clip * self.clips / 1e9 if self.bytes_per_clip is not None else None


def measured_speed(
    stage: str, settings: dict[str, Any], size: dict[str, int], records: Iterable[Throughput]
) -> Speed | None:
    """Of jobs of this stage with the same settings at the same size; None without any. size: num_frames, height, width."""
    measured = combined(record for record in records if record.is_like(stage, settings, size))
    if measured is None:
        return None
    basis = f"{measured.clips} clips on {measured.device}, {measured.model_share:.0%} of the time in the model"
    return Speed(measured.clips_per_hour, "measured", basis)


def labeller_speed(
    stage: str, settings: dict[str, Any], size: dict[str, int], records: Iterable[Throughput]
) -> Speed | None:
    """Measured where it was; else cited; else None. stage: entities or depth."""
    measured = measured_speed(stage, settings, size, records)
    cited = None if measured else cited_speed(stage, settings, size)
    if cited is None:
        return measured
    return Speed(3600 / (cited.seconds_per_frame * size["num_frames"]), "cited", cited.source, cited.bound)


def raw_label_bytes(size: dict[str, int]) -> int:
    """Bytes of one clip's labels before compression, which no shard exceeds by much."""
    return _LABEL_BYTES * size["num_frames"] * size["height"] * size["width"]


def plan_table(stages: Sequence[StagePlan]) -> str:
    """The plan for people: a table, and below it what each figure rests on."""
    notes: list[str] = []
    rows = [("stage", "jobs", "clips", "clips/hour", "hours", "disk GB", "hours are")]
    for stage in stages:
        speed = stage.speed
        note = UNKNOWN
        if speed:
            text = f"{speed.origin}: {speed.basis}"
            notes += [] if text in notes else [text]
            note = f"{speed.origin} [{notes.index(text) + 1}]"
        at_most, at_least = ("< ", "> ") if speed and speed.bound else ("", "")
        rate = f"{at_most}{_number(speed.clips_per_hour)}" if speed else "-"
        hours = f"{at_least}{_number(stage.hours)}" if speed else "-"
        disk = "-"
        if stage.disk_gb is not None:
            disk = ("" if stage.bytes_measured else "< ") + _number(stage.disk_gb)
        rows.append((stage.stage, f"{stage.jobs:,}", f"{stage.clips:,}", rate, hours, disk, note))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "  ".join(
            cell.ljust(width) if column in (0, len(row) - 1) else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:], "", *_explained(notes)])


def _explained(notes: list[str]) -> list[str]:
    return [
        "Hours of one device, loading of models not counted; jobs run side by side divide the wait, not the hours.",
        "Clips of train count each time they are seen. <, >: at most, at least. Disk without < is that of shards that are there, scaled to all clips.",
        *(f"[{number}] {note}." for number, note in enumerate(notes, 1)),
    ]


def _number(value: float) -> str:
    """Three digits that matter."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
