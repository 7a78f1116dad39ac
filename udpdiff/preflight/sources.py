"""Whether the source is there and gives enough clips of the wanted length; reads names and the head of a table."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil
from pathlib import Path

from udpdiff.clip import SPLITS
from udpdiff.config.schema import Config
from udpdiff.sources import folder_notices, panda70m_table, videos
from udpdiff.sources.enough_clips import LEAST
from udpdiff.workflow.workflow import Workflow

# Snakemake holds every job in memory: some fifteen for each shard.
MAX_SHARDS = 20_000
MAX_SCENES = 1_000_000  # of a split; further seeds would be those of the other


def count_faults(config: Config) -> Iterator[str]:
    """Yield a line for every number of clips that would fill the memory at the start."""
    clips, scenes = config.clips, config.source.kind == "scenes"
    for split in SPLITS:
        count = getattr(clips, split)
        if scenes and count > MAX_SCENES:
            yield f"clips.{split}: got {count}; at most {MAX_SCENES} scenes"
        elif config.source.kind != "videos" and ceil(count / clips.shard_clips) > MAX_SHARDS:
            least = ceil(count / MAX_SHARDS)
            yield f"clips.shard_clips: got {clips.shard_clips} for {count} clips; at most {MAX_SHARDS} shards: {least} or more"
    prompts = min(config.sampling.prompts, clips.evaluation)
    if ceil(prompts / config.sampling.shard_prompts) > MAX_SHARDS:
        yield f"sampling.shard_prompts: got {config.sampling.shard_prompts} for {prompts} prompts; at most {MAX_SHARDS} shards"


def source_faults(workflow: Workflow) -> Iterator[str]:
    """Yield a line for everything that is wrong with the folder of videos or the table that is named."""
    if workflow.config.source.kind == "panda70m":
        yield from _table_faults(workflow.config)
    else:
        yield from _folder_faults(workflow)


def _folder_faults(workflow: Workflow) -> Iterator[str]:
    config, source = workflow.config, workflow.config.source
    folder = Path(source.path)
    if not folder.is_dir():
        yield f"source.path: got {source.path!r}, and there is no such folder; name a folder of video files"
        return
    files = workflow.files
    if len(files) < 3:
        yield (
            f"source.path: {source.path!r} holds {len(files) or 'no'} video files; at least 3 are needed, one to train on "
            f"and two to evaluate; files count by their ending: {', '.join(sorted(videos.EXTENSIONS))}. "
            f"{folder_notices.ignored_notice(folder, files) or 'There is nothing else in it.'}"
        )
    if source.captions is None:
        if config.labels.captions.captioner is None:
            yield "source.captions: got null; name a csv with the columns clip,caption, or set labels.captions.captioner"
    elif not Path(source.captions).is_file():
        yield f"source.captions: got {source.captions!r}, and there is no such file; name a csv with columns clip,caption"
        return
    else:
        try:
            captioned = workflow.captioned
        except ValueError as error:
            yield f"source.captions: {error}"
            return
        if not captioned and config.labels.captions.captioner is None:
            yield f"source.captions: {source.captions!r} has no column caption; add it, or set labels.captions.captioner"
        if captioned and not workflow.table.captions:
            yield f"source.captions: {source.captions!r} gives no video of {source.path!r} a caption"
    if len(files) < 3:
        return
    try:
        workflow.shards  # noqa: B018 - read for its errors
    except ValueError as error:
        yield f"source.path: {error}"
        return
    counts = _counts(workflow)
    if not _enough(counts):
        films = len(set(workflow.grouping.source_of.values()))
        shares = [share / 20 for share in range(2, 20) if round(share / 20 * films) < films]
        fits = next((share for share in shares if _enough(_counts(_with_share(workflow, share)))), None)
        yield (
            f"clips.evaluation_share: got {config.clips.evaluation_share:g}, by which {len(files)} videos of {films} films give "
            f"{counts['train']} clips to train on and {counts['evaluation']} to evaluate; at least {LEAST['train']} and "
            f"{LEAST['evaluation']} are needed: "
            + (f"{fits:g} gives as many; or add videos" if fits else "add videos of other films")
        )
    for split in SPLITS:
        if len(workflow.shards[split]) > MAX_SHARDS:
            yield f"clips.shard_clips: got {config.clips.shard_clips} for {counts[split]} clips; at most {MAX_SHARDS} shards"


def _counts(workflow: Workflow) -> dict[str, int]:
    return {split: sum(map(len, workflow.shards[split])) for split in SPLITS}


def _enough(counts: dict[str, int]) -> bool:
    return all(counts[split] >= least for split, least in LEAST.items())


def _with_share(workflow: Workflow, share: float) -> Workflow:
    clips = workflow.config.clips.model_copy(update={"evaluation_share": share})
    return Workflow(workflow.config.model_copy(update={"clips": clips}))


def _table_faults(config: Config) -> Iterator[str]:
    if not Path(config.source.path).is_file():
        yield f"source.path: got {config.source.path!r}, and there is no such file; name a table of Panda-70M, csv or zip"
    else:
        try:
            panda70m_table.check_header(config.source.path)
        except ValueError as error:
            yield f"source.path: {error}"
    if config.panda70m.cookies and not Path(config.panda70m.cookies).is_file():
        yield f"panda70m.cookies: got {config.panda70m.cookies!r}, and there is no such file"
    needed = config.clips.num_frames / config.clips.fps
    if config.panda70m.gates.max_seconds < needed:
        yield (
            f"panda70m.gates.max_seconds: got {config.panda70m.gates.max_seconds:g}, and a clip of {config.clips.num_frames} "
            f"frames at {config.clips.fps:g} fps takes {needed:g}: all would be rejected"
        )
