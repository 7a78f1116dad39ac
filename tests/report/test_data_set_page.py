"""The data set's page: from candidates to clips, distributions, what can be searched."""

from __future__ import annotations

import numpy as np
import pytest
from small_results import HOSTILE, clip_ids, measure_labels, small_inputs, small_job, write_results

from udpdiff.report.funnel import funnel
from udpdiff.report.histograms import histogram
from udpdiff.report.pages import data_set as page
from udpdiff.storage.captions import Caption, CaptionWriter
from udpdiff.storage.summaries import Summary


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("work") / "results"
    write_results(folder)
    return folder


def test_each_stage_counts_what_passed_all_before_it(results):
    inputs = small_inputs(small_job(), results)
    judge = next(each for each in inputs.summaries if (each.folder, each.split) == ("entities/entityseg", "train"))
    lost = judge.clips.pop(clip_ids("train")[0])
    judge.rejected.append({"clip_id": clip_ids("train")[0], "reason": "low coverage: 0.1; no entities", "scores": lost})
    found = funnel(inputs)
    assert [(stage.name, stage.left["train"]) for stage in found.stages] == [
        ("scenes rendered", 4),
        ("clips that pass the filters", 3),
        ("with entities", 2),
        ("with depth", 2),
        ("with captions", 2),
    ]
    reasons = {stage.name: {each.reason: each.counts for each in stage.reasons} for stage in found.stages}
    assert reasons["clips that pass the filters"] == {"broken": {"train": 1, "evaluation": 1}}
    assert reasons["with entities"] == {
        "low coverage": {"train": 1, "evaluation": 0},
        "no entities": {"train": 1, "evaluation": 0},
    }
    assert reasons["with captions"] == {"looping caption": {"train": 1, "evaluation": 1}}
    assert found.sources == {"train": 2, "evaluation": 2} and found.rejected == len(found.rejections) == 5
    assert found.rejections[0].reason == "broken: <b>no</b>"


def test_a_stage_whose_shards_were_not_all_read_has_no_number(results):
    inputs = small_inputs(small_job(), results)
    inputs.summaries.append(Summary("clips", "clips", "evaluation", {}, {"another": {}}, [], 1))
    left = [stage.left["evaluation"] for stage in funnel(inputs).stages]
    assert left == [5, 4, None, None, None]


def test_clips_can_be_searched_by_name_caption_and_figures(results, tmp_path):
    inputs = small_inputs(small_job(), results, [measure_labels(results, small_job())])
    found = page.data_set(inputs, tmp_path / "media")
    clips = {clip.clip_id: clip for clip in found.clips}
    assert list(clips) == [*clip_ids("evaluation"), *clip_ids("train")] or list(clips) == [*clip_ids("train"), *clip_ids("evaluation")]  # fmt: skip
    assert found.clip_count == 6 and clips[clip_ids("train")[0]].caption == HOSTILE
    train, evaluation = clips[clip_ids("train")[0]].figures, clips[clip_ids("evaluation")[0]].figures
    assert train["motion"] == 1.0 and train["entities"] >= 2 and "entity_miou" not in train
    assert evaluation["entity_miou"] == 1.0 and set(found.clip_figures) == set(evaluation)
    labels = [each.label for each in found.histograms]
    assert labels == ["entities per clip"], "in all other figures these clips are alike"
    assert [len(film.words.detailed) for film in found.films] == [len(HOSTILE)] * 3


def test_captions_count_for_all_shards(results, tmp_path):
    """A caption table of a further shard is read too, and one that is missing is no silence."""
    job = small_job(clips={"train": 5})
    inputs = small_inputs(small_job(), results)
    inputs.workflow = type(inputs.workflow)(job.config)
    with pytest.raises(FileNotFoundError, match=r"captions/train/1\.parquet"):
        funnel(inputs)
    with CaptionWriter(tmp_path / "results/captions/train/1.parquet", {}) as table:
        table.add("more", Caption("a", "x", 3), Caption("a b", "x", 4))
    inputs.caption_tables = lambda split: [tmp_path / "results/captions/train/1.parquet"]
    assert funnel(inputs).stages[-1].left["train"] == 0, "none of its clips is among those with labels"


def test_histograms_by_hand():
    few = histogram("n", {"train": [2, 3, 3], "evaluation": [5], "rejected": []}, limits=[2.5])
    assert few.edges == [1.5, 2.5, 3.5, 4.5, 5.5] and few.limits == [2.5]
    assert [(each.name, each.counts) for each in few.series] == [("train", [1, 2, 0, 0]), ("evaluation", [0, 0, 0, 1])]
    values = np.r_[np.linspace(0, 1, 999), 1000.0]
    many = histogram("x", {"train": values})
    assert many.edges[-1] < 1.1 and sum(many.series[0].counts) == 1000, "one far out does not flatten the rest"
    sparse = histogram("x", {"train": np.r_[np.zeros(999), 7.5]})
    assert sparse.edges[-1] == 7.5, "percentiles that fall together are no range"
    assert histogram("x", {"train": [0.5, 0.5, float("nan")]}) is histogram("x", {"train": []}) is None
