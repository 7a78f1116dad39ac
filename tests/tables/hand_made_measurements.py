"""Files of measurements with chosen values, as the measuring rules write them."""

from __future__ import annotations

import numpy as np

from udpdiff.metrics.bootstrap import bootstrap_mean
from udpdiff.metrics.evaluate import quality_document
from udpdiff.metrics.feature_shards import VideoSet
from udpdiff.metrics.records import VIDEOS, entry
from udpdiff.metrics.set_distances import measure_distances
from udpdiff.storage.sealed import write_record


def figure(values, extractor="a network"):
    """A figure of single clips; nan for one that is left out."""
    values = np.asarray(values, float)
    return entry(bootstrap_mean(values[~np.isnan(values)], resamples=20), extractor, values, VIDEOS)


def distances(features, ids, real, seed=0, network="a network"):
    """fvd and kvd of features (N, D) to real ones (M, D)."""
    sets = [
        VideoSet(
            list(names), np.asarray(rows, float), [{}] * len(rows), np.full(len(rows), 9), {"video": network}, None
        )
        for rows, names in ((real, [f"real {index}" for index in range(len(real))]), (features, ids))
    ]
    return measure_distances(*sets, seed=seed)


def write(folder, training, task, metrics, ids):
    """quality.json of one training and task."""
    path = folder / training / task / "quality.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_record(path, quality_document(training, task, 0, len(ids), metrics, {VIDEOS: list(ids)}))
    return path
