"""Selects the Snakemake benchmark files of this configuration, so that its report counts no costs of earlier ones."""

from __future__ import annotations

from udpdiff.clip import SPLITS
from udpdiff.workflow.workflow import VIDEO, Workflow

_ONCE = (
    "choose_clips",
    "codec_quality",
    "compare_with_base",
    "label_quality",
    "measure_memory",
    "measure_runtime",
    "measure_throughput",
)
_OF_CLIPS = ("cut_videos", "download_clips", "render_scenes", "write_captions")
_OF_SAMPLES = ("compare_samples", "sample", "sample_video")


def benchmark_names(flow: Workflow) -> set[str]:
    """Return `RULE/JOB` of every job that may be measured, as the rules name its file under `benchmarks/`, without ending."""
    runs, labels = flow.replicated(flow.run_tasks()), flow.config.labels
    splits = [*SPLITS, *(f"samples/{run}/{task}" for run, task in runs)]
    shards = [(split, shard) for split in splits for shard in flow.shard_numbers(split)]
    data = [f"{split}-{shard}" for split, shard in shards if split in SPLITS]
    streams = [flow.run_streams(run) for run in flow.config.runs]
    latents = {VIDEO, *(name for each in streams for name in each.dense.values())}
    styles = {style for each in streams for style in each.text}
    sampled = [f"{run}-{task}-{shard}" for run, task in runs for shard in flow.shard_numbers(f"samples/{run}/{task}")]
    jobs = {
        **{rule: ["all"] for rule in _ONCE},
        **{rule: data for rule in _OF_CLIPS},
        "segment_entities": [f"{name}/{split}/{shard}" for name in labels.entities for split, shard in shards],
        "estimate_depth": [f"{name}/{split}/{shard}" for name in labels.depth for split, shard in shards],
        "mean_labels": list(labels.depth),
        "encode_latents": [f"{stream}-{each}" for stream in latents for each in data],
        "encode_text": [f"{style}-{each}" for style in styles for each in data],
        "train": flow.config.trainings(),
        **{rule: sampled for rule in _OF_SAMPLES},
        "extract_features": [f"{split}/{shard}" for split, shard in shards],
        "evaluate_samples": [f"{run}-{task}" for run, task in runs],
    }
    return {f"{rule}/{name}" for rule, names in jobs.items() for name in names}
