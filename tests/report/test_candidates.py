"""The funnel begins where the source does: at the entries of Panda-70M's table, or at the files of a folder."""

from __future__ import annotations

import csv

import pytest
from small_results import small_inputs, small_job, write_results

from udpdiff.jobs import ChooseClips
from udpdiff.report.funnel import funnel
from udpdiff.sources.panda70m_files import write_sample
from udpdiff.sources.panda70m_table import COLUMNS
from udpdiff.storage.parquet import read_notes, write_table
from udpdiff.workflow.clips import CHOSEN


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("work") / "results"
    write_results(folder)
    return folder


def record(number: int, **changes) -> list[str]:
    """A source video of one clip of five seconds."""
    name = f"{number:011d}"
    fields = {
        "videoID": name,
        "url": f"https://www.youtube.com/watch?v={name}",
        "timestamp": "[['0:00:00.000', '0:00:05.000']]",
        "caption": "['A dog.']",
        "matching_score": "[0.5]",
        "desirable_filtering": "['desirable']",
        "shot_boundary_detection": "[[['0:00:00.000', '0:00:04.960']]]",
    }
    return list((fields | changes).values())


def choose(job, results) -> None:
    """Twenty good clips, of which 10 and 5 of reserve are drawn; one for each gate, and a record that is none."""
    bad = [
        {"desirable_filtering": "['1_still_foreground_image']"},
        {"matching_score": "[0.1]"},
        {"timestamp": "[['0:00:00.000', '0:05:00.000']]"},
        {"caption": "[open('x')]"},
    ]
    rows = [record(number) for number in range(20)] + [record(90 + index, **each) for index, each in enumerate(bad)]
    table = results.parent / "table.csv"
    with table.open("w", newline="") as file:
        csv.writer(file).writerows([COLUMNS, *rows])
    wanted = {"train": job.config.clips.train, "evaluation": job.config.clips.evaluation, "reserve": 0.5}
    told = ChooseClips(table="", seed=1, min_seconds=1.0, gates=job.config.panda70m.gates, **wanted)
    chosen = results.parent / CHOSEN
    chosen.parent.mkdir(exist_ok=True)
    assert write_sample(told, table, chosen, chosen.with_name("rejected.csv")) == read_notes(chosen)[1]


def lost(inputs, split: str, *reasons: str) -> None:
    """Clips of a source that were tried and left out."""
    summary = next(each for each in inputs.summaries if (each.folder, each.split) == ("clips", split))
    summary.rejected[:] = [{"clip_id": f"{split} {reason}", "reason": reason, "scores": None} for reason in reasons]


def stages(inputs) -> dict[str, tuple[dict, dict]]:
    """Name of each stage -> what is left, and reasons with their number over both splits."""
    found = funnel(inputs).stages
    return {
        each.name: (each.left, {reason.reason: sum(reason.counts.values()) for reason in each.reasons})
        for each in found
    }


def test_a_clip_of_panda70m_is_counted_from_the_table_on(results):
    job = small_job("panda70m")
    choose(job, results)
    inputs = small_inputs(job, results)
    lost(inputs, "train", "dead link: gone; see elsewhere", "too short: 1 s", "blurred: 1; too still: 0")
    lost(inputs, "evaluation", "private video: Private")
    found = stages(inputs)
    assert list(found)[:3] == ["clips in the table", "clips that pass the gates", "drawn at random"]
    assert found["clips in the table"] == ({"both": 23}, {})
    assert found["clips that pass the gates"][0] == {"both": 20}
    gates = found["clips that pass the gates"][1]
    assert [(key.split(" ")[0], count) for key, count in sorted(gates.items())] == [("caption", 1), ("marked", 1), ("too", 1)]  # fmt: skip
    drawn, why = found["drawn at random"]
    assert sum(drawn.values()) + why["not drawn"] == 20 and drawn["train"] >= 3 and drawn["evaluation"] >= 3
    asked, why = found["asked for online"]
    assert asked == {"train": 6, "evaluation": 4}
    assert why.get("reserve that was not needed", 0) == max(0, drawn["train"] - 6) + max(0, drawn["evaluation"] - 4)
    assert found["downloaded"] == ({"train": 5, "evaluation": 3}, {"dead link": 1, "private video": 1})
    assert found["cut to clips"] == ({"train": 4, "evaluation": 3}, {"too short": 1})
    assert found["clips that pass the filters"] == ({"train": 3, "evaluation": 3}, {"blurred": 1, "too still": 1})
    notes = [stage.note for stage in funnel(inputs).stages[:3]]
    assert notes[0] == "Of 23 source videos; records of the table that cannot be read: non literal (1)."
    assert notes[2].startswith("6 to serve, ")


def test_a_table_that_an_earlier_version_chose_begins_with_what_was_drawn(results):
    import pandas as pd

    write_table(results.parent / CHOSEN, pd.DataFrame([{"split": "train"}] * 4 + [{"split": "evaluation"}] * 3))
    found = stages(small_inputs(small_job("panda70m"), results))
    assert next(iter(found.items())) == ("drawn at random", ({"train": 4, "evaluation": 3}, {}))


def test_a_folder_of_videos_is_counted_from_its_files_on(results, tmp_path):
    videos = tmp_path / "videos"
    videos.mkdir()
    for index in range(10):
        (videos / f"more {index}.mp4").touch()
    (videos / "notes.txt").touch()
    inputs = small_inputs(small_job("videos", videos), results)
    lost(inputs, "train", "unreadable: <b>", "no caption")
    lost(inputs, "evaluation", "empty file", "too dark: 1")
    found = stages(inputs)
    drawn, why = found["files drawn at random"]
    assert found["video files in the folder"] == ({"both": 16}, {})
    assert sum(drawn.values()) + why["not drawn"] == 16
    assert found["files opened"][0] == {"train": 5, "evaluation": 5}
    assert found["read and cut to clips"] == (
        {"train": 3, "evaluation": 4},
        {"unreadable": 1, "no caption": 1, "empty file": 1},
    )
    assert found["clips that pass the filters"] == ({"train": 3, "evaluation": 3}, {"too dark": 1})
    assert "1 files of other endings (notes.txt)" in funnel(inputs).stages[0].note
