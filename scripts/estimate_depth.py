"""Estimates the depth of one shard of clips, near = 1, with the model that the settings name."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable

import numpy as np

from udpdiff.labelling.shards import LabelledClip, Steps, label_shard


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", required=True, type=json.loads, help="json: an entry of labels.depth, and device")
    parser.add_argument("--clips", required=True)
    parser.add_argument("--depth", required=True)
    parser.add_argument("--timing", help="json file: how fast it went")
    arguments = parser.parse_args()

    told = arguments.settings
    steps = Steps(prepare=lambda video: video, model=load_estimator(told), finish=quantised)
    label_shard("depth", told, steps, arguments.clips, arguments.depth, arguments.timing)


def quantised(depth: np.ndarray) -> LabelledClip:
    """Depth in [0, 1] as it is stored, uint16."""
    return LabelledClip({"depth": np.round(depth * 65535).astype(np.uint16)}, {})


def load_estimator(told: dict) -> Callable[[np.ndarray], np.ndarray]:
    """A function from video, uint8 (T, H, W, 3), to depth, float32 (T, H, W) in [0, 1].

    told: an entry of the configuration's `labels.depth`, and the device.
    """
    options = {
        key: value for key, value in told.items() if key not in ("model", "device", "checkpoint", "max_failed_share")
    }
    if told["model"] == "depthcrafter":
        from udpdiff.labelling.depthcrafter import DepthCrafter

        loading = {key: options.pop(key) for key in ("base", "offload")}
        crafter = DepthCrafter.from_pretrained(told["checkpoint"], device=told["device"], **loading)
        return lambda video: crafter.estimate(video, **options)
    from udpdiff.labelling.depth_anything import DepthAnything

    anything = DepthAnything.from_pretrained(told["checkpoint"], device=told["device"])
    return lambda video: anything.estimate(video, options["batch_frames"], options["normalise"])


if __name__ == "__main__":
    main()
