"""Labels the entities of one shard of clips: first-frame entities or points, SAM 2 through the clip, clean-up."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

import numpy as np

from udpdiff.clip import RejectedClip, Rejection
from udpdiff.labelling.cleanup import CleanupSettings, clean_entities
from udpdiff.labelling.cropformer import CropFormer, is_cropformer
from udpdiff.labelling.point_grid import PointGridSegmenter
from udpdiff.labelling.propagation import MaskTracker, preprocess_frames
from udpdiff.labelling.reprompting import label_entities
from udpdiff.labelling.segmenter import EntitySegmenter
from udpdiff.labelling.shards import LabelledClip, Steps, label_shard

if TYPE_CHECKING:
    import torch


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
        return self.clean(self.find(self.prepare(video)))

    def prepare(self, video: np.ndarray) -> tuple[np.ndarray, torch.Tensor]:
        """The video with its frames as the tracker takes them."""
        return video, preprocess_frames(video, self.tracker.predictor.image_size)

    def find(self, prepared: tuple[np.ndarray, torch.Tensor]) -> np.ndarray:
        """What the models do: entity ids uint16 (T, H, W), not yet clean."""
        video, images = prepared

        def track(rest: np.ndarray, prompts: np.ndarray) -> np.ndarray:
            return self.tracker.track_ids(rest, prompts, self.max_objects, images[-len(rest) :])

        return label_entities(video, self.segmenter.segment, track, self.reprompt_below)

    def clean(self, entity_ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What the processor does with them; returns as `label` does."""
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


def named_dtype(name: str | None) -> torch.dtype | None:
    """The torch dtype of that name; None stays None."""
    import torch

    return name and getattr(torch, name)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", required=True, type=json.loads, help="json: segmenter, tracker, cleanup, device")
    parser.add_argument("--clips", required=True)
    parser.add_argument("--entities", required=True)
    parser.add_argument("--timing", help="json file: how fast it went")
    arguments = parser.parse_args()

    told = arguments.settings
    labeller = EntityLabeller(told)

    def finish(entity_ids: np.ndarray) -> LabelledClip:
        return checked(*labeller.clean(entity_ids), told["cleanup"]["min_coverage"])

    steps = Steps(labeller.prepare, labeller.find, finish)
    label_shard("entities", told, steps, arguments.clips, arguments.entities, arguments.timing)


def checked(entity_ids: np.ndarray, coverage: np.ndarray, min_coverage: float) -> LabelledClip:
    """A clip's labels with their figures, rejected if they are bad."""
    scores = {
        "coverage": float(coverage.mean()),
        "min_coverage": float(coverage.min()),
        "entities": float(len(np.setdiff1d(entity_ids, [0]))),
    }
    try:
        refuse_bad_labels(scores, min_coverage)
    except RejectedClip as rejected:
        return LabelledClip({}, scores, rejected)
    return LabelledClip({"entity_ids": entity_ids}, scores)


def refuse_bad_labels(scores: dict[str, float], min_coverage: float) -> None:
    """Raises RejectedClip for a clip without entities or with too little of it labelled."""
    if not scores["entities"]:
        raise RejectedClip(Rejection.NO_ENTITIES, "none in the first frame")
    if scores["coverage"] < min_coverage:
        raise RejectedClip(Rejection.LOW_COVERAGE, f"{scores['coverage']:.2f} of the pixels, {min_coverage} needed")


if __name__ == "__main__":
    main()
