"""Settings of the jobs of tables, claims and cards; `workflow.jobs` and `workflow.data_jobs` have those of all others."""

from __future__ import annotations

from typing import Any

from udpdiff import jobs
from udpdiff.config.schema import LABEL_KINDS
from udpdiff.tasks import get_task
from udpdiff.workflow.workflow import Workflow


def fill_table(workflow: Workflow) -> jobs.FillTable:
    config = workflow.config
    return jobs.FillTable(seed=config.seed, bootstrap_samples=config.metrics.bootstrap_samples)


def judge_claims(workflow: Workflow) -> jobs.JudgeClaims:
    config, size = workflow.config, workflow.config.clip_size()
    return jobs.JudgeClaims(
        seed=config.seed,
        bootstrap_samples=config.metrics.bootstrap_samples,
        scale=jobs.Scale(
            source=config.source.kind,
            base=config.model.base,
            steps=config.training.steps,
            train=config.clips.train,
            prompts=workflow.prompt_count,
            **size.model_dump(include={"num_frames", "height", "width"}),
        ),
    )


def describe_data_set(workflow: Workflow) -> jobs.DescribeDataSet:
    judges = workflow.config.metrics.judges
    return jobs.DescribeDataSet(**_origin(workflow, judges.entities, judges.depth))


def trained_on(workflow: Workflow, run: str) -> jobs.DataOrigin:
    """What a run's clips are and whose labels it learns, of its own tasks alone."""
    spec = workflow.config.run(run)
    kinds = {get_task(task).labels for task in spec.tasks}
    return jobs.DataOrigin(
        **_origin(workflow, *(getattr(spec, kind) if kind in kinds else None for kind in LABEL_KINDS))
    )


def _origin(workflow: Workflow, entities: str | None, depth: str | None) -> dict[str, Any]:
    """entities, depth: names of labellers; None where there are no labels of that kind."""
    labels = workflow.config.labels
    found = {"Detailed captions": labels.captions.captioner or "the source's"}
    if depth:
        found = {"Depth": labels.depth[depth].checkpoint} | found
    if entities:
        first = getattr(labels.entities[entities], "segmenter", "points, by the tracker")
        found = {"First-frame entities": first, "Entities through the clip": labels.tracker.checkpoint} | found
    return {"source": workflow.config.source.kind, "labellers": {part: named for part, named in found.items() if named}}
