"""The answers to what a lab asks before it starts: hours, money, memory, disk, downloads, and what to change."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from udpdiff.clip import SPLITS
from udpdiff.config.schema import Config
from udpdiff.counted import counted
from udpdiff.planning import cpu_speeds, default_run, table
from udpdiff.planning.devices import DEVICES, Device, find_device
from udpdiff.planning.downloads import checkpoint_downloads, video_bytes
from udpdiff.planning.job_memory import JobMemory, unfit
from udpdiff.planning.plan import Plan
from udpdiff.planning.stages import StagePlan
from udpdiff.workflow.workflow import Workflow

DEFAULT_DEVICE = "a100-80g"  # the paper's, where no other is named


def describe(workflow: Workflow, results: str, benchmarks: str, smaller: Config | None = None) -> str:
    """Return the whole plan of a configuration for people; its keys gpu, gpus and gpu_price are what it is told.

    Args:
        results: The results folder, where finished shards tell their size.
        benchmarks: The benchmarks folder, where finished jobs tell their speed.
        smaller: A preset that is named where it fits the GPU and this configuration does not.

    Raises:
        ValueError: The GPU's name is not known.
    """
    config, on_cpu = workflow.config, cpu_will_do(workflow.config)
    device = None if on_cpu else find_device(config.gpu or DEFAULT_DEVICE)
    plan = Plan(workflow, results, benchmarks, device)
    stages = cpu_speeds.with_default_speeds(config, plan.stages()) if on_cpu else plan.stages()
    lines = [
        *textwrap.wrap(_head(workflow, device), table.WIDTH),
        "",
        table.cpu_table(stages) if on_cpu else table.plan_table(stages, device, config.gpus, config.gpu_price),
        "",
        *(_on_a_cpu(stages) if on_cpu else _in_days(stages, config.gpus)),
        *table.disk_lines(plan.disk(stages), sum(stage.disk_bytes or 0 for stage in stages)),
        *table.download_lines(list(checkpoint_downloads(config)), video_bytes(config)),
        *(() if on_cpu else _advice(plan, device.usable_bytes, smaller)),
    ]
    return "\n".join(lines)


def cpu_will_do(config: Config) -> bool:
    """Return whether no GPU is named and none is needed, since the models are the shipped mini ones."""
    return config.gpu is None and config.model.base.startswith("mini:")


def _on_a_cpu(stages: Sequence[StagePlan]) -> list[str]:
    cores = f"{default_run.CORES} cores of an {default_run.PROCESSOR}"
    took = table.in_words(default_run.cost("total_seconds") / 3600)
    hours = cpu_speeds.wall_hours(stages, default_run.CORES)
    texts = (
        f"No GPU is named, and the shipped mini models need none. The default run took {took} on {cores}, and "
        f"{default_run.cost('peak_rss_gb'):.1f} GB of memory at once."
        + (f" All this, with tables and report, takes about {table.in_words(hours)} on such cores." if hours else ""),
        "Core hours, scaled by clips and jobs: what the default run's jobs of a stage took to start and then a clip, each on one of its "
        "cores, at the mean of all its labellers or runs. Clips of train count each time they are seen.",
    )
    return [line for text in texts for line in textwrap.wrap(text, table.WIDTH)] + [""]


def _in_days(stages: Sequence[StagePlan], gpus: int) -> list[str]:
    """The wall time of the sum, in words."""
    hours = sum(stage.wall_hours(gpus) for stage in stages if stage.speed)
    least = "at least " if any(stage.on_gpu and (not stage.speed or stage.speed.bound) for stage in stages) else ""
    return [
        f"On {counted(gpus, 'GPU')}: {least}{table.in_words(hours)}, with all at work and nobody waiting.",
        "",
    ]


def _head(workflow: Workflow, device: Device | None) -> str:
    config = workflow.config
    clips, counts = config.clips, " and ".join(f"{sum(map(len, workflow.shards[split])):,} {split}" for split in SPLITS)
    told = "" if config.gpu else f" (no gpu is named; --config gpu=NAME: {', '.join(DEVICES)})"
    price = "" if config.gpu_price is None else f", {config.gpu_price:g} a GPU-hour"
    hardware = f"{config.gpus} x {device.label}{told}{price}" if device else "on a CPU"
    shown = {run for run, _ in workflow.shown_pairs()}
    runs = counted(len(shown & set(config.runs)), "run")
    runs += f" and {counted(taken, 'trained model')}" if (taken := len(shown - set(config.runs))) else ""
    return (
        f"{config.preset or 'mini'}: {counts} clips of {clips.num_frames} frames, {clips.height} x {clips.width}; "
        f"{config.model.base}, {runs}; {hardware}"
    )


def _advice(plan: Plan, usable: float, smaller: Config | None) -> list[str]:
    """What does not fit, each cause once, and what to change, or which preset to take instead."""
    lines, seen = [], set()
    for need, advice in unfit(plan.needs.values(), usable):
        if (need.key, advice) not in seen:
            seen.add((need.key, advice))
            lines.append(f"Does not fit: {need.stage} needs {need.gpu.gb:.1f} of {usable / 1e9:.1f} GB; set {advice}.")
    if lines and smaller:
        needs = list(JobMemory(smaller).needs())
        if not any(unfit(needs, usable)):
            largest = max(need.gpu.gb for need in needs if need.gpu)
            lines.append(
                f"The preset {smaller.preset} fits as it is: {smaller.model.base}, {smaller.clips.train:,} clips, at most "
                f"{largest:.1f} GB."
            )
    return [part for line in lines for part in textwrap.wrap(line, table.WIDTH, subsequent_indent="    ")]
