"""Labels the entities of one shard of clips: first-frame entities or points, SAM 2 through the clip, clean-up."""

from __future__ import annotations

import argparse
import functools
import json

import numpy as np

from scripts.failures import Failures
from scripts.progress import progress
from udpdiff.clip import RejectedClip, Rejection
from udpdiff.labelling.cleanup import CleanupSettings, clean_entities
from udpdiff.labelling.cropformer import CropFormer, is_cropformer
from udpdiff.labelling.point_grid import PointGridSegmenter
from udpdiff.labelling.propagation import MaskTracker
from udpdiff.labelling.reprompting import label_entities
from udpdiff.labelling.segmenter import EntitySegmenter
from udpdiff.storage.shards import ShardReader, ShardWriter
from udpdiff.video_io import decode_mp4


class EntityLabeller:
    """The chain of the paper's section 3.1: entities of the first frame, propagated, cleaned.

    told: an entry of `labels.entities`, tracker, cleanup and device as in the configuration's `labels`.
    """

    def __init__(self, told: dict):
        self.tracker = MaskTracker.from_pretrained(
            told["tracker"]["checkpoint"], told["device"], named_dtype(told["tracker"]["dtype"])
        )
        self.segmenter = load_segmenter(told, self.tracker)
        self.max_objects = told["tracker"]["max_objects"]
        self.cleanup = CleanupSettings(told["cleanup"]["min_area_share"])
        self.reprompt_below = told["cleanup"]["reprompt_below"]

    def label(self, video: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Entity ids uint16 (T, H, W), all 0 where the first frame holds none, and the coverage of each frame (T,)."""
        track = functools.partial(self.tracker.track_ids, max_objects_per_batch=self.max_objects)
        entity_ids = label_entities(video, self.segmenter.segment, track, self.reprompt_below)
        return clean_entities(entity_ids, settings=self.cleanup)


def load_segmenter(told: dict, tracker: MaskTracker) -> EntitySegmenter | CropFormer | PointGridSegmenter:
    """What prompts the tracker; a grid of points asks the tracker's own SAM 2."""
    if told["model"] == "point_grid":
        names = (
            "points_per_side",
            "filtering",
            "predicted_iou_threshold",
            "stability_threshold",
            "box_nms_threshold",
        )
        return PointGridSegmenter(tracker.predictor, **{name: told[name] for name in names}, dtype=tracker.dtype)
    kind = CropFormer if is_cropformer(told["segmenter"]) else EntitySegmenter
    return kind.from_pretrained(told["segmenter"], device=told["device"], score_threshold=told["score_threshold"])


def named_dtype(name: str | None):
    """The torch dtype of that name; None stays None."""
    import torch

    return name and getattr(torch, name)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", required=True, type=json.loads, help="json: segmenter, tracker, cleanup, device")
    parser.add_argument("--clips", required=True)
    parser.add_argument("--entities", required=True)
    arguments = parser.parse_args()

    told = arguments.settings
    labeller = EntityLabeller(told)
    with ShardReader(arguments.clips) as clips:
        attrs = {"settings": told, "clips": clips.sha256}
        failures = Failures(len(clips), told["max_failed_share"])
        with ShardWriter(arguments.entities, "entities", attrs, resume=True) as shard:
            for clip_id in progress([clip_id for clip_id in clips.clip_ids if clip_id not in shard.done], "entities"):
                with failures.caught(clip_id):
                    entity_ids, coverage = labeller.label(decode_mp4(clips.read(clip_id, "video_mp4")))
                    scores = {
                        "coverage": float(coverage.mean()),
                        "min_coverage": float(coverage.min()),
                        "entities": float(len(np.setdiff1d(entity_ids, [0]))),
                    }
                    try:
                        refuse_bad_labels(scores, told["cleanup"]["min_coverage"])
                        shard.add(clip_id, {"entity_ids": entity_ids}, scores)
                    except RejectedClip as rejected:
                        shard.reject(clip_id, str(rejected), scores)
            failures.list_in(shard)


def refuse_bad_labels(scores: dict[str, float], min_coverage: float) -> None:
    """Raises RejectedClip for a clip without entities or with too little of it labelled."""
    if not scores["entities"]:
        raise RejectedClip(Rejection.NO_ENTITIES, "none in the first frame")
    if scores["coverage"] < min_coverage:
        raise RejectedClip(Rejection.LOW_COVERAGE, f"{scores['coverage']:.2f} of the pixels, {min_coverage} needed")


if __name__ == "__main__":
    main()
