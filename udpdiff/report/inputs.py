"""What the report reads: files that the workflow names, never what else lies in the folders.

A shard that an earlier configuration left behind is so not shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from udpdiff.clip import SPLITS
from udpdiff.config.schema import LABEL_KINDS, Config
from udpdiff.gpu_memory import KEY
from udpdiff.jobs import RenderReport, ShowLabels
from udpdiff.planning import costs
from udpdiff.report import quality
from udpdiff.storage.parquet import read_notes
from udpdiff.storage.sealed import check_folder, read_record
from udpdiff.storage.summaries import Summary, read_summary
from udpdiff.tables.verdicts import scale_words
from udpdiff.tasks import TASKS, Task
from udpdiff.training.log import read_log
from udpdiff.workflow.benchmarks import benchmark_names
from udpdiff.workflow.clips import CHOSEN
from udpdiff.workflow.tables import judge_claims
from udpdiff.workflow.workflow import VIDEO, Workflow


class Inputs:
    """The files of one report.

    Args:
        job: What is shown.
        results: The results folder.
        measured: Files of the measuring rules.
        summaries: Of the shards in `Workflow.report_summaries`.
        benchmarks: The folder of Snakemake's benchmark files; None where nobody asks what the run cost.
        default: The configuration that this one is told apart from; None where nobody asks.
        verdicts: File of the verdicts on the paper's claims; None where nothing was judged.

    Attributes:
        shown: (run, task) pairs.
        runs: The runs among them, in order; models that are only taken are none.
        examples: How many clips or prompts a gallery shows.
    """

    def __init__(
        self,
        job: RenderReport | ShowLabels,
        results: str | Path,
        measured: Sequence[Path],
        summaries: Iterable[Path],
        benchmarks: Path | None = None,
        default: Config | None = None,
        verdicts: Path | None = None,
    ) -> None:
        self.job, self.config, self.workflow = job, job.config, Workflow(job.config)
        self.results, self.measured = Path(results), [Path(path) for path in measured]
        self.benchmarks, self.default, self._verdicts = benchmarks, default, verdicts
        self.summaries: list[Summary] = [read_summary(path) for path in summaries]
        self.shown = list(job.shown)
        self.runs = list(dict.fromkeys(run for run, _ in self.shown if run in job.config.runs))
        self.examples = job.config.report.examples

    @cached_property
    def costs(self) -> list[costs.JobCost]:
        """What each finished job of this configuration cost, none of what earlier ones left behind."""
        named = benchmark_names(self.workflow)
        found = [job for job in self._finished if f"{job.rule}/{job.job}" in named]
        # A training says in its log what it took of its GPU, in all its sessions.
        return [self._with_log(job) if job.rule == "train" and job.job in self.runs else job for job in found]

    def _with_log(self, job: costs.JobCost) -> costs.JobCost:
        peaks = [entry[KEY] for entry in self.training_log(job.job) if KEY in entry]
        without = not read_record(self.run_file(job.job, "provenance.json"))["hardware"].get("gpus")
        return replace(job, gpu_told=bool(peaks) or without, peak_gpu_gb=max(peaks, default=None))

    @cached_property
    def figures(self) -> dict[str, float]:
        """The figures of quality.json, cost included."""
        options = {"bootstrap_samples": self.config.metrics.bootstrap_samples, "seed": self.config.seed}
        figures = quality.collect(self.measured, self.featured_run(), **options)
        seconds = costs.Invocations(self.results).total_seconds(self._finished)
        figures["cost.total_seconds"] = round(seconds, 1)
        figures["cost.peak_rss_gb"] = round(costs.peak_rss_gb(self.costs), 3)
        stages = costs.seconds_per_rule(self.costs)
        return figures | {f"cost.{rule}_seconds": round(row["seconds"], 1) for rule, row in stages.items()}

    @cached_property
    def _finished(self) -> list[costs.JobCost]:
        return costs.read_jobs(self.benchmarks) if self.benchmarks else []

    def path(self, name: str) -> Path:
        """Return where a file lies that the workflow names `results/...`."""
        return self.results / Path(name).relative_to("results")

    def shard(self, folder: str, split: str, number: int) -> Path:
        """Return a shard of the data set or of its labels."""
        return self.path(f"results/{folder}/{split}/{number}.h5")

    def captions(self, split: str, number: int) -> Path:
        return self.path(f"results/captions/{split}/{number}.parquet")

    def caption_tables(self, split: str) -> list[Path]:
        """Return the tables of all captions of a split."""
        return [self.path(name) for name in self.workflow.caption_tables(split)]

    def chosen_clips(self) -> tuple[list[dict[str, Any]], dict[str, int]]:
        """Return the clips of Panda-70M that were drawn, and the table's records and clips by what became of them."""
        return read_notes(self.path(CHOSEN))

    def run_file(self, run: str, name: str) -> Path:
        """Return a file of a run's exported folder, once it has been compared with its digest."""
        folder = self.path(f"results/runs/{run}")
        check_folder(folder, [name])
        return folder / name

    def training_log(self, run: str) -> list[dict[str, Any]]:
        """Return the entries of a run's log."""
        return read_log(self.run_file(run, "train.jsonl"))

    def origin(self, run: str) -> str | None:
        """Return the checkpoint of a model that is only taken; None for a run of this workflow."""
        return self.config.models[run].checkpoint if run in self.config.models else None

    def run_label(self, run: str) -> str:
        """Return a run's name, with the initialisation of its new channels where runs differ in it."""
        config = self.config
        if run in config.models:
            return run
        starts = {name: config.run_model(name) for name in self.runs if config.runs[name].tasks}
        if run not in starts or len({(each.init_in, each.init_out) for each in starts.values()}) == 1:
            return run
        return f"{run} ({starts[run].init_in} in, {starts[run].init_out} out)"

    def samples(self, run: str, task: str) -> list[tuple[Path, Path]]:
        """Return the shards of generated clips and of what was generated beside them, in the order of the prompts."""
        folder = f"samples/{run}/{task}"
        return [
            (self.path(self.workflow.clip_shard(folder, number)), self.path(f"results/{folder}/{number}.dense.h5"))
            for number in self.workflow.shard_numbers(folder)
        ]

    def score_shards(self, run: str, task: str) -> list[Path]:
        """Return the shards with figures of single samples: of the videos, and of what was generated beside them."""
        return [self.path(path) for path in self.workflow.sample_scores(run, task)]

    def label_quality(self) -> dict[str, Any] | None:
        """Return the content of labels.json; None where the clips have no truth."""
        return self._measurement("labels.json")

    def against_base(self) -> dict[str, Any] | None:
        """Return the content of against_base.json; None where there is no base to be set against."""
        return self._measurement("against_base.json")

    def verdicts(self) -> dict[str, Any] | None:
        """Return the content of verdicts.json; None where nothing was judged."""
        return read_record(self._verdicts) if self._verdicts else None

    def scale_words(self) -> str | None:
        """Return what verdicts are of, in a sentence, with the clips that were trained on; None where nothing was judged."""
        return scale_words(judge_claims(self.workflow).scale, self.clip_counts()["train"]) if self._verdicts else None

    def clip_counts(self) -> dict[str, int]:
        """Return how many clips the source and its filters left of each split."""
        own = [each for each in self.summaries if each.folder == "clips"]
        return {split: sum(len(each.clips) for each in own if each.split == split) for split in SPLITS}

    def codec_curves(self) -> dict[str, Any] | None:
        """Return `curves` of codec.json; None where none were measured."""
        return (self._measurement("codec.json") or {}).get("curves")

    def _measurement(self, name: str) -> dict[str, Any] | None:
        path = next((path for path in self.measured if path.name == name), None)
        return read_record(path) if path else None

    def judges(self) -> dict[str, list[str]]:
        """Return the judge of each kind of labels, as the one labeller of its kind."""
        return {kind: [getattr(self.config.metrics.judges, kind)] for kind in LABEL_KINDS}

    def labellers(self) -> dict[str, list[str]]:
        """Return all labellers of each kind."""
        return {kind: list(getattr(self.config.labels, kind)) for kind in LABEL_KINDS}

    def featured_run(self) -> str | None:
        """Return the run that galleries and headline figures are of: the first that is shown with several tasks."""
        runs = [run for run, _ in self.shown if run in self.config.runs]
        return next((run for run in runs if runs.count(run) > 1), None)

    def featured_pairs(self) -> list[tuple[str, str]]:
        """Return the (run, task) pairs that galleries show: the featured run's, without one the first of each task."""
        featured = self.featured_run()
        if featured:
            return [pair for pair in self.shown if pair[0] == featured]
        first: dict[str, str] = {}
        for run, task in self.shown:
            if task != VIDEO:
                first.setdefault(task, run)
        return [(run, task) for task, run in first.items()]


def labelled_task(kind: str) -> Task:
    """Return the task whose labels the labellers of a kind write as they are."""
    return next(task for task in TASKS.values() if task.labels == kind and not task.derived)
