"""Films of the data set: in which order, of which clips, in which colours."""

from __future__ import annotations

import numpy as np
import pytest
from small_results import clip_ids, small_inputs, small_job, write_results

from udpdiff.report import gallery, media
from udpdiff.report.inputs import labelled_task
from udpdiff.storage.shards import ShardReader
from udpdiff.tasks import TASKS, get_task


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    results = tmp_path_factory.mktemp("work") / "results"
    write_results(results)
    return results


@pytest.fixture
def drawn(monkeypatch):
    """What is written as films, by name, without encoding it."""
    films: dict[str, list[np.ndarray]] = {}

    def write_film(folder, name, videos, fps):
        films[name] = videos
        return {"film": f"{folder.name}/{name}.mp4", "poster": f"{folder.name}/{name}.png"}

    monkeypatch.setattr(media, "write_film", write_film)
    return films


def grey(level: int) -> np.ndarray:
    return np.full((5, 32, 32, 3), level, np.uint8)


def test_a_label_is_shown_near_as_near(results):
    clip = next(gallery.labelled_clips(small_inputs(small_job(), results), "train", 0, {"depth": ["depth_anything"]}))
    view = clip.views["depth depth_anything"]
    with ShardReader(results / "depth/depth_anything/train/0.h5") as shard:
        depth = shard.read(clip.clip_id, "depth")
    near, far = view[depth == depth.max()].mean(0), view[depth == depth.min()].mean(0)
    blue, red = get_task("depth").picture(np.array([[[1.0, 0.0]]]))[0, 0]
    assert np.abs(near - blue).max() < 80 and np.abs(far - red).max() < 80
    assert near[2] > near[0] and far[0] > far[2]


def test_first_middle_and_last_frames_are_shown(results):
    inputs, labellers = small_inputs(small_job(), results), {"entities": ["entityseg"], "depth": ["pumping"]}
    whole = next(gallery.labelled_clips(inputs, "evaluation", 0, labellers))
    three = next(gallery.labelled_clips(inputs, "evaluation", 0, labellers, 3))
    assert len(whole.video) == 5 and np.array_equal(three.video, whole.video[[0, 2, 4]])
    for name, view in three.views.items():
        assert np.array_equal(view, whole.views[name][[0, 2, 4]])


def test_the_data_set_shows_no_more_than_wanted(tmp_path, results, drawn):
    films = gallery.data_set(small_inputs(small_job(report={"examples": 2}), results), tmp_path / "media")
    assert [film["clip_id"] for film in films] == clip_ids("train")[:2]
    assert [len(videos) for videos in drawn.values()] == [3, 3], "the clip, and the judges' entities and depth"


def test_kinds_of_labels_are_drawn_by_the_task_that_stores_them():
    assert {labelled_task(task.labels).name for task in TASKS.values()} == {"seg", "depth"}
    assert all(task.legend and task.phrase for task in TASKS.values())


def test_only_what_the_job_shows_is_featured(results):
    job = small_job(runs={"depth": {"tasks": {"depth": 1.0}}, "multi": {"tasks": {"seg": 0.5, "depth": 0.5}}})
    inputs = small_inputs(job, results)
    assert inputs.featured_run() == "multi" and inputs.featured_pairs() == [("multi", "seg"), ("multi", "depth")]
    part = job.model_copy(update={"shown": (("depth", "depth"), ("multi", "depth"))})
    inputs = small_inputs(part, results)
    assert inputs.featured_run() is None and inputs.featured_pairs() == [("depth", "depth")]
    assert inputs.runs == ["depth", "multi"]
