# Loads and checks the configuration: config.yaml, a preset, the user's files, --config, each merged over the one before;
# Snakemake merges the last two over every `configfile:`. What rules ask of it stands in udpdiff/workflow/workflow.py, what jobs
# are told in udpdiff/workflow/jobs.py.
import atexit
import os
import sys
import time
from collections import Counter
from pathlib import Path

from snakemake.logging import logger
from snakemake.settings.types import DeploymentMethod
from snakemake_interface_logger_plugins.common import LogEvent

from udpdiff import content_digests, preflight
from udpdiff.config import files as config_files
from udpdiff.config import layers as config_layers
from udpdiff.workflow import data_jobs, prefetching
from udpdiff.workflow import jobs as workflow_jobs
from udpdiff.workflow import tables as workflow_tables
from udpdiff.checkpoints import places
from udpdiff.launching.commands import bash_words
from udpdiff.workflow.named_content import named_content
from udpdiff.planning import expected_time
from udpdiff.planning.costs import Invocations, read_jobs
from udpdiff.shell_prefix import keep_safe, shell_prefix
from udpdiff.tasks import TASKS


def checked(check, *arguments):
    """What a check of the configuration returns; its ConfigError ends everything with one readable message.

    Of any other exception Snakemake says below it from which line of which rule it came.
    """
    try:
        return check(*arguments)
    except preflight.ConfigError as error:
        logger.error(f"The configuration cannot be run:\n{error}")
        raise SystemExit(1) from None


default = f"{workflow.basedir}/config.yaml"
checked(config_files.read, default)


configfile: default


config_layers.nulls(config, workflow.config_settings.config)
preset = checked(config_layers.preset_file, config, Path(f"{workflow.basedir}/presets"))
if preset:
    checked(config_files.read, preset)

    configfile: preset

    config_layers.nulls(config, workflow.config_settings.config)


content_digests.remember_in(Path(".snakemake/udpdiff_contents.jsonl"))

# What cannot fit the named GPU is refused once, at the start; the plan says it in its own words. Which targets are asked
# for, Snakemake itself knows only after this.
must_fit = workflow.is_main_process and "plan" not in sys.argv[1:]
in_conda = DeploymentMethod.CONDA in workflow.deployment_settings.deployment_method
machine = preflight.Machine(workflow.resource_settings.nodes is not None, in_conda)
flow = checked(
    preflight.check,
    config,
    workflow.overwrite_configfiles,
    preset,
    must_fit,
    machine if must_fit and not workflow.output_settings.dryrun else None,
)


def training_gpus():
    """GPUs of one training as the command line and the profile leave them: none may be refused days after the start."""
    settings = workflow.resource_settings
    asked = settings.overwrite_resources.get("train", {}).get("gpu")
    most = settings.resources.get("gpu")
    counts = [flow.config.gpus if asked is None else asked.value]
    counts += [most.value] if most is not None else []
    return min(
        (count for count in counts if isinstance(count, int)),
        default=flow.config.gpus,
    )


if must_fit:
    checked(preflight.check_gpus, flow, training_gpus())

# How jobs are carried out, and where things are on this machine, comes by the environment, never in `params`: a change of it
# reruns nothing. Jobs inherit it from this process, which on a cluster is one of their own.
os.environ |= {
    "EXECUTION": workflow_jobs.execution(flow).dump(),
    places.VARIABLE: places.tell(flow.places, Path(prefetching.FOLDER).resolve()),
    "DEFAULT_CONFIG": default,
    "SOURCE_PATH": flow.config.source.path or "",
    "SOURCE_CAPTIONS": flow.config.source.captions or "",
}
# Jobs find `scripts` from any working directory, and run with this interpreter unless conda brings its own.
shell.prefix(
    checked(
        shell_prefix,
        Path(workflow.basedir),
        None if in_conda else Path(sys.executable),
        os.environ,
    )
)
environment = (
    str(Path(workflow.basedir) / "envs" / "udpdiff.yaml")
    .replace("{", "{{")
    .replace("}", "}}")
)
keep_safe(os.environ)

# Rules with `priority: 1` are trainings and what they wait for: they go before samples and measurements, so that no long
# job is left alone at the end.

# A job that times takes all cores of a local run, so that nothing runs beside it; on a cluster it is alone anyway.
every_core = workflow.resource_settings.cores or 1


wildcard_constraints:
    split=r"train|evaluation|samples/[a-z0-9_-]+/[a-z0-9_]+",
    shard=r"\d+",
    labeller=r"[a-z0-9_]+",
    run="|".join([*flow.config.trainings(), *flow.config.models]),
    task="|".join(["video", *TASKS]),
    number=r"[1-9]",


def job(build, *names):
    """What a job is told, as a function of its wildcards: Snakemake leaves braces in what a function returns alone."""

    def dump(wildcards):
        values = {name: getattr(wildcards, name) for name in names}
        return build(
            flow,
            **{
                name: int(value) if name == "shard" else value
                for name, value in values.items()
            },
        ).dump()

    return dump


def asked(answer):
    """A function for `input`, of the wildcards, that is checked."""

    def of_wildcards(wildcards):
        return checked(answer, wildcards)

    return of_wildcards


# An input of no files, of jobs that need what only the user can give.
complete = asked(lambda wildcards: flow.complete() and [])


hub_checkpoints = prefetching.named(flow.config)


def fetched(*keys):
    """An input: the records of the checkpoints that a job loads, by their keys in the configuration."""
    return lambda wildcards: prefetching.records(
        hub_checkpoints, *(key.format(**wildcards) for key in keys)
    )


def content(*keys):
    """A param that no command reads: the content behind names that do not tell it, by their keys in the configuration."""
    return lambda wildcards: named_content(
        flow.config, *(key.format(**wildcards) for key in keys)
    )


def on_cluster():
    """Whether this process sends jobs to other machines, or shows what would be sent. Known once the graph is built."""
    settings = workflow.execution_settings
    return (
        workflow.is_main_process
        and workflow.resource_settings.nodes is not None
        and settings is not None
        and settings.use_threads  # so of every executor that is not local, in a dry run too
    )


def jobs_ahead():
    """Rule -> jobs that are not finished; none on a cluster, where they wait in a queue."""
    if on_cluster() or not workflow.is_main_process:
        return Counter()
    return Counter(job.rule.name for job in workflow.dag.needrun_jobs())


begun = time.time()


def jobs_of_this_run():
    return [job for job in read_jobs("benchmarks") if job.end >= begun]


def announce_time():
    if said := left.describe():
        logger.info(said)


# What people open, by the rules that make it.
pages = {
    "render_report": ("report", "results/report/index.html"),
    "show_labels": ("labels", "results/labels/data_set.html"),
    "describe_data_set": ("data set's card", "results/panda_dense/README.md"),
}


def announce_end():
    """At the start: how to stop, and where the pages that are asked for will be."""
    ahead = {job.rule.name for job in workflow.dag.needrun_jobs()}
    coming = [
        f"the {what} will be {Path(page).resolve()}"
        for rule, (what, page) in pages.items()
        if rule in ahead
    ]
    said = ["Ctrl-C stops it, the same command goes on", *coming]
    logger.info("; ".join(said) + ".")


def announce_way_on(log):
    """After a job failed or a user stopped the run: what to do, below all that Snakemake still says."""
    atexit.register(
        print,
        "This run has stopped before its end; what is finished is kept. The same command goes on where it stopped. "
        f"If a job failed, its log in the folder logs says why; the log of this run: {log}",
        file=sys.stderr,
    )


stops_by_user = []


def is_no_failure_of_a_stop(record):
    """Whether Snakemake says it: after Ctrl-C not of every job that was stopped that it failed, with its command, twice."""
    if "on user request" in record.getMessage():
        stops_by_user.append(record)
    of_a_job = getattr(record, "event", None) == LogEvent.JOB_ERROR
    of_its_command = getattr(record, "exception", None) == "RuleException"
    return not (stops_by_user and (of_a_job or of_its_command))


def announce_pages():
    for what, name in pages.values():
        page = Path(name)
        if page.exists():
            logger.info(f"The {what}: {page.resolve()}")


# What a run says of a job as it starts: one line, where Snakemake would name each of thousands of inputs. A dry run is asked
# for all of it. The log's name holds the wildcards; the time that is left is asked for when the line is printed.
left = expected_time.TimeLeft(flow, jobs_ahead, every_core, jobs_of_this_run)
brief = None if workflow.output_settings.dryrun else "{rule} (log: {log}){left}"
# Of a rule without a command.
gathered = (
    None
    if workflow.output_settings.dryrun
    else "{rule}: everything that it asks for is there"
)


if workflow.is_main_process:
    logger.addFilter(is_no_failure_of_a_stop)
    logger.info(flow.describe())
    for notice in flow.notices():
        logger.warning(notice)
