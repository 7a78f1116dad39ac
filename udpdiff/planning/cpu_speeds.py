"""How long stages take on a CPU where nothing was timed: the default run's seconds a clip and a job, for as many as there are.

They say something of clips of its size and of the shipped models alone, so of all else nothing is said.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

from udpdiff.config import files as config_files
from udpdiff.config.layers import CHECKPOINTS, strings_at
from udpdiff.config.parsing import parse
from udpdiff.config.schema import Config
from udpdiff.planning import default_run
from udpdiff.planning.plan import Plan
from udpdiff.planning.speeds import Speed
from udpdiff.planning.stages import StagePlan
from udpdiff.workflow.workflow import Workflow
from udpdiff.workflow_place import workflow_folder

SCALED = "scaled"  # the origin of such a speed
# Of a job, before its first clip: imports and loading. In the default run `compare_samples` took 5.9 s for 24 short films and
# `encode_text` 8.8 s for 144 captions, nearly all of it this.
START_SECONDS = 6.0
# The rules of a stage that is not called as its rule is.
_RULES = {
    "entities": ("segment_entities", "segment_run_entities"),
    "depth": ("estimate_depth", "estimate_run_depth"),
    "captions": ("write_captions",),
    "text": ("encode_text",),
    "latents": ("encode_latents", "encode_run_latents"),
    "sample": ("sample", "sample_video"),
    "features": ("extract_features",),
    "comparisons": ("compare_samples",),
}
# What a clip's work in a stage depends on, beside its size and the models.
_DEPENDS: dict[tuple[str, ...], Callable[[Config], Any]] = {
    _RULES["captions"]: lambda config: config.labels.captions,
    _RULES["sample"]: lambda config: (config.sampling.num_inference_steps, config.sampling.guidance_scale),
}


def rules_of(stage: str) -> tuple[str, ...]:
    """Return the rules whose jobs a stage of a plan is."""
    first, *others = stage.removeprefix("samples/").split("/")
    kind = "text" if first == "latents" and others[0].startswith("text") else first.split(" ")[0]
    return _RULES.get(kind, (kind,))


def counted_stages(workflow: Workflow) -> list[StagePlan]:
    """Return the stages without a speed, of which no file was asked: one that is damaged stops nothing."""
    return Plan(workflow, os.devnull, os.devnull, None).stages()


def with_default_speeds(config: Config, stages: Iterable[StagePlan]) -> list[StagePlan]:
    """Return the stages, those without a speed with the default run's, where it says something of them."""
    default, _ = _default()
    if not _alike(config, default):
        return list(stages)
    return [stage if stage.speed else _with_speed(stage, config, default) for stage in stages]


def wall_hours(stages: Sequence[StagePlan], cores: int) -> float:
    """Return the hours of stages on so many cores, with what no stage holds in the share that it had of the default run.

    Of one job of each stage, one after the other, is the least that any number of cores takes.
    """
    known = [stage for stage in stages if stage.hours]
    longest: dict[tuple[str, ...], float] = {}
    for stage in known:
        rules = rules_of(stage.stage)
        longest[rules] = max(longest.get(rules, 0.0), stage.hours / max(stage.jobs, 1))
    return _rest() * max(sum(stage.hours for stage in known) / cores, sum(longest.values()))


def of_jobs(stages: Iterable[StagePlan], needed: Mapping[str, int]) -> list[StagePlan]:
    """Return the stages with the jobs that still run: of a rule's stages all the same share.

    Args:
        needed: Rule -> how many of its jobs.
    """
    stages, found = list(stages), []
    for stage in stages:
        rules = rules_of(stage.stage)
        of_all = sum(other.jobs for other in stages if rules_of(other.stage) == rules)
        share = min(1.0, sum(needed.get(rule, 0) for rule in rules) / of_all) if of_all else 0.0
        found.append(replace(stage, jobs=round(share * stage.jobs), clips=round(share * stage.clips)))
    return found


@cache
def _default() -> tuple[Config, dict[tuple[str, ...], tuple[int, int]]]:
    """The default configuration, and the jobs and clips of all stages of the same rules."""
    config = parse(config_files.read(workflow_folder() / "config.yaml"))
    counts: dict[tuple[str, ...], tuple[int, int]] = {}
    for stage in counted_stages(Workflow(config)):
        jobs, clips = counts.get(rules_of(stage.stage), (0, 0))
        counts[rules_of(stage.stage)] = jobs + stage.jobs, clips + stage.clips
    return config, counts


def _rest() -> float:
    """The wall time of the default run over what its stages took on all cores: tables, the report, the last job alone."""
    stages = sum(default_run.job_seconds(rules) for rules, (_, clips) in _default()[1].items() if clips)
    return default_run.cost("total_seconds") * default_run.CORES / stages


def _alike(config: Config, default: Config) -> bool:
    sections = config.model_dump()
    names = {name for key in CHECKPOINTS for _, _, name, _ in strings_at(sections, sections, key)}
    return config.clip_size() == default.clip_size() and all(name.startswith("mini:") for name in names)


def _with_speed(stage: StagePlan, config: Config, default: Config) -> StagePlan:
    """Return the stage with the seconds of the default run, shared between its jobs' starts and its clips."""
    rules = rules_of(stage.stage)
    seconds, (jobs, clips) = default_run.job_seconds(rules), _default()[1].get(rules, (0, 0))
    depends = _DEPENDS.get(rules)
    if not seconds or not clips or (depends and depends(config) != depends(default)):
        return stage
    start = min(START_SECONDS, 0.9 * seconds / jobs)  # clips always take some of it
    basis = f"{seconds:,.1f} s for {clips:,} clips in {jobs:,} jobs of the default run, {start:.1f} s of a job to start"
    return replace(stage, start_seconds=start, speed=Speed(3600 * clips / (seconds - jobs * start), SCALED, basis))
