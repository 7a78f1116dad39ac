"""What the jobs of tables, claims and the data set's card are told, as `workflow_jobs` says of all others."""

from __future__ import annotations

from udpdiff import jobs
from udpdiff.workflow import Workflow


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
    labels, judges = workflow.config.labels, workflow.config.metrics.judges
    found = {
        "First-frame entities": getattr(labels.entities[judges.entities], "segmenter", "points, by the tracker"),
        "Entities through the clip": labels.tracker.checkpoint,
        "Depth": labels.depth[judges.depth].checkpoint,
        "Detailed captions": labels.captions.captioner or "the source's",
    }
    return jobs.DescribeDataSet(
        source=workflow.config.source.kind, labellers={part: named for part, named in found.items() if named}
    )
