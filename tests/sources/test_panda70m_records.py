"""Records of Panda-70M by hand: what times mean, and what makes a record another's."""

from __future__ import annotations

import csv

import pytest

from udpdiff.sources.panda70m_table import COLUMNS, PandaVideo, RejectedRow, RowFault, read_table

ID, OTHER = "AAAAAAAAAAA", "BBBBBBBBBBB"


def record(video_id: str = ID, times=(("0:00:00.000", "0:00:05.000"),), shots=None, **changes) -> list[str]:
    fields = {
        "videoID": video_id,
        "url": f"https://www.youtube.com/watch?v={video_id}",
        "timestamp": repr([list(each) for each in times]),
        "caption": repr([f"Clip {number}." for number in range(len(times))]),
        "matching_score": repr([0.1 * number + 0.5 for number in range(len(times))]),
        "desirable_filtering": repr(["desirable"] * len(times)),
        "shot_boundary_detection": repr(shots or [[["0:00:00.000", "0:00:04.960"]]] * len(times)),
    }
    return list((fields | changes).values())


@pytest.fixture
def read(tmp_path):
    def rows(*records: list[str]) -> list[PandaVideo | RejectedRow]:
        with (tmp_path / "table.csv").open("w", newline="") as file:
            csv.writer(file).writerows([COLUMNS, *records])
        return list(read_table(tmp_path / "table.csv"))

    return rows


def test_times_are_hours_minutes_and_seconds(read):
    times = [("0:00:01.500", "0:01:00.000"), ("0:59:59.999", "1:00:00.000"), ("1:02:03.250", "12:34:56.789")]
    shots = [[["0:00:00.000", "0:00:02.000"], ["0:00:02.000", "0:00:58.500"]], [["0:00:00.000", "0:00:00.001"]]]
    [video] = read(record(times=times, shots=[*shots, [["0:00:00.000", "1:00:01.000"]]]))
    assert [clip.start for clip in video.clips] == pytest.approx([1.5, 3599.999, 3723.25])
    assert [clip.end for clip in video.clips] == pytest.approx([60, 3600, 12 * 3600 + 34 * 60 + 56.789])
    assert [clip.shots for clip in video.clips] == [((0, 2), (2, 58.5)), ((0, 0.001),), ((0, 3601),)]
    assert [(clip.index, clip.caption) for clip in video.clips] == [(0, "Clip 0."), (1, "Clip 1."), (2, "Clip 2.")]
    assert [clip.matching_score for clip in video.clips] == pytest.approx([0.5, 0.6, 0.7])


@pytest.mark.parametrize("times", [("0:00:05.000", "0:00:05.000"), ("0:00:05.000", "0:00:04.000")])
def test_a_clip_that_does_not_end_after_it_starts_rejects_its_record(read, times):
    [row] = read(record(times=[times]))
    assert row.fault == RowFault.TIMESTAMP


def test_an_address_of_another_video_and_a_second_record_of_one_are_rejected(read):
    elsewhere = record(url=f"https://www.youtube.com/watch?v={OTHER}")
    rows = read(elsewhere, record(), record(OTHER), record(), record(OTHER, url="https://example.org"))
    assert [getattr(row, "fault", None) for row in rows] == [
        RowFault.URL_ID,
        None,
        None,
        RowFault.DUPLICATE,
        RowFault.URL,
    ]
    assert [row.number for row in rows] == [1, 2, 3, 4, 5]
