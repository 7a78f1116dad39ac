"""Features and per-clip figures of the videos of one shard, computed once, and read back for any number of comparisons.

Knows clips in and numbers out; what the numbers of many shards say together is in `evaluate`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from udpdiff.figure_record import BEHIND, Made
from udpdiff.jobs import ExtractFeatures
from udpdiff.measures import vbench
from udpdiff.measures.motion import STILL as NO_MOTION
from udpdiff.measures.motion import frames_looked_at, motion
from udpdiff.measures.prompt_fidelity import prompt_fidelity
from udpdiff.metrics.extractors import Extractors, load_extractors
from udpdiff.progress import progress
from udpdiff.storage.shards import ShardReader, ShardWriter
from udpdiff.video_io import decode_mp4

STILL = "still"  # a figure of videos that are
CUT_PROMPT = "cut_prompt"  # of those whose prompt was too long for the text encoder


@dataclass(frozen=True)
class VideoSet:
    """Features and figures of the videos of some shards, one row per video.

    Attributes:
        clip_ids: N of them.
        features: float64 (N, D), of the video encoder.
        kernel_features: float64 (N, D'), of the second one; None without one.
        made: What the shards say of their making, see `figure_record`.
        scores: Figures by video, each a mapping.
        num_frames: int (N,).
        names: What made them: `video`, `subject`, `image`, `interpolator`, `flow`, `kernel`.
        smoothness: Key of the figure of the interpolator, None without one.
    """

    clip_ids: list[str]
    features: np.ndarray
    scores: list[dict[str, float]]
    num_frames: np.ndarray
    names: dict[str, str]
    smoothness: str | None
    kernel_features: np.ndarray | None = None
    made: list[dict] = field(default_factory=list)


def extract_features(
    clips_path: str | Path, features_path: str | Path, job: ExtractFeatures, device: str = "cpu"
) -> None:
    """Measure every video of a shard of clips into a shard of features; resumes inside the shard.

    Memory stays at one batch of the video encoder. Batches are those of an uninterrupted job, for how videos are
    batched may show in the last bits of their features.

    Args:
        clips_path: A shard with the schema `clips`.
        features_path: Where the shard with the schema `features` will stand.
        job: The networks, and which of a clip's captions is the prompt.
        device: Of the networks.
    """
    if not device.startswith("cpu"):
        import torch

        torch.backends.cudnn.conv.fp32_precision = "ieee"  # products of ten bits would show in the figures
    extractors = load_extractors(**job.model_dump(exclude={"caption"}), device=device)
    with ShardReader(clips_path) as clips:
        attrs = {
            "names": extractors.names,
            "smoothness": extractors.smoothness,
            "num_frames": clips.attrs["num_frames"],
        }
        made = Made.of(clips.attrs, extractors.networks).on(device)
        attrs |= job.as_attrs() | {"source": clips.sha256, BEHIND: made.model_dump(mode="json")}
        schema = "two_features" if extractors.kernel else "features"
        with ShardWriter(features_path, schema, attrs, resume=True) as shard:
            batches = shard.unfinished(clips.clip_ids, extractors.video.batch_videos)
            for clip_ids in progress(batches, "batches of features"):
                videos = [decode_mp4(clips.read(clip_id, "video_mp4")) for clip_id in clip_ids]
                found = {"video_features": extractors.video.encode_videos(videos)}
                if extractors.kernel:
                    found["kernel_features"] = extractors.kernel.encode_videos(videos)
                for row, (clip_id, video) in enumerate(zip(clip_ids, videos, strict=True)):
                    if clip_id not in shard.done:
                        prompt = clips.read(clip_id, job.caption)
                        figures = measure_video(video, extractors, fps=clips.attrs["fps"], prompt=prompt)
                        shard.add(clip_id, {name: features[row] for name, features in found.items()}, figures)


def measure_video(video: np.ndarray, extractors: Extractors, *, fps: float, prompt: str = "") -> dict[str, float]:
    """Return the figures of a video: those that there is a network for, and a prompt.

    A video in which nothing moves has the figure STILL besides, by which its consistencies and its smoothness are left
    out of those of a set; its mean flow is 0. CUT_PROMPT: its prompt was too long.

    Args:
        video: uint8 (T, H, W, 3).
        extractors: The networks.
        fps: Of the video.
        prompt: What it is to show; "" where that is not known.

    Raises:
        ValueError: Fewer frames than a figure needs: 2 of the consistencies and of motion, 3 of smoothness.
    """
    still = bool(extractors.subject or extractors.flow) and vbench.is_still(video)
    figures = {STILL: 1.0} if still else {}
    if extractors.subject:
        figures["subject_consistency"] = vbench.consistency(extractors.subject.encode(video))
    if extractors.image:
        frames = extractors.image.encode(video)
        figures["background_consistency"] = vbench.consistency(frames)
        if prompt:
            text, cut = extractors.image.encode_text(prompt)
            figures |= {"prompt_fidelity": prompt_fidelity(frames, text)} | ({CUT_PROMPT: 1.0} if cut else {})
    if extractors.interpolator:
        figures[extractors.smoothness] = vbench.motion_smoothness(video, extractors.interpolator.interpolate)
    if extractors.flow:
        moved = NO_MOTION if still else motion(extractors.flow.flow(frames_looked_at(video, fps)))
        figures |= {"dynamic_degree": moved.degree, "dynamic_share": float(moved.is_dynamic)}
    return figures


def read_features(paths: Sequence[str | Path]) -> VideoSet:
    """Join shards of features, in the order given.

    Raises:
        ValueError: They were made by different networks, or hold no video at all.
    """
    clip_ids, scores, num_frames, made, made_by = [], [], [], [], {}
    features: dict[str, list[np.ndarray]] = {}
    for path in paths:
        with ShardReader(path) as shard:
            for _, data in shard.items():
                for name, value in data.items():
                    features.setdefault(name, []).append(value)
            clip_ids += shard.clip_ids
            scores += shard.scores.values()
            num_frames += [shard.attrs["num_frames"]] * len(shard)
            provenance = shard.attrs.get(BEHIND)
            made += [provenance] if provenance else []
            made_by[
                json.dumps([shard.attrs["names"], shard.attrs["smoothness"], provenance and provenance["networks"]])
            ] = path
    if len(made_by) != 1 or not clip_ids:
        raise ValueError(
            f"Features: got {len(clip_ids)} videos in {len(paths)} shards by {len(made_by)} sets of networks "
            f"({'; '.join(made_by)}), expected some videos and one set; extract them again."
        )
    names, smoothness, _ = json.loads(next(iter(made_by)))
    kernel = np.stack(features["kernel_features"]) if "kernel_features" in features else None
    return VideoSet(
        clip_ids, np.stack(features["video_features"]), scores, np.array(num_frames), names, smoothness, kernel, made
    )
