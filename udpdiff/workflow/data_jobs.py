"""Settings of the jobs that fetch checkpoints and make clips, labels and captions; see `workflow.jobs`."""

from __future__ import annotations

from pathlib import Path

from udpdiff import jobs
from udpdiff.checkpoints import hub
from udpdiff.config.labels import Captions
from udpdiff.content_digests import content_digests, folder_digest
from udpdiff.sources import clip_lists
from udpdiff.sources.source_names import source_of
from udpdiff.sources.videos import printable
from udpdiff.storage.digests import digest
from udpdiff.workflow import prefetching
from udpdiff.workflow.workflow import Workflow


def check_checkpoints(workflow: Workflow) -> jobs.CheckCheckpoints:
    return jobs.CheckCheckpoints(references=tuple(sorted(prefetching.wanted(prefetching.named(workflow.config)))))


def fetch_checkpoint(workflow: Workflow, checkpoint: str) -> jobs.FetchCheckpoint:
    """checkpoint: the name of its record."""
    wanted = prefetching.wanted(prefetching.named(workflow.config))
    reference = next(each for each in wanted if hub.record_name(each) == checkpoint)
    return jobs.FetchCheckpoint(reference=reference, parts=wanted[reference])


def render_scenes(workflow: Workflow, split: str, shard: int) -> jobs.RenderScenes:
    source, names = workflow.config.source, workflow.shards[split][shard]
    return jobs.RenderScenes(
        first_scene=clip_lists.scene_seed(names[0]),
        count=len(names),
        **source.model_dump(include={"min_solids", "max_solids", "solid_size"}),
        size=workflow.config.clip_size(),
        filters=workflow.config.filters,
    )


def cut_videos(workflow: Workflow, split: str, shard: int) -> jobs.CutVideos:
    names, reserve = workflow.shards[split][shard], workflow.chosen.reserves[split][shard]
    sources = {name: workflow.grouping.source_of[name] for name in (*names, *reserve)}
    found = content_digests([workflow.files[name] for name in sources])
    content = [
        [printable(name), digest_of, workflow.table.captions.get(name)]
        for name, digest_of in zip(sources, found, strict=True)
    ]
    return jobs.CutVideos(
        captioned=workflow.captioned,
        clip_ids=tuple(map(printable, names)),
        reserve=tuple(map(printable, reserve)),
        sources={printable(name): printable(source) for name, source in sources.items() if source != source_of(name)},
        content=digest(content),
        size=workflow.config.clip_size(),
        filters=workflow.config.filters,
    )


def choose_clips(workflow: Workflow) -> jobs.ChooseClips:
    config = workflow.config
    return jobs.ChooseClips(
        table=folder_digest(Path(config.source.path)),
        seed=config.seed,
        train=config.clips.train,
        evaluation=config.clips.evaluation,
        min_seconds=config.clips.num_frames / config.clips.fps,
        gates=config.panda70m.gates,
        reserve=config.panda70m.reserve,
    )


def download_clips(workflow: Workflow, split: str, shard: int) -> jobs.DownloadClips:
    config = workflow.config
    return jobs.DownloadClips(
        split=split,
        shard=shard,
        split_clips=getattr(config.clips, split),
        shard_clips=config.clips.shard_clips,
        stream_height=config.panda70m.height,
        size=config.clip_size(),
        filters=config.filters,
    )


def segment_entities(workflow: Workflow, labeller: str) -> jobs.SegmentEntities:
    labels = workflow.config.labels
    return jobs.SegmentEntities(labeller=labels.entities[labeller], tracker=labels.tracker, cleanup=labels.cleanup)


def estimate_depth(workflow: Workflow, labeller: str) -> jobs.EstimateDepth:
    config = workflow.config
    return jobs.EstimateDepth(labeller=config.labels.depth[labeller], bits=config.storage.depth_bits)


def write_captions(workflow: Workflow) -> jobs.WriteCaptions:
    config, captions = workflow.config, workflow.config.labels.captions
    if captions.captioner is None:  # nothing is asked, so nothing depends on how
        captions = Captions(
            captioner=None,
            instruction=None,
            max_new_tokens=1,
            batch_clips=1,
            dtype="float32",
            max_tokens=captions.max_tokens,
        )
    named = {task for run in config.runs.values() if run.task_condition == "text" for task in run.tasks}
    return jobs.WriteCaptions(
        captions=captions,
        base=config.model.base,
        named_tasks=tuple(sorted(named)),
        seed=config.seed if captions.captioner else 0,
    )
