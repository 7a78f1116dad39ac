"""What the configured scale costs before it is run: jobs, hours, memory and disk, stage by stage.

Every figure is measured on this machine, cited with its source, counted from shapes, or said to be not known; nothing is
made up in between.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path

from udpdiff.clip import SPLITS
from udpdiff.config.schema import Config
from udpdiff.jobs import Job
from udpdiff.metrics.codec_curves import curve_round_trips
from udpdiff.planning import disk
from udpdiff.planning.caption_speed import caption_speed
from udpdiff.planning.counted_work import (
    Work,
    counted_speed,
    decoding_work,
    encoding_work,
    latent_bytes,
    prompt_bytes,
    prompt_work,
    transformer_work,
)
from udpdiff.planning.devices import Device
from udpdiff.planning.figures import Memory
from udpdiff.planning.job_memory import JobMemory, Need
from udpdiff.planning.measured_memory import MeasuredStep, matching_step, with_measured
from udpdiff.planning.network_memory import BYTES
from udpdiff.planning.speeds import Speed, labeller_speed, measured_speed
from udpdiff.planning.stages import StagePlan
from udpdiff.planning.training_memory import training_bytes
from udpdiff.replicates import run_of
from udpdiff.storage.shards import ShardReader
from udpdiff.tasks import TASKS, get_task
from udpdiff.timing import Throughput, combined, read_throughputs
from udpdiff.workflow import jobs as workflow_jobs
from udpdiff.workflow.workflow import VIDEO, Workflow

_CAPTIONS = 2  # of a clip: a brief and a detailed one
_SOURCES = {"scenes": "render_scenes", "videos": "cut_videos", "panda70m": "download_clips"}


class Plan:
    """The stages of a configured workflow.

    Args:
        workflow: What only its user can name may be missing.
        results: The results folder, where finished shards tell their size.
        benchmarks: The benchmarks folder, where finished jobs tell their speed.
        device: What hours are counted for; None for a CPU, of whose speed nothing is known before something was timed.
    """

    def __init__(self, workflow: Workflow, results: str | Path, benchmarks: str | Path, device: Device | None) -> None:
        self.workflow, self.config, self.device = workflow, workflow.config, device
        self.results = Path(results)
        self.records: list[Throughput] = read_throughputs(benchmarks, self.results / "throughput.json")
        self.memory = JobMemory(self.config)
        self.needs: dict[str, Need] = {need.stage: need for need in self.memory.needs()}
        self.labellers = workflow_jobs.measure_throughput(workflow).labellers
        self.size = self.memory.size
        for folder, job in self.labellers.items():
            found = combined(r for r in self.records if r.is_like(folder.split("/")[0], _data(job), self.size))
            if found:
                self.needs[folder] = with_measured(self.needs[folder], found)
        trained = [pair for pair in workflow.shown_pairs() if pair[0] in workflow.config.runs]
        self.runs = list(dict.fromkeys(run for run, _ in workflow.replicated(trained)))

    def stages(self) -> list[StagePlan]:
        """Return all stages, in the order in which they run."""
        clips = disk.clip_bytes(self.config, self.size)
        source = self._stage(_SOURCES[self.config.source.kind], SPLITS, bytes_per_clip=clips, on_gpu=False)
        return [
            source,
            *map(self._labeller, self.labellers),
            self._captions(),
            *self._latents(),
            *self._training(),
            *self._samples(),
            *self._measuring(),
        ]

    def disk(self, stages: Iterable[StagePlan]) -> disk.Disk:
        """Return the bytes at the peak, with what passes left out."""
        staying, training = 0.0, 0.0
        passing: dict[str, dict[str, float]] = {}
        for stage in stages:
            size = stage.disk_bytes or 0.0
            if stage.stage == "checkpoints":
                training = size
            elif stage.run:
                passing.setdefault(stage.run, {})[stage.stage] = size
            else:
                staying += size
        return disk.peak_disk(staying, passing, training, len(self.runs))

    def _labeller(self, folder: str) -> StagePlan:
        kind, name = folder.split("/")
        measured = self._measured_bytes(folder)
        return self._stage(
            folder,
            labelled_splits(self.config, kind, name),
            speed=self._labelling_speed(folder),
            bytes_per_clip=disk.label_bytes(self.config, kind, self.size) if measured is None else measured,
            bytes_measured=measured is not None,
            run=self.workflow.passing_labellers(kind).get(name),
        )

    def _labelling_speed(self, folder: str) -> Speed | None:
        kind = folder.split("/")[0]
        job = _data(self.labellers[folder])
        if self.device is None:
            return measured_speed(kind, job, self.size, self.records)
        return labeller_speed(kind, job, self.size, self.records, self.device)

    def _counted(self, works: Callable[[], list[Work | None]]) -> Speed | None:
        """Counting takes seconds, so it is done where its result is asked for."""
        return counted_speed(self.device, works()) if self.device else None

    def _captions(self) -> StagePlan:
        captions = self.config.labels.captions
        speed = caption_speed(captions, self.config.clip_size(), self.device) if self.device else None
        known = {"speed": speed, "bytes_per_clip": disk.caption_bytes(), "on_gpu": captions.captioner is not None}
        return self._stage("captions", SPLITS, **known)

    def _latents(self) -> Iterator[StagePlan]:
        config, base = self.config, self.config.model.base
        streams = [self.workflow.run_streams(run) for run in self.runs]
        passing = self.workflow.passing_streams()
        for name in sorted({VIDEO} | {name for stream in streams for name in stream.dense.values()}):
            job = workflow_jobs.encode_latents(self.workflow, name)
            measured = measured_speed(f"latents/{name}", _data(job), self.size, self.records)
            work = partial(encoding_work, base, self.size, job.encodings, config.encoding.vae_dtype)
            speed = measured or self._counted(lambda work=work: [work()])
            stored = latent_bytes(base, self.size, job.encodings)
            known = {"speed": speed, "bytes_per_clip": stored, "run": passing.get(name)}
            yield self._stage(f"latents/{name}", ["train"], need="latents", **known)
        if config.encoding.text == "live":
            return
        speed = self._counted(lambda: [prompt_work(base, _CAPTIONS, config.encoding.text_dtype)])
        prompts = {"speed": speed, "bytes_per_clip": prompt_bytes(base, _CAPTIONS)}
        for name in sorted({name for stream in streams for name in stream.text.values()}):
            yield self._stage(f"latents/{name}", ["train"], need="latents/text", **prompts)

    def _training(self) -> list[StagePlan]:
        """A clip counts each time that it is seen."""
        runs = [self.config.run_training(run) for run in self.runs]
        seen = sum(run.steps * run.batch_size for run in runs)
        speed, gpu, host = self._training_costs()
        base = StagePlan("train", len(runs), seen, speed, processes=self.config.gpus, gpu=gpu, host=host)
        cases = self._cases
        if not cases:
            return [base]
        pipeline = BYTES["float32"] * self.memory.frozen_parts if self.config.training.export == "pipeline" else 0
        kept = sum(disk.run_bytes(case, pipeline) for case in cases)
        held = max(map(disk.checkpoint_bytes, cases))
        checkpoints = StagePlan("checkpoints", 0, 0, bytes_fixed=held, on_gpu=False)
        return [replace(base, bytes_fixed=kept), checkpoints]

    @cached_property
    def _cases(self) -> list:
        if self.memory.parts is None:
            return []
        return [self.memory.training_case(run, self.config.run_training(run)) for run in self.runs]

    def _training_costs(self) -> tuple[Speed | None, Memory | None, Memory | None]:
        """Speed, and memory of one process: measured where `measure_memory` did, else counted."""
        needs = [self.needs[f"train/{run_of(run)}"] for run in self.runs]
        known = [need for need in needs if need.gpu]
        largest = max(known, key=lambda need: need.gpu.bytes) if known else None
        if measured := self._measured_step():
            text = training_bytes(self._cases[0]).text_encoder
            return measured.speed(), measured.memory(text), needs[0].host
        return self._training_speed(), largest and largest.gpu, largest and largest.host

    def _measured_step(self) -> MeasuredStep | None:
        if not self._cases:
            return None
        recipe = self.config.run_training(self.runs[0])
        return matching_step(self.results / "memory.json", self.config, recipe, self._cases[0].batch)

    def _training_speed(self) -> Speed | None:
        recipe = self.config.training
        # A backward pass is twice a forward one; gradient checkpointing goes forward once more.
        passes = 4 if recipe.gradient_checkpointing else 3
        dtype = {"no": "float32", "bf16": "bfloat16", "fp16": "float16"}[recipe.mixed_precision]
        base, what = self.config.model.base, f"{passes} forward passes' work a sample"
        live, text = self.config.encoding.text == "live", self.config.encoding.text_dtype
        return self._counted(
            lambda: [
                transformer_work(base, self.size, passes, dtype, what),
                *([prompt_work(base, 1, text)] if live else []),
            ]
        )

    def _samples(self) -> Iterator[StagePlan]:
        """Sampling, and what reads the samples: the judges' labels of them, features and comparisons."""
        pairs = self.workflow.replicated(self.workflow.shown_pairs())
        kinds = [None if task == VIDEO else get_task(task).labels for _, task in pairs]
        stored = sum(disk.sample_bytes(self.config, kind, self.size) for kind in kinds) / max(len(kinds), 1)
        streams = sum(1 if kind is None else 2 for kind in kinds) / max(len(kinds), 1)
        yield self._stage("sample", _sample_splits(pairs), speed=self._sampling_speed(streams), bytes_per_clip=stored)
        judged: dict[str, list[tuple[str, str]]] = {}
        for run, task in pairs:
            if judge := self.workflow.judge_of(run, task):
                for name in (judge, *self.workflow.comparators_of(run, task)):
                    judged.setdefault(f"{get_task(task).labels}/{name}", []).append((run, task))
        for folder, its_pairs in sorted(judged.items()):
            known = {"speed": self._labelling_speed(folder), "need": folder}
            known["bytes_per_clip"] = disk.label_bytes(self.config, folder.split("/")[0], self.size)
            yield self._stage(f"samples/{folder}", _sample_splits(its_pairs), **known)
        yield self._stage("features", ["evaluation", *_sample_splits(pairs)])
        compared = [pair for pair in pairs if self.workflow.judge_of(*pair)]
        yield self._stage("comparisons", _sample_splits(compared), on_gpu=False)
        yield StagePlan("evaluate_samples", len(pairs), 0, on_gpu=False)
        if self.workflow.pairs_against_base():
            yield StagePlan("compare_with_base", 1, 0, on_gpu=False)

    def _sampling_speed(self, streams: float) -> Speed | None:
        """Return the speed of generated videos, of which so many streams each are decoded on average."""
        sampling, base = self.config.sampling, self.config.model.base
        # Guidance asks for each step with and without the prompt.
        passes = sampling.num_inference_steps * (2 if sampling.guidance_scale > 1 else 1)
        return self._counted(
            lambda: [
                transformer_work(base, self.size, passes, sampling.dtype, f"{passes} forward passes"),
                decoding_work(base, self.size, streams, sampling.dtype),
            ]
        )

    def _measuring(self) -> Iterator[StagePlan]:
        """Round trips of labels through the codec, and table 4."""
        config, base = self.config, self.config.model.base
        clips = min(config.metrics.codec_clips, self._clips(["evaluation"]))
        tasks, dtype = self.workflow.measured_tasks(), config.encoding.vae_dtype
        curves = sum(curve_round_trips(TASKS[name], config.task_options(name), clips) for name in tasks)
        trips = len(tasks) + curves / max(clips, 1)  # a clip of labels
        works = [partial(work, base, self.size, trips, dtype) for work in (encoding_work, decoding_work)]
        codec = StagePlan("codec_quality", 1, clips, self._counted(lambda: [work() for work in works]))
        yield self._with_memory(codec, "codec_quality")
        if 4 in config.report.tables and (pairs := self.workflow.runtime_pairs()):
            calls = len(pairs) * (config.metrics.runtime_repeats + 1)
            timed = StagePlan("measure_runtime (table 4)", 1, calls, self._sampling_speed(5 / 3))
            yield self._with_memory(timed, "measure_runtime")

    def _stage(self, name: str, splits: Iterable[str], need: str | None = None, **known) -> StagePlan:
        """Return a stage of one job per shard of the splits, with the memory of the jobs called `need`."""
        splits = list(splits)
        jobs = sum(len(self.workflow.shard_numbers(split)) for split in splits)
        return self._with_memory(StagePlan(name, jobs, self._clips(splits), **known), need or name)

    def _with_memory(self, stage: StagePlan, name: str) -> StagePlan:
        need = self.needs.get(name)
        return replace(stage, gpu=need.gpu, host=need.host) if need and stage.on_gpu else stage

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


def _sample_splits(pairs: Iterable[tuple[str, str]]) -> list[str]:
    return [f"samples/{run}/{task}" for run, task in pairs]


def _data(job: Job) -> dict:
    """A job as records and shards hold it."""
    return json.loads(job.dump())
