"""Which runs there are, the streams that they train on, and which of these are deleted after training.

Pure functions of a checked configuration.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from udpdiff import jobs
from udpdiff.config.schema import LABEL_KINDS
from udpdiff.config_values import SEED_LIMIT
from udpdiff.replicates import number_of, replicate_names
from udpdiff.tables import specs
from udpdiff.tasks import get_task
from udpdiff.workflow.clips import VIDEO, ClipSet

PLAIN_TEXT = "plain"
_SEED_STEP = 1_000_003  # apart, whatever else is counted up from a seed


@dataclass(frozen=True)
class RunSet(ClipSet):
    """The clips of a checked configuration with its runs."""

    def run_streams(self, run: str) -> jobs.Streams:
        """The latent streams that a run trains on."""
        spec = self.config.run(run)
        styles = spec.tasks if spec.task_condition == "text" else [PLAIN_TEXT]
        return jobs.Streams(
            video=VIDEO,
            dense={task: f"{task}-{spec.colormap(task)}-{getattr(spec, get_task(task).labels)}" for task in spec.tasks},
            text={style: f"text-{style}" for style in styles},
        )

    def run_latents(self, run: str) -> list[str]:
        """All shards that a run trains on."""
        streams = self.run_streams(run)
        names = [streams.video, *streams.dense.values(), *self.stored_text(run)]
        return [path for name in names for path in self.shard_paths(f"latents/{name}", "train")]

    def stored_text(self, run: str) -> list[str]:
        """The streams of prompt embeddings that a run reads; none where they are made beside the trainer."""
        return list(self.run_streams(run).text.values()) if self.config.encoding.text == "stored" else []

    def described_captions(self, split: str) -> list[str]:
        """Caption tables that a captioner writes; none where the captions are the source's."""
        return self.caption_tables(split) if self.config.labels.captions.captioner else []

    def run_captions(self) -> list[str]:
        """Caption tables that a trainer embeds itself."""
        return self.caption_tables("train") if self.config.encoding.text == "live" else []

    def passing_streams(self) -> dict[str, str]:
        """Stream of latents -> the run that alone trains on it, where such streams do not stay; in the order of runs.

        A stream of several runs stays: made again for one of them, it would be newer than the others' models.
        """
        return self._passing["latents"]

    def passing_labellers(self, kind: str) -> dict[str, str]:
        """Labeller -> the run that alone trains on its labels, likewise; none that the report shows training labels of."""
        return self._passing[kind]

    @cached_property
    def _passing(self) -> dict[str, dict[str, str]]:
        """Kind of files -> those that one run alone trains on, where they do not stay -> the run."""
        users: dict[str, list[tuple[str, str]]] = {kind: [] for kind in ("latents", *LABEL_KINDS)}
        for run in self.config.trainings() if self.config.storage.keep == "needed" else ():
            spec = self.config.run(run)
            streams = self.run_streams(run)
            users["latents"] += [(name, run) for name in (streams.video, *streams.dense.values())]
            for kind in dict.fromkeys(get_task(task).labels for task in spec.tasks):
                users[kind].append((getattr(spec, kind), run))
        shown = {self.judge_folder(kind).split("/")[1] for kind in LABEL_KINDS}
        if "train" in {split for split, _ in self.sheet_shards()}:
            shown |= {name for kind in LABEL_KINDS for name in getattr(self.config.labels, kind)}
        counts = {kind: Counter(name for name, _ in pairs) for kind, pairs in users.items()}
        return {
            kind: {name: run for name, run in pairs if counts[kind][name] == 1 and name not in shown}
            for kind, pairs in users.items()
        }

    def runs_before(self, split: str, kind: str, name: str) -> list[str]:
        """The run that files of one run alone wait for, so that only one run's files are on disk at once.

        Args:
            split: Of the data set; only training files wait.
            kind: latents, entities or depth.
            name: Of the stream or labeller.
        """
        run, turns = self._passing[kind].get(name), self._turns
        turn = turns.index(run) if run in turns and split == "train" else 0
        return [f"results/runs/{before}" for before in turns[:turn][-1:]]

    @cached_property
    def _turns(self) -> list[str]:
        """Runs of the report with streams of their own, in the order in which these come; cached, for every job asks."""
        wanted = {run for run, _ in self.shown_pairs()}
        return [run for run in dict.fromkeys(self.passing_streams().values()) if run in wanted]

    def label_means(self, labeller: str) -> list[str]:
        """The means of a depth labeller's training shards."""
        return [f"results/depth/{labeller}/train/{shard}.mean.npz" for shard in self.shard_numbers("train")]

    def run_tasks(self) -> list[tuple[str, str]]:
        """All (run, task) pairs that can be sampled: of each run's first training, then of the models that are taken."""
        trained = [(run, task) for run, spec in self.config.runs.items() for task in (spec.tasks or [VIDEO])]
        return trained + [(name, task) for name, model in self.config.models.items() for task in model.tasks]

    def replicated(self, pairs: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
        """(run, task) pairs with those of the runs' further trainings."""
        counts = {run: spec.replicates for run, spec in self.config.runs.items()}  # a model that is taken has one
        return [(name, task) for run, task in pairs for name in replicate_names(run, counts.get(run, 1))]

    def training_seed(self, run: str) -> int:
        """The seed of a training: of the first of a run the configuration's."""
        return (self.config.seed + number_of(run) * _SEED_STEP) % SEED_LIMIT

    def shown_pairs(self) -> list[tuple[str, str]]:
        """The (run, task) pairs of the report: those that its tables need, and those of runs that no table knows."""
        cited = {run for number in specs.TABLES for run, _ in specs.needed(number)}
        needed = {pair for number in self.config.report.tables for pair in specs.needed(number)}
        return [pair for pair in self.run_tasks() if pair in needed or pair[0] not in cited]
