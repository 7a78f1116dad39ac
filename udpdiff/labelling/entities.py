"""Entities of whole clips: those of the first frame, found, carried through the clip by SAM 2, and cleaned up.

    >>> from udpdiff import EntityLabeller, read_video
    >>> video = read_video("clip.mp4")
    >>> entity_ids, coverage = EntityLabeller.from_pretrained("mini:cropformer", "mini:sam2").label(video)

The steps are rooms of their own: `segmenter`, `cropformer` and `point_grid` find, `propagation` carries, `reprompting`
asks again, `cleanup` cleans.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from udpdiff.clip import RejectedClip, Rejection
from udpdiff.config.labels import Cleanup, PointGrid, Tracker
from udpdiff.config.labels import EntitySegmenter as SegmenterSection
from udpdiff.labelling.cleanup import DEFAULT_SETTINGS, CleanupSettings, clean_entities
from udpdiff.labelling.cropformer import CropFormer, is_cropformer
from udpdiff.labelling.point_grid import PointGridSegmenter
from udpdiff.labelling.propagation import MaskTracker, preprocess_frames
from udpdiff.labelling.reprompting import label_entities
from udpdiff.labelling.segmenter import EntitySegmenter
from udpdiff.labelling.shards import LabelledClip, Steps

if TYPE_CHECKING:
    import torch


class EntityLabeller:
    """The chain of the paper's data annotation.

    Args:
        segmenter: Finds the entities of a frame.
        tracker: Carries them through the clip.
        max_objects: That the tracker carries at once; None for as many as memory allows.
        cleanup: Which specks and holes go.
        reprompt_below: Later frames of which a smaller share is labelled are segmented too; None for none.

    Source: UDPDiff, section 3.1.
    """

    def __init__(
        self,
        segmenter: EntitySegmenter | CropFormer | PointGridSegmenter,
        tracker: MaskTracker,
        max_objects: int | None = None,
        cleanup: CleanupSettings = DEFAULT_SETTINGS,
        reprompt_below: float | None = None,
    ) -> None:
        self.segmenter, self.tracker = segmenter, tracker
        self.max_objects, self.cleanup, self.reprompt_below = max_objects, cleanup, reprompt_below

    @classmethod
    def from_pretrained(
        cls, segmenter: str, tracker: str, device: str | torch.device | None = None, score_threshold: float = 0.5
    ) -> EntityLabeller:
        """Load both networks.

        Args:
            segmenter: Folder, hub id or `mini:` name of a CropFormer or any Mask2Former.
            tracker: Of a SAM 2.
            device: None for CUDA where there is one.
            score_threshold: Of the segmenter.

        Raises:
            ValueError: A checkpoint of another kind.
        """
        return cls(load_segmenter(segmenter, device, score_threshold), MaskTracker.from_pretrained(tracker, device))

    @classmethod
    def from_settings(
        cls, labeller: SegmenterSection | PointGrid, tracker: Tracker, cleanup: Cleanup, device: str | None = None
    ) -> EntityLabeller:
        """Load what the sections of a configuration say; a grid of points asks the tracker's own SAM 2."""
        import torch

        dtype = tracker.dtype and getattr(torch, tracker.dtype)
        loaded = MaskTracker.from_pretrained(tracker.checkpoint, device, dtype)
        if isinstance(labeller, PointGrid):
            options = labeller.model_dump(exclude={"model"})
            segmenter = PointGridSegmenter(loaded.predictor, **options, dtype=loaded.dtype)
        else:
            segmenter = load_segmenter(labeller.segmenter, device, labeller.score_threshold)
        specks = CleanupSettings(cleanup.min_area_share)
        return cls(segmenter, loaded, tracker.max_objects, specks, cleanup.reprompt_below)

    def label(self, video: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the entities of a clip.

        Args:
            video: uint8 (T, H, W, 3).

        Returns:
            Entity ids uint16 (T, H, W), all 0 where the first frame holds none, and the labelled share of each frame,
            float32 (T,).
        """
        return self.clean(self.find(self.prepare(video)))

    def prepare(self, video: np.ndarray) -> tuple[np.ndarray, torch.Tensor]:
        """Return the video with its frames as the tracker takes them: the processor's work before the models'."""
        return video, preprocess_frames(video, self.tracker.predictor.image_size)

    def find(self, prepared: tuple[np.ndarray, torch.Tensor]) -> np.ndarray:
        """Return what the models find: entity ids uint16 (T, H, W), not yet clean."""
        video, images = prepared

        def track(remaining: np.ndarray, prompts: np.ndarray) -> np.ndarray:
            return self.tracker.track_ids(remaining, prompts, self.max_objects, images[-len(remaining) :])

        return label_entities(video, self.segmenter.segment, track, self.reprompt_below)

    def clean(self, entity_ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return tidy ids and coverage as `label` does: the processor's work after the models'."""
        return clean_entities(entity_ids, settings=self.cleanup)

    def steps(self, min_coverage: float) -> Steps:
        """Return the labeller as `label_shard` takes it; clips of which less is labelled are rejected."""

        def finish(entity_ids: np.ndarray) -> LabelledClip:
            return check_entities(*self.clean(entity_ids), min_coverage)

        return Steps(self.prepare, self.find, finish)


def load_segmenter(ref: str, device: str | torch.device | None, score_threshold: float) -> EntitySegmenter | CropFormer:
    """Load a CropFormer or any other Mask2Former, whichever the checkpoint is."""
    kind = CropFormer if is_cropformer(ref) else EntitySegmenter
    return kind.from_pretrained(ref, device=device, score_threshold=score_threshold)


def check_entities(entity_ids: np.ndarray, coverage: np.ndarray, min_coverage: float) -> LabelledClip:
    """Return a clip's labels with their figures, rejected without entities or with too little of it labelled."""
    count, covered = len(np.setdiff1d(entity_ids, [0])), float(coverage.mean())
    scores = {"coverage": covered, "min_coverage": float(coverage.min()), "entities": float(count)}
    if not count:
        return LabelledClip({}, scores, RejectedClip(Rejection.NO_ENTITIES, "none in the first frame"))
    if covered < min_coverage:
        details = f"{covered:.2f} of the pixels, {min_coverage} needed"
        return LabelledClip({}, scores, RejectedClip(Rejection.LOW_COVERAGE, details))
    return LabelledClip({"entity_ids": entity_ids}, scores)
