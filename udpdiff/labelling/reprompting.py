"""Entities of a whole clip from prompts on its first frame, and on request from later frames that lost their labels.

Knows neither segmenter nor tracker: both are functions handed in.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

# A found entity counts as new where at least this share of it is unlabelled; its other pixels keep their labels.
NEW_SHARE = 0.5


def label_entities(
    video: np.ndarray,
    segment: Callable[[np.ndarray], np.ndarray],
    track: Callable[[np.ndarray, np.ndarray], np.ndarray],
    reprompt_below: float | None = None,
) -> np.ndarray:
    """Entity ids uint16 (T, H, W) of a video uint8 (T, H, W, 3), 0 = none.

    segment: a frame (H, W, 3) -> ids (H, W). track: a video and the ids of its first frame -> ids (T, H, W).
    reprompt_below: None prompts the first frame alone, as the paper does, so that what enters later stays unlabelled.
    Otherwise every frame of which a smaller share is labelled is segmented too, and what is new there is tracked from
    there on, under new ids, over unlabelled pixels only.
    """
    entity_ids = np.zeros(video.shape[:3], np.uint16)
    for frame_idx in range(len(video) if reprompt_below is not None else 1):
        labelled = entity_ids[frame_idx] > 0
        if frame_idx and labelled.mean() >= reprompt_below:
            continue
        prompts = new_entities(segment(video[frame_idx]), labelled, int(entity_ids.max()) + 1)
        if prompts.any():
            tracked, later = track(video[frame_idx:], prompts), entity_ids[frame_idx:]
            later[later == 0] = tracked[later == 0]
    return entity_ids


def new_entities(found: np.ndarray, labelled: np.ndarray, first_id: int) -> np.ndarray:
    """Of the found ids (H, W) those that lie mostly on unlabelled pixels, numbered from first_id: uint16 (H, W)."""
    fresh = np.where(labelled, 0, found)
    areas, fresh_areas = (np.bincount(ids.ravel(), minlength=int(found.max()) + 1) for ids in (found, fresh))
    new = np.flatnonzero((fresh_areas > 0) & (fresh_areas >= NEW_SHARE * areas))
    table = np.zeros(len(areas), np.uint16)
    table[new[new > 0]] = first_id + np.arange((new > 0).sum())
    return table[fresh]
