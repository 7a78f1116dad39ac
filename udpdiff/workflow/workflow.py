"""What the rules ask for: clips, shards and streams of a configuration, paths of its files, and the settings of each job.

Pure functions of a checked configuration, but for the names of a folder of videos. Imports no model library, for the
Snakefile runs it at every parse.
"""

from __future__ import annotations

from dataclasses import dataclass

from udpdiff.clip import SPLITS
from udpdiff.config.schema import LABEL_KINDS
from udpdiff.config_values import ConfigError
from udpdiff.replicates import run_of
from udpdiff.tables import claims, specs
from udpdiff.tasks import TASKS, get_task
from udpdiff.workflow.clips import CHOSEN, VIDEO
from udpdiff.workflow.runs import PLAIN_TEXT, RunSet

__all__ = ["PLAIN_TEXT", "VIDEO", "Workflow"]


@dataclass(frozen=True)
class Workflow(RunSet):
    """A checked configuration with what follows from it."""

    # Measuring

    def judge_of(self, run: str, task: str) -> str | None:
        """The labeller that the dense predictions of a run are compared with; None where they are not."""
        if task == VIDEO:
            return None
        kind = get_task(task).labels
        judged = getattr(self.config.metrics.judged_runs, kind)
        return getattr(self.config.metrics.judges, kind) if judged is None or run_of(run) in judged else None

    def comparators_of(self, run: str, task: str) -> tuple[str, ...]:
        """Further labellers that a table of the report sets beside the predictions of a run."""
        numbers = self.report_tables()
        known = getattr(self.config.labels, get_task(task).labels) if task != VIDEO else {}
        return tuple(name for name in specs.comparators(run_of(run), task, numbers) if name in known)

    def comparison_inputs(self, run: str, task: str, shard: int | str) -> dict[str, list[str]]:
        """What a comparison reads: shards of the judge's labels and the comparators', and the training labels' mean."""
        kind, split = get_task(task).labels, f"samples/{run}/{task}"
        folders = [self.judge_of(run, task), *self.comparators_of(run, task)]
        reference, *others = [f"results/{kind}/{name}/{split}/{shard}.h5" for name in folders]
        # The constant prediction of a model that is taken is that of the judge's own labels of this data set.
        learner = self.config.metrics.judges if run in self.config.models else self.config.run(run)
        learned = f"{kind}/{getattr(learner, kind)}"
        mean = [f"results/{learned}/mean.npz"] if get_task(task).has_constant else []
        return {"reference": [reference], "comparators": others, "mean": mean}

    def evaluation_inputs(self, run: str, task: str) -> dict[str, list[str]]:
        """What the figures of one run and task are joined from."""
        numbers = self.shard_numbers(f"samples/{run}/{task}")
        compared = numbers if self.judge_of(run, task) else []
        return {
            "features": self.shard_paths("features", f"samples/{run}/{task}"),
            "reference": self.shard_paths("features", "evaluation"),
            "comparisons": [f"results/comparisons/{run}/{task}/{shard}.h5" for shard in compared],
        }

    def base_run(self) -> str | None:
        """The first run without a dense task that the report shows, which the others are set against; None without one."""
        return next((run for run, task in self.shown_pairs() if task == VIDEO), None)

    def pairs_against_base(self) -> list[tuple[str, str]]:
        """The (run, task) pairs of the report that are set against the base; none without a base."""
        shown = [pair for pair in self.shown_pairs() if pair[1] != VIDEO and pair[0] in self.config.runs]
        return shown if self.base_run() else []

    def base_comparison_inputs(self) -> dict[str, list[str]]:
        """What `compare_with_base` reads."""
        pairs = [(self.base_run(), VIDEO), *self.pairs_against_base()] if self.pairs_against_base() else []
        return {
            "measured": self.quality_files(pairs),
            "runs": list(dict.fromkeys(f"results/runs/{run}" for run, _ in pairs)),
        }

    def codec_shards(self, kind: str) -> list[str]:
        """The judge's shards that hold the clips whose labels go through the codec."""
        places = self.first_shards(self.config.metrics.codec_clips, "evaluation")
        return [f"results/{self.judge_folder(kind)}/{split}/{number}.h5" for split, number in places]

    def quality_files(self, pairs: list[tuple[str, str]]) -> list[str]:
        return [f"results/metrics/{run}/{task}/quality.json" for run, task in pairs]

    def runtime_pairs(self) -> list[tuple[str, str]]:
        """The (run, task) pairs of table 4 that are configured."""
        return [pair for pair in specs.needed(4) if pair in self.run_tasks()]

    def runtime_files(self) -> list[str]:
        return [f"results/metrics/{run}/{task}/runtime.json" for run, task in self.runtime_pairs()]

    def table_inputs(self, number: int) -> list[str]:
        """The measurements that a table is filled from, of all trainings of its runs; run times are the first ones'.

        Raises:
            ConfigError: A run that the table cites is not configured.
        """
        known = set(self.run_tasks())
        for run, task in specs.needed(number):
            if (run, task) not in known:
                raise ConfigError(
                    f"results/table{number}.csv needs run {run!r} with task {task!r}, which `runs:` in the configuration "
                    f"does not define; defined: {', '.join(self.config.runs)}"
                )
        return self.runtime_files() if number == 4 else self.quality_files(self.replicated(specs.needed(number)))

    def claim_inputs(self) -> dict[str, list[str]]:
        """What the paper's claims are judged by: comparisons of the report's tables, and runs of claims across tables."""
        shown = self.shown_pairs()
        return {
            "comparisons": [f"results/table{number}_comparisons.json" for number in self.report_tables()],
            "measured": self.quality_files(self.replicated(pair for pair in claims.needed() if pair in shown)),
        }

    def report_tables(self) -> list[int]:
        """Numbers of the report's tables, each once, in order; `preflight` refused those without their runs."""
        return sorted(set(self.config.report.tables))

    def measured_files(self) -> list[str]:
        """Every measurement that the report shows."""
        timed = self.runtime_files() if 4 in self.config.report.tables else []
        truth = ["results/metrics/labels.json"] if self.config.source.kind == "scenes" else []
        against = ["results/metrics/against_base.json"] if self.pairs_against_base() else []
        return ["results/metrics/codec.json", *timed, *self.quality_files(self.shown_pairs()), *against, *truth]

    def measured_tasks(self) -> list[str]:
        """The tasks whose labels and codec are measured: those with labels of their own, and those that runs learn."""
        learned = {task for spec in self.config.runs.values() for task in spec.tasks}
        return [name for name, task in TASKS.items() if not task.derived or name in learned]

    def task_options(self, task: str, colormap: str | None = None) -> dict:
        """The options of a task that its labels depend on, and those that a colormap of it does."""
        known = get_task(task)
        names = {*known.label_options, *known.colormap_options.get(colormap, ())}
        return self.config.task_options(task).model_dump(mode="json", include=names)

    # The report's own pictures

    @property
    def sheet_clips(self) -> int:
        """How many clips the contact sheet shows: of scenes a few examples do, for their labels are measured."""
        report = self.config.report
        return report.examples if self.config.source.kind == "scenes" else report.contact_sheet

    def sheet_shards(self) -> list[tuple[str, int]]:
        """(split, shard) of the clips on the contact sheet: evaluation first, then training."""
        return self.first_shards(self.sheet_clips, "evaluation", "train")

    def example_shards(self) -> list[tuple[str, int]]:
        """(split, shard) of the training clips that the data set's gallery shows."""
        return self.first_shards(self.config.report.examples, "train")

    def shown_runs(self) -> list[str]:
        """Folders of the runs that the report shows."""
        return list(dict.fromkeys(f"results/runs/{run}" for run, _ in self.shown_pairs()))

    def shown_samples(self) -> list[str]:
        """Shards of the samples of every pair that the report shows: any of them may be the worst by some figure."""
        return [
            f"results/samples/{run}/{task}/{shard}.{kind}.h5"
            for run, task in self.shown_pairs()
            for shard in self.shard_numbers(f"samples/{run}/{task}")
            for kind in (("clips",) if task == VIDEO else ("clips", "dense"))
        ]

    def sample_scores(self, run: str, task: str) -> list[str]:
        """Shards that hold the figures of single samples of one run and task."""
        found = self.evaluation_inputs(run, task)
        return [*found["features"], *found["comparisons"]]

    def shown_scores(self) -> list[str]:
        """Those of every pair that the report shows."""
        return [path for run, task in self.shown_pairs() for path in self.sample_scores(run, task)]

    def report_clips(self) -> list[str]:
        """Clips and labels that the report draws, the truth beside them where there is one, all captions, and what was chosen."""
        paths = []
        for split, shard in dict.fromkeys(self.sheet_shards() + self.example_shards()):
            folders = [folder for kind in LABEL_KINDS for folder in self.label_folders(kind)]
            if (split, shard) not in self.sheet_shards():
                folders = [self.judge_folder(kind) for kind in LABEL_KINDS]
            paths += [f"results/{folder}/{split}/{shard}.h5" for folder in ("clips", *folders)]
        if self.config.source.kind == "scenes":  # the worst labels, by every variant, beside the truth
            folders = ["clips", "truth", *(folder for kind in LABEL_KINDS for folder in self.label_folders(kind))]
            paths += [path for folder in folders for path in self.shard_paths(folder, "evaluation")]
        paths += [table for split in SPLITS for table in self.caption_tables(split)]
        paths += [CHOSEN] if self.config.source.kind == "panda70m" else []
        return list(dict.fromkeys(paths))

    def report_summaries(self) -> list[str]:
        """Per-shard figures: of all clips, of the judges' labels, and of every variant's on the contact sheet."""
        shards = {("clips", split, shard) for split in SPLITS for shard in self.shard_numbers(split)}
        for kind in LABEL_KINDS:
            shards |= {(self.judge_folder(kind), "train", shard) for shard in self.shard_numbers("train")}
            shards |= {(folder, *place) for folder in self.label_folders(kind) for place in self.sheet_shards()}
        return [f"results/{folder}/{split}/{shard}.json" for folder, split, shard in sorted(shards)]

    def describe(self) -> str:
        """One paragraph for people: what will be built from what."""
        config, clips = self.config, self.config.clips
        counts = {split: sum(map(len, self.shards[split])) for split in SPLITS}
        scale = f"the scale of presets/{config.preset}.yaml" if config.preset else "the mini scale"
        return (
            f"udpdiff at {scale}: {counts['train']} training and {counts['evaluation']} evaluation clips from {config.source.kind}"
            f" ({clips.num_frames} frames of {clips.height} x {clips.width} at {clips.fps:g} fps);"
            f" configured to be trained: {len(config.runs)} runs ({', '.join(config.runs)}) of {config.training.steps} steps from"
            f" {config.model.base}, {self.prompt_count} prompts each."
        )
