"""The answers to what a lab asks before it starts: hours, money, memory, disk, downloads, and what to change."""

from __future__ import annotations

import textwrap

from udpdiff.clip import SPLITS
from udpdiff.planning import table
from udpdiff.planning.devices import DEVICES, find_device
from udpdiff.planning.downloads import checkpoint_downloads, video_bytes
from udpdiff.planning.job_memory import unfit
from udpdiff.planning.plan import Plan
from udpdiff.workflow import Workflow

DEFAULT_DEVICE = "a100-80g"  # the paper's, where no other is named


def describe(workflow: Workflow, results: str, benchmarks: str) -> str:
    """Return the whole plan of a configuration for people; its keys gpu, gpus and gpu_price are what it is told.

    Args:
        results: The results folder, where finished shards tell their size.
        benchmarks: The benchmarks folder, where finished jobs tell their speed.

    Raises:
        ValueError: The GPU's name is not known.
    """
    config = workflow.config
    device = find_device(config.gpu or DEFAULT_DEVICE)
    plan = Plan(workflow, results, benchmarks, device)
    stages = plan.stages()
    lines = [
        *textwrap.wrap(_head(workflow, device.label), table.WIDTH),
        "",
        table.plan_table(stages, device, config.gpus, config.gpu_price),
        "",
        *table.disk_lines(plan.disk(stages)),
        *table.download_lines(list(checkpoint_downloads(config)), video_bytes(config)),
        *_advice(plan, device.usable_bytes),
    ]
    return "\n".join(lines)


def _head(workflow: Workflow, device: str) -> str:
    config = workflow.config
    clips, counts = config.clips, " and ".join(f"{sum(map(len, workflow.shards[split])):,} {split}" for split in SPLITS)
    told = "" if config.gpu else f" (no gpu is named; --config gpu=NAME: {', '.join(DEVICES)})"
    price = "" if config.gpu_price is None else f", {config.gpu_price:g} a GPU-hour"
    return (
        f"{config.preset or 'mini'}: {counts} clips of {clips.num_frames} frames, {clips.height} x {clips.width}; "
        f"{config.model.base}, {len(workflow.shown_runs())} runs; {config.gpus} x {device}{told}{price}"
    )


def _advice(plan: Plan, usable: float) -> list[str]:
    """What does not fit, each cause once, and what to change."""
    lines, seen = [], set()
    for need, advice in unfit(plan.needs.values(), usable):
        if (need.key, advice) not in seen:
            seen.add((need.key, advice))
            lines.append(f"Does not fit: {need.stage} needs {need.gpu.gb:.1f} of {usable / 1e9:.1f} GB; set {advice}.")
    return [part for line in lines for part in textwrap.wrap(line, table.WIDTH, subsequent_indent="    ")]
