"""What the jobs of tables and claims are told, as `workflow_jobs` says of all others."""

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
