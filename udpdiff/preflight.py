"""Everything that can be refused before a job starts, and the plan that follows from a good configuration.

Reads configuration, file names and small json files; imports no model library, for the Snakefile runs it at every parse.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from math import ceil
from pathlib import Path

import yaml

from udpdiff import checkpoints
from udpdiff.clip import SPLITS
from udpdiff.config import Clips, Config, ConfigError, parse
from udpdiff.sources import captions_csv, fetching, panda70m_table, splits, videos
from udpdiff.sources.videos import printable
from udpdiff.storage.digests import digest

__all__ = ["ConfigError", "Plan", "check"]

# Scenes of the training and the evaluation split come from disjoint ranges of seeds; the mini checkpoints were trained
# on seeds below the first.
FIRST_TRAIN_SEED = 5_000_000
FIRST_EVALUATION_SEED = 10_000_000
_SEED_STRIDE = 7_919


@dataclass(frozen=True)
class Plan:
    """A checked configuration with what follows from it: which clips there are and which streams a run needs."""

    config: Config

    @cached_property
    def shards(self) -> dict[str, list[list[str]]]:
        """split -> shards -> clip names: file names of a folder of videos, `scene-SEED` for scenes.

        Panda-70M's clips are chosen by a job; here they are numbers.
        """
        config = self.config
        if config.source.kind == "panda70m":
            counted = {split: range(getattr(config.clips, split)) for split in SPLITS}
            return {split: splits.assign_shards(counted[split], config.clips.shard_clips) for split in SPLITS}
        if config.source.kind == "videos":
            return video_names(self.files, config.seed, config.clips)
        return {split: scene_names(split, config.seed, config.clips) for split in SPLITS}

    @cached_property
    def files(self) -> dict[str, Path]:
        """File name -> video file, for a folder of videos."""
        return {path.name: path for path in videos.list_videos(self.config.source.path)}

    def shard_count(self, split: str) -> int:
        if self.config.source.kind != "videos":
            return ceil(getattr(self.config.clips, split) / self.config.clips.shard_clips)
        return len(self.shards[split])

    def files_digest(self, split: str, shard: int) -> str:
        """Changes when a source file of the shard is replaced; empty where the clips do not come from a folder."""
        if self.config.source.kind != "videos":
            return ""
        return digest([[printable(name), self.files[name].stat().st_size] for name in self.shards[split][shard]])

    def run_streams(self, run: str) -> dict[str, dict[str, str]]:
        """The latent streams that a run trains on, by what they are to it: {"video": NAME, "dense": {task: NAME}, ...}."""
        spec = self.config.runs[run]
        dense = {"seg": f"{spec.colormap}-{spec.entities}", "depth": f"depth-{spec.depth}"}
        styles = spec.tasks if spec.task_condition == "text" else ["plain"]
        return {
            "video": "video",
            "dense": {task: dense[task] for task in spec.tasks},
            "text": {style: f"text-{style}" for style in styles},
        }

    def describe(self) -> str:
        """One paragraph for people: what will be built from what."""
        config, clips = self.config, self.config.clips
        counts = {split: sum(map(len, self.shards[split])) for split in SPLITS}
        return (
            f"udpdiff: {counts['train']} training and {counts['evaluation']} evaluation clips from {config.source.kind}"
            f" ({clips.num_frames} frames of {clips.height} x {clips.width} at {clips.fps:g} fps);"
            f" {len(config.runs)} runs ({', '.join(config.runs)}) of {config.training.steps} steps from"
            f" {config.model.base}; {config.sampling.prompts} prompts each."
        )


def scene_names(split: str, seed: int, clips: Clips) -> list[list[str]]:
    """Clip ids `scene-SEED` of one split, by shard; the splits never share a scene."""
    first = {"train": FIRST_TRAIN_SEED, "evaluation": FIRST_EVALUATION_SEED}[split] + seed * _SEED_STRIDE
    names = [f"scene-{first + index}" for index in range(getattr(clips, split))]
    return splits.assign_shards(names, clips.shard_clips)


def video_names(files: Iterable[str], seed: int, clips: Clips) -> dict[str, list[list[str]]]:
    """File names by split and shard; the splits never share a source video."""
    source_of = {name: splits.source_of(name) for name in files}
    wanted = min(clips.evaluation, max(1, round(clips.evaluation_share * len(set(source_of.values())))))
    split_of = splits.split_sources(list(source_of.values()), wanted, seed)
    chosen = {split: [name for name, source in source_of.items() if split_of[source] == split] for split in SPLITS}
    return {split: splits.assign_shards(chosen[split][: getattr(clips, split)], clips.shard_clips) for split in SPLITS}


def check(raw: dict, config_files: list[Path] = (), planning: bool = False) -> Plan:
    """The plan of a configuration that can be run.

    `raw` is the merged configuration; `config_files` are the files that were merged over the default, in order: a
    relative path in one of them is relative to that file. `planning`: nothing will be read, so that a source whose path
    is not named yet counts as Panda-70M, of which numbers of clips are all that is known before a job chooses them.

    Raises: ConfigError with one line per fault: the key, what was got, what is allowed.
    """
    _anchor_paths(raw, config_files)
    unnamed = planning and _source_is_unnamed(raw)
    if unnamed:
        raw = raw | {"source": raw["source"] | {"kind": "panda70m", "path": "not named yet"}}
    plan = Plan(parse(raw))
    faults = [*_checkpoint_faults(plan.config), *_size_faults(plan.config)]
    faults += [] if unnamed else _source_faults(plan)
    if faults:
        raise ConfigError("\n".join(faults))
    return plan


def _source_is_unnamed(raw):
    source = raw.get("source")
    return isinstance(source, dict) and source.get("kind") in ("videos", "panda70m") and not source.get("path")


_PATHS = ("source.path", "source.captions", "panda70m.cookies")
_CHECKPOINTS = (
    "model.base",
    "labels.entities.*.segmenter",
    "labels.tracker.checkpoint",
    "labels.depth.*.checkpoint",
    "labels.depth.*.base",
    "labels.captions.captioner",
    "metrics.subject_encoder",
    "metrics.image_encoder",
    "metrics.video_encoder",
)


def _anchor_paths(raw, config_files):
    """Make paths of further configuration files absolute; a checkpoint is a path where such a folder is there."""
    for file in config_files:
        told, folder = yaml.safe_load(Path(file).read_text()) or {}, Path(file).parent
        for key in (*_PATHS, *_CHECKPOINTS):
            for section, name, value, _ in _strings_at(told, raw, key):
                scheme, place, mark = _split_reference(value)
                path = folder / Path(place).expanduser()
                if key in _PATHS or scheme or path.is_dir():
                    section[name] = f"{scheme}{path.resolve()}{mark}"


def _split_reference(value):
    """`i3d:FILE#SHA256` as ("i3d:", FILE, "#SHA256"); any other as ("", value, "")."""
    if not value.startswith("i3d:"):
        return "", value, ""
    place, mark, checksum = value.removeprefix("i3d:").partition("#")
    return "i3d:", place, mark + checksum


def _strings_at(told, raw, key, above=""):
    """(section of raw, last part of the key, value, whole key) of the strings at a dotted key that `told` gave to `raw`."""
    first, _, rest = key.partition(".")
    if not isinstance(told, dict) or not isinstance(raw, dict):
        return
    for name in list(told) if first == "*" else [first]:
        own, merged = told.get(name), raw.get(name)
        if rest:
            yield from _strings_at(own, merged, rest, f"{above}{name}.")
        elif isinstance(own, str) and own == merged:
            yield raw, name, own, f"{above}{name}"


def _checkpoint_references(config: Config):
    told = config.model_dump()
    for pattern in _CHECKPOINTS:
        for _, _, reference, key in _strings_at(told, told, pattern):
            yield key, reference


def _checkpoint_faults(config):
    for key, reference in _checkpoint_references(config):
        if re.fullmatch(r"[\w.-]+/[\w.-]+", reference) and not reference.startswith("."):
            continue  # a hub id, which only the hub can judge
        _, reference, _ = _split_reference(reference)
        try:
            folder = Path(checkpoints.resolve(reference))
        except (ValueError, FileNotFoundError) as error:
            yield f"{key}: {error}"
            continue
        if not folder.exists():
            yield (
                f"{key}: got {reference!r}, and there is no such folder; "
                "allowed: mini:NAME, an existing folder, or a hub id such as THUDM/CogVideoX-5b"
            )


def _size_faults(config):
    """Sizes against the base checkpoint's own numbers, when its json files are at hand."""
    vae, transformer = checkpoints.base_configs(config.model.base) or (
        # A hub id: CogVideoX's published numbers.
        {"block_out_channels": [0] * 4, "temporal_compression_ratio": 4},
        {"patch_size": 2, "max_text_seq_length": 226},
    )
    temporal = int(vae.get("temporal_compression_ratio", 4))
    if (config.clips.num_frames - 1) % temporal:
        low = (config.clips.num_frames - 1) // temporal * temporal + 1
        yield (
            f"clips.num_frames: got {config.clips.num_frames}; the VAE takes {temporal} n + 1 frames, "
            f"for example {low} or {low + temporal}"
        )
    tokens, read = config.labels.captions.max_tokens, int(transformer["max_text_seq_length"])
    if tokens is not None and tokens > read:
        yield f"labels.captions.max_tokens: got {tokens}; {config.model.base} reads at most {read}, which null stands for"
    multiple = 2 ** (len(vae["block_out_channels"]) - 1) * int(transformer["patch_size"])
    for key in ("height", "width"):
        size = getattr(config.clips, key)
        if size % multiple:
            low = max(size // multiple, 1) * multiple
            yield (
                f"clips.{key}: got {size}; it must be a multiple of {multiple} (the VAE's compression times the "
                f"transformer's patch), for example {low} or {low + multiple}"
            )


def _source_faults(plan):
    source = plan.config.source
    if source.kind == "scenes":
        return
    if source.kind == "panda70m":
        yield from _table_faults(plan.config)
        return
    folder = Path(source.path)
    if not folder.is_dir():
        yield f"source.path: got {source.path!r}, and there is no such folder; name a folder of video files"
        return
    files = plan.files
    if len(files) < 2:
        yield (
            f"source.path: {source.path!r} holds {len(files) or 'no'} video files; at least 2 are needed, one to train on "
            f"and one to evaluate; files count by their ending: {', '.join(sorted(videos.EXTENSIONS))}"
        )
        return
    if source.captions is None:
        if plan.config.labels.captions.captioner is None:
            yield "source.captions: got null; name a csv with the columns clip,caption, or set labels.captions.captioner"
    elif not Path(source.captions).is_file():
        yield f"source.captions: got {source.captions!r}, and there is no such file; name a csv with columns clip,caption"
    else:
        try:
            captions_csv.read_captions(source.captions, files)
        except ValueError as error:
            yield f"source.captions: {error}"
            return
    if not all(plan.shards[split] for split in SPLITS):
        yield (
            f"source.path: {len(files)} videos leave a split without clips; "
            "add source videos or change clips.evaluation_share"
        )


def _table_faults(config):
    if not Path(config.source.path).is_file():
        yield f"source.path: got {config.source.path!r}, and there is no such file; name a table of Panda-70M, csv or zip"
    else:
        try:
            panda70m_table.check_header(config.source.path)
        except ValueError as error:
            yield f"source.path: {error}"
    try:
        fetching.check_reference(config.panda70m.fetch)
    except ValueError as error:
        yield str(error)
    if config.panda70m.cookies and not Path(config.panda70m.cookies).is_file():
        yield f"panda70m.cookies: got {config.panda70m.cookies!r}, and there is no such file"
