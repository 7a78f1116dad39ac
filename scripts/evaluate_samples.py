"""Measures the samples of one run and task: the videos, and their dense stream against a labeller run on the videos."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from udpdiff.metrics.evaluate import evaluate_videos, load_extractors, quality_document
from udpdiff.metrics.evaluate_dense import evaluate_depth, evaluate_entities
from udpdiff.model.latents import default_device
from udpdiff.storage.shards import ShardReader
from udpdiff.video_io import decode_mp4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", required=True)
    parser.add_argument("--task", required=True, help="seg, depth, or video for a model without a dense stream")
    parser.add_argument("--settings", required=True, type=json.loads, help="json: seed, metrics, labels, judge or null")
    parser.add_argument("--samples", required=True, type=Path)
    parser.add_argument("--clips", required=True, nargs="+", help="clips of the evaluation split")
    parser.add_argument("--labels", nargs="*", default=[], help="training labels, for the constant control of depth")
    parser.add_argument("--quality", required=True, type=Path)
    arguments = parser.parse_args()

    told, metrics = arguments.settings, arguments.settings["metrics"]
    device = told["labels"]["device"] or default_device()
    encoders = [metrics[name] for name in ("subject_encoder", "image_encoder", "video_encoder", "interpolator")]
    options = {"bootstrap_samples": metrics["bootstrap_samples"], "seed": told["seed"]}
    with ShardReader(arguments.samples / "samples.h5") as shard:
        videos = [data["video"] for _, data in shard.items(["video"])]
        predicted = [] if arguments.task == "video" else [d["prediction"] for _, d in shard.items(["prediction"])]
    measured = evaluate_videos(
        videos, real_videos(arguments.clips), load_extractors(*encoders, device=device), **options
    )
    if arguments.task == "depth":
        depths = [depth / np.float32(65535) for depth in predicted]
        labelled = label_depth(videos, told)
        constant = mean_depth(arguments.labels)
        measured |= evaluate_depth(depths, labelled, labeller=told["judge"], constant=constant, **options)
    if arguments.task == "seg" and told["judge"]:
        measured |= evaluate_entities(predicted, label_entities(videos, told), labeller=told["judge"], **options)
    document = quality_document(arguments.run, arguments.task, told["seed"], len(videos), measured)
    arguments.quality.write_text(json.dumps(document, indent=1) + "\n")


def real_videos(shards: list[str]) -> list[np.ndarray]:
    """The evaluation clips, uint8 (T, H, W, 3) each."""
    videos = []
    for path in shards:
        with ShardReader(path) as shard:
            videos += [decode_mp4(data["video_mp4"]) for _, data in shard.items(["video_mp4"])]
    return videos


def mean_depth(shards: list[str]) -> np.ndarray:
    """The mean depth map (T, H, W) of labelled clips: what a model that looks at nothing would say."""
    total, count = 0.0, 0
    for path in shards:
        with ShardReader(path) as shard:
            for _, data in shard.items(["depth"]):
                total, count = total + data["depth"].astype(np.float64) / 65535, count + 1
    return total / count


def label_depth(videos: list[np.ndarray], told: dict) -> list[np.ndarray]:
    """The judging depth labeller on generated videos."""
    from scripts.estimate_depth import load_estimator

    estimate = load_estimator(told["labels"]["depth"][told["judge"]] | {"device": told["labels"]["device"]})
    return [estimate(video) for video in videos]


def label_entities(videos: list[np.ndarray], told: dict) -> list[np.ndarray]:
    """The judging entity labeller on generated videos; a video without entities gets none, as a data clip would."""
    from scripts.segment_entities import EntityLabeller

    labeller = EntityLabeller(told["labels"] | told["labels"]["entities"][told["judge"]])
    return [labeller.label(video)[0] for video in videos]


if __name__ == "__main__":
    main()
