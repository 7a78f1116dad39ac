"""Films of the report: in which order, of which clips, in which colours."""

from __future__ import annotations

import numpy as np
import pytest
from small_results import clip_ids, small_inputs, small_job, write_results, write_sample_shard

from udpdiff.report import gallery, media
from udpdiff.report.inputs import Inputs, labelled_task
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


def test_shards_come_by_number_and_no_more_than_wanted(tmp_path, drawn):
    job = small_job(clips={"evaluation": 12}, sampling={"shard_prompts": 1, "prompts": 12}, report={"examples": 11})
    for number in range(12):
        write_sample_shard(
            tmp_path, "multi", "seg", number, {f"clip {number}": grey(8 * number)}, np.ones((5, 32, 32), np.uint16)
        )
    films = gallery.generated(Inputs(job, tmp_path, [], []), "multi", "seg", tmp_path / "media")["films"]
    assert [film["clip_id"] for film in films] == [f"clip {number}" for number in range(11)]
    assert [round(videos[0].mean() / 8) for videos in drawn.values()] == list(range(11))


def test_models_are_compared_on_the_same_clip(tmp_path, drawn):
    """Shards may hold other clips, in another order: the id decides."""
    ones = np.ones((5, 32, 32), np.uint16)
    write_sample_shard(tmp_path, "base", "video", 0, {"a": grey(40), "b": grey(120), "c": grey(200)})
    write_sample_shard(tmp_path, "multi", "seg", 0, {"c": grey(200), "b": grey(120)}, ones)
    write_sample_shard(tmp_path, "multi", "depth", 0, {"b": grey(120), "d": grey(0), "c": grey(200)}, ones)
    rows = gallery.compared(Inputs(small_job(), tmp_path, [], []), tmp_path / "media")
    assert rows[0]["labels"] == ["CogVideoX (base)", "UDPDiff (seg)", "UDPDiff (depth)"]
    levels = [[round(video.mean() / 40) for video in videos] for videos in drawn.values()]
    assert levels == [[3, 3, 3], [5, 5, 5]]
    assert (tmp_path / rows[1]["strip"]).is_file()


@pytest.mark.parametrize("task", ["seg", "depth"])
def test_predictions_are_drawn_as_their_task_draws_them(results, drawn, task):
    gallery.generated(small_inputs(small_job(), results), "multi", task, results / "media")
    (video, dense, picture) = drawn[f"multi-{task}-00"]
    assert video.shape == dense.shape == picture.shape == (5, 32, 32, 3)
    assert np.abs(dense.astype(int) - picture).mean() < 12, "the dense stream of this folder is the picture itself"


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
