"""Films and figures of generated samples: of which, in which order, and how much of them a page holds."""

from __future__ import annotations

import base64
import json
import re
import zlib

import numpy as np
import pytest
from small_results import small_inputs, small_job, write_results, write_sample_shard, write_scores

from udpdiff.metrics.registry import describe
from udpdiff.report import films
from udpdiff.report.inputs import Inputs
from udpdiff.report.pages.samples import Film, Pair, Prompt, SampleFigure, Samples, samples
from udpdiff.report.sample_scores import SampleScores, read_scores, with_films, worst
from udpdiff.report.site import Page, write_site
from udpdiff.storage.shards import ShardReader
from udpdiff.tasks import get_task
from udpdiff.video_io import decode_mp4


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    results = tmp_path_factory.mktemp("work") / "results"
    write_results(results)
    return results


def grey(level: int) -> np.ndarray:
    return np.full((5, 32, 32, 3), level, np.uint8)


@pytest.mark.parametrize("task", ["seg", "depth"])
def test_a_film_holds_the_streams_side_by_side(results, tmp_path, task):
    shape = films.write_films(small_inputs(small_job(), results), "multi", task, {"clip"}, {"clip": 7}, tmp_path)
    assert (shape.width, shape.height, shape.frames, shape.fps) == (64, 64, 5, 8)
    film = decode_mp4((tmp_path / f"multi/{task}/0007.mp4").read_bytes()).astype(int)
    assert film.shape == (5, 64, 3 * 64, 3)
    with ShardReader(results / f"samples/multi/{task}/0.clips.h5") as clips:
        video = decode_mp4(clips.read("clip", "video_mp4")).repeat(2, 1).repeat(2, 2)
    with ShardReader(results / f"samples/multi/{task}/0.dense.h5") as dense:
        decoded = get_task(task).picture(get_task(task).from_storage(dense.read("clip", "prediction")))
    assert np.abs(film[:, :, :64] - video).mean() < 6
    assert np.abs(film[:, :, 128:] - decoded.repeat(2, 1).repeat(2, 2)).mean() < 6


def values_of(page: str) -> tuple[dict, np.ndarray]:
    content = json.loads(re.search(r'id="values">(.*?)</script>', page).group(1))
    values = np.frombuffer(zlib.decompress(base64.b64decode(content["deflated"])), np.uint8)
    return content, values.reshape(content["frames"], content["rows"], content["columns"])


def test_values_under_the_pointer_are_the_prediction(tmp_path):
    depth = np.linspace(0, 1, 2 * 6 * 100).reshape(2, 6, 100)
    assert films.write_values(tmp_path / "depth.html", depth) == "share"
    content, values = values_of((tmp_path / "depth.html").read_text())
    assert content["columns"] == 50 <= 64 and np.abs(values / 255 - depth[:, 1::2, 1::2]).max() <= 0.5 / 255 + 1e-9
    ids = np.array([[[0, 900, 3]]])
    assert films.write_values(tmp_path / "ids.html", ids) == "ids"
    content, values = values_of((tmp_path / "ids.html").read_text())
    assert np.array_equal(np.array(content["ids"])[values], ids)
    assert films.write_values(tmp_path / "vectors.html", np.zeros((2, 3, 4, 3))) is None
    assert not (tmp_path / "vectors.html").exists()


def test_samples_are_matched_by_id_whatever_their_shard_and_order(tmp_path):
    job = small_job(
        clips={"evaluation": 3}, sampling={"shard_prompts": 2, "prompts": 3}, report={"films": 1, "worst_films": 1}
    )
    ones = np.ones((5, 32, 32), np.uint16)
    write_sample_shard(tmp_path, "base", "video", 0, {"a": grey(40), "b": grey(120)})
    write_sample_shard(tmp_path, "base", "video", 1, {"c": grey(200)})
    write_sample_shard(tmp_path, "multi", "seg", 0, {"c": grey(200), "b": grey(120)}, ones)
    write_sample_shard(tmp_path, "multi", "seg", 1, {"a": grey(40)}, ones)
    for number, dense in enumerate(({"c": 0.9, "b": 0.1}, {"a": float("nan")})):
        figures = {
            clip_id: {"entity_tube_iou": value, "entity_tube_iou_shuffled": 0.5} for clip_id, value in dense.items()
        }
        write_scores(tmp_path, "multi", "seg", figures, number)
    write_scores(tmp_path, "base", "video", {"a": {}, "b": {}})
    write_scores(tmp_path, "base", "video", {"c": {}}, 1)
    job = job.model_copy(update={"shown": (("base", "video"), ("multi", "seg"))})
    found = samples(Inputs(job, tmp_path, [], []), tmp_path / "media")
    assert [prompt.id for prompt in found.prompts] == ["a", "b", "c"]
    base, seg = found.pairs
    assert seg.scores["entity_tube_iou"] == [None, 1000, 9000], "in the order of the prompts; of nothing, nothing"
    assert next(iter(seg.scores)) == "entity_tube_iou", "what it is judged by comes first"
    assert {figure.key: figure.subject for figure in found.figures}["entity_tube_iou"] == "entity segmentation"
    assert seg.film.prompts == [1, 2] and 2 not in base.film.prompts, (
        "the first of its own, and the worst by each figure"
    )
    levels = [
        decode_mp4((tmp_path / f"media/multi/seg/000{index}.mp4").read_bytes())[:, :, :64].mean() for index in (1, 2)
    ]
    assert np.allclose(levels, [120, 200], atol=4)


def test_the_worst_are_those_at_the_end_that_is_not_better():
    scores = {f"clip {index}": {"subject_consistency": index / 10, "depth_rmse": index / 10} for index in range(4)}
    found = SampleScores(list(scores), scores)
    assert worst(found, describe("subject_consistency"), 2) == ["clip 0", "clip 1"]
    assert worst(found, describe("depth_rmse"), 1) == ["clip 3"]
    assert with_films(found, 1, 1) == ["clip 0", "clip 3"] and with_films(found, 2, 0) == ["clip 0", "clip 1"]


def test_a_labellers_figures_follow_in_the_order_of_those_that_they_are_set_beside():
    own = ["depth_delta1_unaligned", "depth_rmse_unaligned", "depth_delta1"]
    scores = {key: 0.5 for key in ("subject_consistency", *own)}
    scores = {f"depth_anything_{key}": 0.5 for key in sorted(own)} | scores
    keys = [figure.key for figure in SampleScores(["clip"], {"clip": scores}).figures()]
    assert keys == ["subject_consistency", *own, *(f"depth_anything_{key}" for key in own)]


def test_controls_and_marks_are_no_figures_of_a_video(results):
    write_scores(
        results, "multi", "seg", {"clip": {"entity_tube_iou": 0.5, "entity_tube_iou_shuffled": 0.1, "still": 1.0}}
    )
    found = read_scores(small_inputs(small_job(), results), "multi", "seg")
    assert set(found.scores["clip"]) == {"subject_consistency", "entity_tube_iou"}


def test_a_page_of_the_papers_size_stays_below_two_megabytes(tmp_path):
    """1,024 prompts at the text encoder's 226 tokens, twelve runs and tasks with ten figures each."""
    rng, count = np.random.default_rng(0), 1024
    keys = ("subject_consistency", "background_consistency", "motion_smoothness", "entity_tube_iou", "entity_tube_pq",
            "solid_tube_iou", "depth_delta1", "depth_rmse", "depth_abs_rel", "depth_delta1_unaligned")  # fmt: skip
    film = Film(streams=films.STREAMS, width=720, height=480, frames=49, fps=8, values="ids", prompts=list(range(60)))
    pairs = [
        Pair(run=f"run_{index}", task="seg", label="a run", phrase="entities", legend="colours", origin=None, film=film,
             scores={key: rng.integers(0, 9999, count).tolist() for key in keys})
        for index in range(12)
    ]  # fmt: skip
    prompts = [Prompt(id=f"clip-{index:016d}", text="a long prompt of words " * 26) for index in range(count)]
    figures = [SampleFigure.of(describe(key)) for key in keys]
    data = Samples(
        prompts=prompts, figures=figures, pairs=pairs, base=0, featured="run_1", films_first=24, films_worst=4
    )
    write_site(tmp_path, [Page("samples", "Samples", data, ("film.js", "samples.js"))], {"config": small_job().config})
    assert (tmp_path / "samples.html").stat().st_size < 2e6
