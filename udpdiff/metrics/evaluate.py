"""All figures of a set of videos in one call, in the form that tables and report read.

Each function returns `metrics`: name -> {"value", "low", "high", "n", "per_video", "extractor"}, plain JSON: low and
high are the ends of the 95 % interval (null when n is too small), per_video the values in the order given (empty for
figures of the whole set), extractor what made the features. `quality_document` adds run, task and seed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from udpdiff.measures import fvd, vbench
from udpdiff.metrics import runtime
from udpdiff.metrics.bootstrap import Estimate, bootstrap_mean, subsample_interval
from udpdiff.metrics.features import ImageEncoder, SubjectEncoder, VideoFeatures, load_video_encoder
from udpdiff.metrics.interpolation import Interpolator, load_interpolator


@dataclass(frozen=True)
class Extractors:
    """The networks behind the video metrics, loaded once for many runs."""

    subject: SubjectEncoder
    image: ImageEncoder
    video: VideoFeatures
    interpolator: Interpolator


def load_extractors(
    subject_encoder: str, image_encoder: str, video_encoder: str, interpolator: str, *, device: str = "cpu"
) -> Extractors:
    """Load by reference: hub ids, folders, `mini:NAME`, `i3d:PATH#SHA256`; `blend` or a plug-in as interpolator."""
    return Extractors(
        SubjectEncoder.from_pretrained(subject_encoder, device=device),
        ImageEncoder.from_pretrained(image_encoder, device=device),
        load_video_encoder(video_encoder, device=device),
        load_interpolator(interpolator),
    )


def evaluate_videos(
    videos: Sequence[np.ndarray],
    reference_videos: Sequence[np.ndarray],
    extractors: Extractors,
    *,
    bootstrap_samples: int = 2000,
    seed: int = 0,
) -> dict[str, dict]:
    """Consistencies and smoothness of generated videos uint8 (T, H, W, 3), and their distance to reference videos.

    Consistencies lie in [0, 1]. `fvd` is biased upwards by small sets: read it beside `fvd_floor`, the distance between
    halves of the reference, and `fvd_infinity` (left out below 6 videos; the floor below 4). `kvd` has no such bias.
    """
    weights = [len(video) - 1 for video in videos]
    options = {"resamples": bootstrap_samples, "seed": seed}
    metrics = {}
    for name, encoder in (("subject_consistency", extractors.subject), ("background_consistency", extractors.image)):
        values = [vbench.consistency(encoder.encode(video)) for video in videos]
        metrics[name] = entry(bootstrap_mean(values, weights=weights, **options), encoder.name, values)
    interpolator = extractors.interpolator
    values = [vbench.motion_smoothness(video, interpolator.interpolate) for video in videos]
    metrics[interpolator.metric] = entry(bootstrap_mean(values, **options), interpolator.name, values)
    generated = extractors.video.encode_videos(list(videos))
    reference = extractors.video.encode_videos(list(reference_videos))
    return metrics | _distances(reference, generated, extractors.video.name, seed)


def _distances(reference, generated, extractor: str, seed: int) -> dict[str, dict]:
    metrics = {}
    for name, distance in (("fvd", fvd.frechet_distance), ("kvd", fvd.kernel_distance)):
        metrics[name] = entry(subsample_interval(distance, reference, generated, seed=seed), extractor)
    count = min(len(reference), len(generated))
    if count >= 6:
        line = fvd.fvd_infinity(reference, generated, np.random.default_rng(seed))
        reach = 1.96 * line.standard_error
        estimate = Estimate(line.value, line.value - reach, line.value + reach, len(generated))
        metrics["fvd_infinity"] = entry(estimate, extractor)
    if len(reference) >= 4:
        floor = fvd.split_floor(reference, np.random.default_rng(seed))
        metrics["fvd_floor"] = entry(Estimate(floor, math.nan, math.nan, len(reference) // 2), extractor)
    return metrics


def evaluate_runtime(timings: Sequence[dict[str, float]], *, hardware: str) -> dict[str, dict]:
    """`runtime_seconds` and its parts (`runtime_transformer_seconds`, ...), medians; hardware stands as extractor."""
    metrics = {}
    for part, summary in runtime.summarise_parts(timings).items():
        name = "runtime_seconds" if part == "total" else f"runtime_{part}_seconds"
        metrics[name] = entry(Estimate(**summary), hardware)
    return metrics


def quality_document(run: str, task: str, seed: int, num_videos: int, metrics: dict[str, dict]) -> dict:
    """The content of results/metrics/{run}/{task}/quality.json; task is `video` for a run without dense task."""
    return {"run": run, "task": task, "seed": seed, "n": num_videos, "metrics": metrics}


def entry(estimate: Estimate, extractor: str, per_video: Sequence[float] = ()) -> dict:
    """One figure as plain JSON; ends of the interval that are not a number become null."""
    fields = asdict(estimate) | {"per_video": [float(value) for value in per_video], "extractor": extractor}
    return {key: None if isinstance(value, float) and math.isnan(value) else value for key, value in fields.items()}
