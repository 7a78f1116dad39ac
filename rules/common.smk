# Checks the configuration before anything else and holds the functions that rules share.
import json
import os
import sys
from pathlib import Path
from types import SimpleNamespace

from snakemake.exceptions import WorkflowError
from snakemake.logging import logger
from snakemake.settings.types import DeploymentMethod

from udpdiff import preflight
from udpdiff.report.contact_sheet import sheet_clips
from udpdiff.planning.costs import Invocations
from udpdiff.tables import specs
from udpdiff.training.settings import TrainingSettings

# Jobs find `scripts` from any working directory, and run with this interpreter unless conda brings its own. The prefix
# replaces Snakemake's own, which makes a failure before `| tee` a failure. Progress bars of libraries would fill the logs.
in_conda = DeploymentMethod.CONDA in workflow.deployment_settings.deployment_method
interpreter = "" if in_conda else f"PATH={Path(sys.executable).parent}:$PATH "
shell.prefix(
    "set -euo pipefail; "
    f"export {interpreter}PYTHONPATH={workflow.basedir}:${{{{PYTHONPATH:-}}}} PYTHONUNBUFFERED=1 "
    "HF_HUB_DISABLE_PROGRESS_BARS=${{HF_HUB_DISABLE_PROGRESS_BARS:-1}}; "
)

try:
    plan = preflight.check(
        config,
        [Path(path) for path in workflow.overwrite_configfiles],
        planning="plan" in sys.argv,
    )
except preflight.ConfigError as error:
    raise WorkflowError(f"The configuration cannot be run:\n{error}") from None
settings = plan.config

# Rules with `priority: 1` are trainings and what they wait for: they go before samples and measurements, so that no long
# job is left alone at the end.

# A job that times takes all cores of a local run, so that nothing runs beside it; on a cluster it is alone anyway.
every_core = workflow.resource_settings.cores or 1


wildcard_constraints:
    split="train|evaluation",
    shard=r"\d+",
    prompting="|".join(settings.labels.entities),
    estimator="|".join(settings.labels.depth),
    run="|".join(settings.runs),
    task=r"video|seg|depth",
    number=r"\d",


def runtime_pairs():
    """The (run, task) pairs of table 4 that are configured."""
    return [pair for pair in specs.needed(4) if pair in run_tasks()]


def section(*names):
    """The named sections of the configuration as JSON: what a rule's result depends on, and nothing else."""
    everything = settings.model_dump(mode="json")
    return json.dumps({name: everything[name] for name in names}, sort_keys=True)


def shards(split):
    return range(plan.shard_count(split))


def clip_settings(wildcards):
    """Settings of the sources plus a digest of the shard's source files, so that a changed folder cuts anew."""
    chosen = json.loads(section("seed", "source", "clips", "filters"))
    return json.dumps(
        chosen | {"files": plan.files_digest(wildcards.split, int(wildcards.shard))},
        sort_keys=True,
    )


# How clips of Panda-70M are fetched does not change what they are: it is no parameter, so that cookies or a lower rate,
# given after the site asked to wait, fetch nothing again.
PANDA_HOW = {"fetch", "rate_limit", "cookies", "attempts"}
fetching = json.dumps(settings.panda70m.model_dump(mode="json", include=PANDA_HOW))


def panda_settings(*names):
    chosen = json.loads(section(*names))
    chosen["panda70m"] = settings.panda70m.model_dump(mode="json", exclude=PANDA_HOW)
    return json.dumps(chosen, sort_keys=True)


def told_labeller(own, *shared):
    """A labeller's own settings with those that it shares with others, as JSON."""
    labels = settings.labels.model_dump(mode="json")
    chosen = {key: labels[key] for key in ("device", "max_failed_share", *shared)}
    return json.dumps(chosen | own, sort_keys=True)


def entity_settings(wildcards):
    own = settings.labels.entities[wildcards.prompting].model_dump(mode="json")
    return told_labeller(own, "tracker", "cleanup")


def depth_settings(wildcards):
    own = settings.labels.depth[wildcards.estimator].model_dump(mode="json")
    return told_labeller(own)


def caption_settings():
    own = settings.labels.captions.model_dump(mode="json")
    return told_labeller(own | {"base": settings.model.base, "seed": settings.seed})


def labellers():
    """Settings of every labeller as its jobs are told them, by folder of its shards."""
    labels = settings.labels
    entities = {
        f"entities/{name}": entity_settings(SimpleNamespace(prompting=name))
        for name in labels.entities
    }
    depth = {
        f"depth/{name}": depth_settings(SimpleNamespace(estimator=name))
        for name in labels.depth
    }
    return json.dumps(
        {name: json.loads(told) for name, told in (entities | depth).items()}
    )


def latent_settings(wildcards):
    chosen = settings.encoding.model_dump(mode="json")
    return json.dumps(
        chosen
        | {
            "seed": settings.seed,
            "base": settings.model.base,
            "device": settings.labels.device,
            "max_failed_share": settings.labels.max_failed_share,
        },
        sort_keys=True,
    )


def latent_source(wildcards):
    """The shard that a stream is encoded from: clips, depth or entities."""
    kind, _, labeller = wildcards.stream.partition("-")
    folder = {"video": "clips", "depth": f"depth/{labeller}"}.get(
        kind, f"entities/{labeller}"
    )
    return f"results/{folder}/{wildcards.split}/{wildcards.shard}.h5"


def text_settings(wildcards):
    return json.dumps(
        {"base": settings.model.base, "device": settings.labels.device}, sort_keys=True
    )


def run_latents(wildcards):
    """Latents that a run trains on: the video, each task's dense stream, and its prompts."""
    streams = plan.run_streams(wildcards.run)
    names = [streams["video"], *streams["dense"].values(), *streams["text"].values()]
    return expand(
        "results/latents/{stream}/train/{shard}.h5", stream=names, shard=shards("train")
    )


def run_streams(wildcards):
    return json.dumps(plan.run_streams(wildcards.run))


def run_settings(wildcards):
    return json.dumps(TrainingSettings.from_config(settings, wildcards.run).to_dict())


def sample_settings(wildcards):
    chosen = json.loads(section("sampling", "clips", "encoding"))
    return json.dumps(
        chosen | {"base": settings.model.base, "device": settings.labels.device},
        sort_keys=True,
    )


def label_shards(kind, split):
    """All shards of one labeller, or of a list of them, on one split; kind: entities/{prompting} or depth/{estimator}."""
    return expand(
        "results/{kind}/{split}/{shard}.h5", kind=kind, split=split, shard=shards(split)
    )


def variants(kind):
    """Every labeller that the configuration names; kind: entities or depth."""
    return [f"{kind}/{name}" for name in getattr(settings.labels, kind)]


def sheet_inputs():
    """Captions and every variant's labels of the clips on the contact sheet: evaluation first, then training."""
    kinds = variants("entities") + variants("depth")
    wanted, clips, paths = sheet_clips(settings.model_dump()), 0, []
    for split in ("evaluation", "train"):
        for shard, names in enumerate(plan.shards[split]):
            if clips >= wanted:
                return paths
            clips += len(names)
            paths += [f"results/{kind}/{split}/{shard}.h5" for kind in kinds]
            paths.append(f"results/captions/{split}/{shard}.parquet")
    return paths


def truth_shards():
    """Truth of the evaluation clips, where there is any."""
    return (
        label_shards("truth", "evaluation") if settings.source.kind == "scenes" else []
    )


def evaluation_labels(wildcards):
    """Training labels that give the constant control of a dense task; none for videos alone."""
    run = settings.runs[wildcards.run]
    if wildcards.task == "depth":
        return label_shards(f"depth/{run.depth}", "train")
    return []


def evaluation_settings(wildcards):
    metrics = settings.metrics
    chosen = json.loads(section("seed", "metrics", "clips"))
    # One run joining the list measures that run alone.
    judged = chosen["metrics"].pop("judge_entities_of")
    chosen["labels"] = json.loads(section("labels"))["labels"]
    judge = {"depth": metrics.judge_depth}
    if judged is None or wildcards.run in judged:
        judge["seg"] = metrics.judge_entities
    return json.dumps(chosen | {"judge": judge.get(wildcards.task)}, sort_keys=True)


def run_tasks():
    """All (run, task) pairs that can be sampled."""
    return [
        (run, task)
        for run, spec in settings.runs.items()
        for task in (spec.tasks or ["video"])
    ]


def evaluations(pairs):
    return [f"results/metrics/{run}/{task}/quality.json" for run, task in pairs]


def runtimes():
    return [
        f"results/metrics/{run}/{task}/runtime.json" for run, task in runtime_pairs()
    ]


def table_inputs(wildcards):
    number = int(wildcards.number)
    known = set(run_tasks())
    missing = [pair for pair in specs.needed(number) if pair not in known]
    if missing:
        raise WorkflowError(
            f"results/table{number}.csv needs run {missing[0][0]!r} with task {missing[0][1]!r}, "
            f"which `runs:` in the configuration does not define; defined: {', '.join(settings.runs)}"
        )
    return runtimes() if number == 4 else evaluations(specs.needed(number))


def fillable_tables():
    """Tables of the report whose runs are all configured."""
    known, wanted = set(run_tasks()), sorted(set(settings.report.tables))
    return [number for number in wanted if set(specs.needed(number)) <= known]


def reported_tasks():
    """The (run, task) pairs of the report: those that its tables need, and those that no table knows."""
    cited = {run for number in specs.TABLES for run, _ in specs.needed(number)}
    needed = {
        run for number in settings.report.tables for run, _ in specs.needed(number)
    }
    return [pair for pair in run_tasks() if pair[0] in needed or pair[0] not in cited]


def measured_quality(wildcards):
    timed = runtimes() if 4 in settings.report.tables else []
    measured = ["results/metrics/codec.json"] + timed + evaluations(reported_tasks())
    return measured + (
        ["results/metrics/labels.json"] if settings.source.kind == "scenes" else []
    )


def all_clips():
    return [
        f"results/clips/{split}/{shard}.h5"
        for split in ("train", "evaluation")
        for shard in shards(split)
    ]


def invocation_started():
    Invocations("results").started()


def invocation_ended():
    Invocations("results").ended()


def announce_report():
    page = Path("results/report/index.html")
    if page.exists():
        logger.info(f"The report: {page.resolve()}")


if workflow.is_main_process:
    logger.info(plan.describe())
