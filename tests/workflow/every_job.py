"""Every job of a workflow as a value: what it is told and what it reads, by rule and wildcards."""

from __future__ import annotations

import copy
from pathlib import Path

import yaml

from udpdiff.clip import SPLITS
from udpdiff.config.parsing import parse
from udpdiff.workflow import data_jobs
from udpdiff.workflow import jobs as workflow_jobs
from udpdiff.workflow import tables as workflow_tables
from udpdiff.workflow.workflow import VIDEO, Workflow

ROOT = Path(__file__).parents[2]
DEFAULT = yaml.safe_load((ROOT / "config.yaml").read_text())


def changed(key: str, value) -> dict:
    """The default configuration with one dotted key changed."""
    raw = copy.deepcopy(DEFAULT)
    *path, last = key.split(".")
    section = raw
    for part in path:
        section = section[part]
    section[last] = value
    return raw


def workflow_of(raw: dict) -> Workflow:
    return Workflow(parse(copy.deepcopy(raw)))


def every_job(flow: Workflow) -> dict[tuple, tuple[str, tuple]]:
    """(rule, wildcards...) -> (its job as text, the paths it reads that follow from the configuration)."""
    found: dict[tuple, tuple[str, tuple]] = {}

    def add(rule, job, *wildcards, reads=()):
        found[(rule, *wildcards)] = (job.dump() if job else "", tuple(reads))

    labels = flow.config.labels
    splits = [*SPLITS, *(f"samples/{run}/{task}" for run, task in flow.replicated(flow.run_tasks()))]
    for split in SPLITS:
        for shard in flow.shard_numbers(split):
            if flow.config.source.kind == "scenes":
                add("render_scenes", data_jobs.render_scenes(flow, split, shard), split, shard)
            else:
                add("download_clips", data_jobs.download_clips(flow, split, shard), split, shard)
            add("write_captions", data_jobs.write_captions(flow), split, shard)
    if flow.config.source.kind == "panda70m":
        add("choose_clips", data_jobs.choose_clips(flow), reads=[flow.complete().config.source.path])
    for split in splits:
        for shard in flow.shard_numbers(split):
            clips = [flow.clip_shard(split, shard)]
            for name in labels.entities:
                add("segment_entities", data_jobs.segment_entities(flow, name), name, split, shard, reads=clips)
            for name in labels.depth:
                add("estimate_depth", data_jobs.estimate_depth(flow, name), name, split, shard, reads=clips)
            if split != "train":
                add("extract_features", workflow_jobs.extract_features(flow), split, shard, reads=clips)
    for name in labels.depth:
        add("mean_labels", None, name, reads=flow.label_means(name))
    streams = [flow.run_streams(run) for run in flow.config.runs]
    for stream in {VIDEO, *(name for each in streams for name in each.dense.values())}:
        for shard in flow.shard_numbers("train"):
            reads = [flow.stream_source(stream, "train", shard)]
            add("encode_latents", workflow_jobs.encode_latents(flow, stream), stream, shard, reads=reads)
    stored = {name for run in flow.config.runs for name in flow.stored_text(run)}
    for style in {style for each in streams for style, name in each.text.items() if name in stored}:
        add("encode_text", workflow_jobs.encode_text(flow, style), style)
    for run in flow.config.trainings():
        add("train", workflow_jobs.train(flow, run), run, reads=flow.run_latents(run) + flow.run_captions())
    for name in flow.config.models:
        add("take_model", workflow_jobs.take_model(flow, name), name)
    for run, task in flow.replicated(flow.run_tasks()):
        for shard in flow.shard_numbers(f"samples/{run}/{task}"):
            reads = flow.caption_tables("evaluation")
            add("sample", workflow_jobs.sample(flow, run, task, shard), run, task, shard, reads=reads)
            if flow.judge_of(run, task):
                reads = [path for paths in flow.comparison_inputs(run, task, shard).values() for path in paths]
                add("compare_samples", workflow_jobs.compare_samples(flow, run, task), run, task, shard, reads=reads)
        reads = [path for paths in flow.evaluation_inputs(run, task).values() for path in paths]
        add("evaluate_samples", workflow_jobs.evaluate_samples(flow, run, task), run, task, reads=reads)
    if flow.pairs_against_base():
        reads = [path for paths in flow.base_comparison_inputs().values() for path in paths]
        add("compare_with_base", workflow_jobs.compare_with_base(flow), reads=reads)
    if flow.config.source.kind == "scenes":
        reads = flow.variant_shards("entities", "evaluation") + flow.variant_shards("depth", "evaluation")
        reads += flow.described_captions("evaluation")
        add("label_quality", workflow_jobs.label_quality(flow), reads=reads)
    reads = flow.codec_shards("entities") + flow.codec_shards("depth")
    add("codec_quality", workflow_jobs.codec_quality(flow), reads=reads)
    add("measure_runtime", workflow_jobs.measure_runtime(flow), reads=flow.runtime_files())
    for number in flow.report_tables():
        add("fill_table", workflow_tables.fill_table(flow), number, reads=flow.table_inputs(number))
    reads = [path for paths in flow.claim_inputs().values() for path in paths]
    add("judge_claims", workflow_tables.judge_claims(flow), reads=reads)
    reads = flow.measured_files() + flow.report_clips() + flow.report_summaries()
    reads += ["results/verdicts.json", *flow.shown_samples(), *flow.shown_scores()]
    add("render_report", workflow_jobs.render_report(flow), reads=reads)
    return found
