"""What the configured scale costs before it is run: jobs, hours of a device and disk, stage by stage.

An hour is measured on this machine, cited with its source, counted from the model's shape, or said to be not known;
nothing is made up in between.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from udpdiff import workflow_jobs
from udpdiff.clip import SPLITS
from udpdiff.config import Config
from udpdiff.jobs import Job
from udpdiff.planning.counted_work import encoding_speed, latent_bytes, prompt_bytes, prompt_speed, transformer_speed
from udpdiff.planning.speeds import Speed, labeller_speed, measured_speed
from udpdiff.storage.shards import ShardReader
from udpdiff.tasks import get_task
from udpdiff.timing import Throughput, read_throughputs
from udpdiff.workflow import VIDEO, Workflow

UNKNOWN = "not known"
_LABEL_BYTES = 2  # uint16 per pixel, before compression
_CAPTIONS = 2  # of a clip: a brief and a detailed one
_SOURCES = {"scenes": "render_scenes", "videos": "cut_videos", "panda70m": "download_clips"}


@dataclass(frozen=True)
class StagePlan:
    """One stage: how many jobs, over how many clips (all jobs together), and what is known of speed and disk.

    Attributes:
        bytes_per_clip: On disk, or before compression, hence at most.
        bytes_measured: Whether they are those of shards that are there.
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


class Plan:
    """The stages of a configured workflow.

    Args:
        workflow: Its source need not be named yet.
        results: The results folder, where finished shards tell their size.
        benchmarks: The benchmarks folder, where finished jobs tell their speed.
    """

    def __init__(self, workflow: Workflow, results: str | Path, benchmarks: str | Path) -> None:
        self.workflow, self.config = workflow, workflow.config
        self.results = Path(results)
        self.records: list[Throughput] = read_throughputs(benchmarks, self.results / "throughput.json")
        clips = self.config.clips
        self.labellers = workflow_jobs.measure_throughput(workflow).labellers
        self.size = {"num_frames": clips.num_frames, "height": clips.height, "width": clips.width}

    def describe(self) -> str:
        """Return the whole plan for people."""
        counts = " and ".join(f"{self._clips([split]):,} {split}" for split in SPLITS)
        clips = self.config.clips
        head = f"{counts} clips of {clips.num_frames} frames, {clips.height} x {clips.width}"
        return f"{head}\n\n{plan_table(self.stages())}"

    def stages(self) -> list[StagePlan]:
        """Return all stages, in the order in which they run."""
        return [
            self._stage(_SOURCES[self.config.source.kind], SPLITS),
            *map(self._labeller, self.labellers),
            self._stage("captions", SPLITS),
            *self._latents(),
            self._training(),
            *self._samples(),
        ]

    def _labeller(self, folder: str) -> StagePlan:
        measured = self._measured_bytes(folder)
        return self._stage(
            folder,
            labelled_splits(self.config, *folder.split("/")),
            speed=self._labelling_speed(folder),
            bytes_per_clip=raw_label_bytes(self.size) if measured is None else measured,
            bytes_measured=measured is not None,
        )

    def _labelling_speed(self, folder: str) -> Speed | None:
        return labeller_speed(folder.split("/")[0], _data(self.labellers[folder]), self.size, self.records)

    def _latents(self) -> list[StagePlan]:
        base = self.config.model.base
        streams = [self.workflow.run_streams(run) for run in self.config.runs]
        texts = sorted({name for run in self.config.runs for name in self.workflow.stored_text(run)})
        prompts = {"speed": prompt_speed(base, _CAPTIONS), "bytes_per_clip": prompt_bytes(base, _CAPTIONS)}
        stages = []
        for name in sorted({VIDEO} | {name for stream in streams for name in stream.dense.values()}):
            job = workflow_jobs.encode_latents(self.workflow, name)
            measured = measured_speed(f"latents/{name}", _data(job), self.size, self.records)
            speed = measured or encoding_speed(base, self.size, job.encodings)
            stored = latent_bytes(base, self.size, job.encodings)
            stages.append(self._stage(f"latents/{name}", ["train"], speed=speed, bytes_per_clip=stored))
        return stages + [self._stage(f"latents/{name}", ["train"], **prompts) for name in texts]

    def _training(self) -> StagePlan:
        """A clip counts each time that it is seen."""
        runs = [self.config.run_training(run) for run in self.config.runs]
        # A backward pass is twice a forward one; gradient checkpointing goes forward once more.
        passes = 4 if self.config.training.gradient_checkpointing else 3
        speed = transformer_speed(
            self.config.model.base, self.size, passes, f"{passes} forward passes' work a step and clip"
        )
        return StagePlan("train", len(runs), sum(run.steps * run.batch_size for run in runs), speed)

    def _samples(self) -> list[StagePlan]:
        """Sampling, and what reads the samples: the judges' labels of them, features and comparisons."""
        sampling, pairs = self.config.sampling, self.workflow.shown_pairs()
        # Guidance asks for each step with and without the prompt.
        passes = sampling.num_inference_steps * (2 if sampling.guidance_scale > 1 else 1)
        speed = transformer_speed(self.config.model.base, self.size, passes, f"{passes} forward passes a clip")
        stages = [self._stage("sample", _sample_splits(pairs), speed=speed)]
        judged: dict[str, list[tuple[str, str]]] = {}
        for run, task in pairs:
            if judge := self.workflow.judge_of(run, task):
                for name in (judge, *self.workflow.comparators_of(run, task)):
                    judged.setdefault(f"{get_task(task).labels}/{name}", []).append((run, task))
        for folder, its_pairs in sorted(judged.items()):
            known = {"speed": self._labelling_speed(folder), "bytes_per_clip": raw_label_bytes(self.size)}
            stages.append(self._stage(f"samples/{folder}", _sample_splits(its_pairs), **known))
        compared = [pair for pair in pairs if self.workflow.judge_of(*pair)]
        return [
            *stages,
            self._stage("features", ["evaluation", *_sample_splits(pairs)]),
            self._stage("comparisons", _sample_splits(compared)),
        ]

    def _stage(self, name: str, splits: Iterable[str], **known) -> StagePlan:
        """A stage of one job per shard of the splits."""
        splits = list(splits)
        jobs = sum(len(self.workflow.shard_numbers(split)) for split in splits)
        return StagePlan(name, jobs, self._clips(splits), **known)

    def _clips(self, splits: Iterable[str]) -> int:
        shards, prompts = self.workflow.shards, self.workflow.prompt_count
        return sum(sum(map(len, shards[split])) if split in SPLITS else prompts for split in splits)

    def _measured_bytes(self, folder: str) -> float | None:
        """Bytes on disk per clip of a labeller's shards that were made as it is configured now; None without any."""
        clips = size = 0
        for path in (path for split in SPLITS for path in self.workflow.shard_paths(folder, split)):
            path = self.results / Path(path).relative_to("results")
            if not path.exists():
                continue
            with ShardReader(path) as shard:
                if shard.attrs["job"] == _data(self.labellers[folder]):
                    clips, size = clips + len(shard) + len(shard.rejected), size + path.stat().st_size
        return size / clips if clips else None


def labelled_splits(config: Config, kind: str, name: str) -> list[str]:
    """Return the splits of the data set that want a labeller's labels.

    train for one whose labels a run trains on; evaluation for a judge of the metrics and for one that is only looked
    at. With exact truth all are measured, on the evaluation split.
    """
    runs = [run for run in config.runs.values() if any(get_task(task).labels == kind for task in run.tasks)]
    trained = any(getattr(run, kind) == name for run in runs)
    is_judge = getattr(config.metrics.judges, kind) == name
    measured = is_judge or not trained or config.source.kind == "scenes"
    return ["train"] * trained + ["evaluation"] * measured


def raw_label_bytes(size: dict[str, int]) -> int:
    """Return the bytes of one clip's labels before compression, which no shard exceeds by much."""
    return _LABEL_BYTES * size["num_frames"] * size["height"] * size["width"]


def _sample_splits(pairs: Iterable[tuple[str, str]]) -> list[str]:
    return [f"samples/{run}/{task}" for run, task in pairs]


def _data(job: Job) -> dict:
    """A job as records and shards hold it."""
    return json.loads(job.dump())


def plan_table(stages: Sequence[StagePlan]) -> str:
    """Return the stages as a table, and below it what each figure rests on."""
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
