"""Labels the entities of one shard of clips: first-frame segmentation, SAM 2 through the clip, clean-up."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

import numpy as np

from scripts.labelling_job import LabelledClip, Steps, label_shard
from udpdiff.clip import RejectedClip, Rejection
from udpdiff.labelling.cleanup import CleanupSettings, clean_entities
from udpdiff.labelling.cropformer import CropFormer, is_cropformer
from udpdiff.labelling.propagation import MaskTracker, Tracks, preprocess_frames
from udpdiff.labelling.segmenter import EntitySegmenter

if TYPE_CHECKING:
    import torch


class EntityLabeller:
    """The chain of the paper's section 3.1: entities of the first frame, propagated, cleaned.

    told: segmenter, score_threshold, tracker, cleanup and device as in the configuration's `labels`.
    """

    def __init__(self, told: dict):
        segmenter = CropFormer if is_cropformer(told["segmenter"]) else EntitySegmenter
        self.segmenter = segmenter.from_pretrained(
            told["segmenter"], device=told["device"], score_threshold=told["score_threshold"]
        )
        self.tracker = MaskTracker.from_pretrained(told["tracker"]["checkpoint"], device=told["device"])
        self.max_objects = told["tracker"]["max_objects"]
        self.cleanup = CleanupSettings(told["cleanup"]["min_area_share"])

    def label(self, video: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Entity ids uint16 (T, H, W), all 0 where the first frame holds none, and the coverage of each frame (T,)."""
        return self.clean(self.track(self.prepare(video)))

    def prepare(self, video: np.ndarray) -> tuple[np.ndarray, torch.Tensor]:
        """The video with its frames as the tracker takes them."""
        return video, preprocess_frames(video, self.tracker.predictor.image_size)

    def track(self, prepared: tuple[np.ndarray, torch.Tensor]) -> Tracks:
        """What the models do: mask logits of the first frame's entities, of none where it holds none."""
        video, images = prepared
        first = self.segmenter.segment(video[:1])[0]
        if not first.any():
            return Tracks(np.empty((0, *video.shape[:3]), np.float32), [])
        return self.tracker.track(video, first, self.max_objects, images)

    def clean(self, tracks: Tracks) -> tuple[np.ndarray, np.ndarray]:
        """What the processor does with them; returns as `label` does."""
        if not tracks.entity_ids:
            shape = tracks.logits.shape[1:]
            return np.zeros(shape, np.uint16), np.zeros(shape[0], np.float32)
        return clean_entities(*tracks, self.cleanup)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", required=True, type=json.loads, help="json: segmenter, tracker, cleanup, device")
    parser.add_argument("--clips", required=True)
    parser.add_argument("--entities", required=True)
    parser.add_argument("--timing", help="json file: how fast it went")
    arguments = parser.parse_args()

    told = arguments.settings
    labeller = EntityLabeller(told)

    def finish(tracks: Tracks) -> LabelledClip:
        return checked(*labeller.clean(tracks), told["cleanup"]["min_coverage"])

    steps = Steps(labeller.prepare, labeller.track, finish)
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
