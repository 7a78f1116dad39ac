"""Pictures of the worst labels: which row shows what, and the reasons beside them, in frames counted from 1."""

from __future__ import annotations

import numpy as np
import pytest
from small_results import clip_ids, exact_depth, small_inputs, small_job, write_results

from udpdiff.report import media, worst_labels
from udpdiff.storage.shards import ShardReader, ShardWriter
from udpdiff.tasks import get_task
from udpdiff.video_io import decode_mp4

CLIP = clip_ids("evaluation")[1]


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("work") / "results"
    write_results(folder)
    return folder


@pytest.fixture
def rows(monkeypatch):
    """The rows of each picture, frame by frame, without encoding it."""
    drawn = []

    def table(frames):
        drawn.append([np.stack(row) for row in frames])
        return np.zeros((8, 8, 3), np.uint8)

    monkeypatch.setattr(media, "table", table)
    return drawn


def exact(results, name: str) -> np.ndarray:
    with ShardReader(results / "truth/evaluation/0.h5") as truth:
        return truth.read(CLIP, name)


def video(results) -> np.ndarray:
    with ShardReader(results / "clips/evaluation/0.h5") as clips:
        return decode_mp4(clips.read(CLIP, "video_mp4"))


def picture_of(results, kind: str, dataset: str, label: np.ndarray) -> dict:
    """What is drawn of one clip with these labels."""
    path = results / f"{kind}/{'merged' if kind == 'entities' else 'pumping'}/evaluation/0.h5"
    with ShardWriter(path, kind, {}) as shard:
        shard.add(CLIP, {dataset: label}, {"coverage": 1.0, "entities": 3.0} if kind == "entities" else {})
    chosen = [(CLIP, "some_figure")]
    inputs = small_inputs(small_job(), results)
    (picture,) = worst_labels.pictures(inputs, kind, path.parts[-3], chosen, results / "media", "worst")
    assert (picture["clip_id"], picture["figure"], picture["frames"]) == (CLIP, "some_figure", [1, 2, 3, 4, 5])
    return picture


def test_entities_that_change_their_id_and_that_are_missed(results, rows):
    """An entity is called otherwise from the fourth frame on, and half of the ground is unlabelled in the last."""
    truth = exact(results, "entity_ids")
    ids, sizes = np.unique(truth[3], return_counts=True)
    solid = int(max(id_ for id_, size in zip(ids.tolist(), sizes.tolist(), strict=True) if id_ > 2 and size > 20))
    label = truth + np.uint16(10)
    label[3:][truth[3:] == solid] = 99
    missed = np.zeros(truth.shape, bool)
    missed[4, :16] = truth[4, :16] != 0
    label[missed] = 0
    reasons = picture_of(results, "entities", "entity_ids", label)["reasons"]
    ((clip, true, shown, errors),) = rows
    task = get_task("seg")
    np.testing.assert_array_equal(clip, video(results))
    np.testing.assert_array_equal(true, task.picture(truth))
    other = (label == 99) | missed
    np.testing.assert_array_equal(shown[~other & (truth != solid)], true[~other & (truth != solid)])
    assert (shown[missed] == 0).all()
    assert (errors[missed] == worst_labels._MISSED).all()
    switched = [text for text in reasons if "another id" in text]
    assert len(switched) == 1 and switched[0].endswith("gets another id in frame 4"), reasons
    assert reasons[0].startswith("lowest IoU: ") and switched[0].split(" gets")[0] in reasons[0]


def test_depth_that_jumps_once(results, rows):
    """From the fourth frame on everything is said to be nearer."""
    z = exact(results, "z")
    label = exact_depth(z, 0)
    label[3:] += 6000
    reasons = picture_of(results, "depth", "depth", label)["reasons"]
    ((clip, true, shown, errors),) = rows
    near = (1 / z - 1 / z.max()) / (1 / z.min() - 1 / z.max())
    np.testing.assert_array_equal(clip, video(results))
    assert np.abs(true.astype(int) - get_task("depth").picture(near)).max() <= 3, "near as near"
    assert np.abs(shown.astype(int) - true).mean() < 40, "the label in the truth's colours and range"
    assert any("flickers most from frame 3 to 4" in text for text in reasons), reasons
    assert errors.shape == true.shape and (errors.std() > 0)


def test_exact_labels_have_no_switches_and_no_errors(results, rows):
    picture = picture_of(results, "entities", "entity_ids", exact(results, "entity_ids"))
    ((clip, true, shown, errors),) = rows
    np.testing.assert_array_equal(shown, true)
    assert [text for text in picture["reasons"] if "another id" in text] == []
    dim = np.repeat((clip.mean(-1, keepdims=True) * 0.6).astype(np.uint8), 3, axis=-1)
    np.testing.assert_array_equal(errors, dim)
