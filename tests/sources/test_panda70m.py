"""Panda-70M's tables: every hostile row is judged as expected, nothing is evaluated, and samples are uniform and stable."""

from __future__ import annotations

import csv
import json
import zipfile
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from udpdiff.config.data import PandaGates
from udpdiff.jobs import ChooseClips
from udpdiff.sources.panda70m_sample import choose_clips, refusal
from udpdiff.sources.panda70m_table import COLUMNS, PandaClip, PandaVideo, RejectedRow, RowFault, read_table

FOLDER = Path(__file__).resolve().parents[3] / "shared" / "golden" / "panda70m_csv"
GATES = PandaGates(max_seconds=60, min_matching_score=0.43, desirable_only=True, single_shot=True, clips_per_video=3)


def job(train: int, evaluation: int, seed: int, min_seconds: float = 1.0, reserve: float = 0.5, **gates) -> ChooseClips:
    numbers = {"seed": seed, "train": train, "evaluation": evaluation, "min_seconds": min_seconds, "reserve": reserve}
    return ChooseClips(table="", **numbers, gates=GATES.model_copy(update=gates))


@pytest.fixture
def golden():
    """Read a file of the reference tables; skips where there are none."""

    def find(name: str):
        if not (FOLDER / name).exists():
            pytest.skip("no reference tables at ../shared/golden/panda70m_csv")
        return json.loads((FOLDER / name).read_text()) if name.endswith(".json") else FOLDER / name

    return find


def record(video_id="AAAAAAAAAAA", clips=2, **changes) -> list[str]:
    """A well-formed record of five-second clips."""
    times = [[f"0:00:{5 * i:02d}.000", f"0:00:{5 * i + 5:02d}.000"] for i in range(clips)]
    fields = {
        "videoID": video_id,
        "url": f"https://www.youtube.com/watch?v={video_id}",
        "timestamp": repr(times),
        "caption": repr([f"Clip {i}." for i in range(clips)]),
        "matching_score": repr([0.5] * clips),
        "desirable_filtering": repr(["desirable"] * clips),
        "shot_boundary_detection": repr([[["0:00:00.000", "0:00:04.960"]]] * clips),
    }
    return list((fields | changes).values())


def write(path: Path, records: list[list[str]]) -> Path:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([COLUMNS, *records])
    return path


def test_hostile_records_are_judged_one_by_one(golden, tmp_path, monkeypatch):
    expected = golden("hostile.expected.json")
    monkeypatch.chdir(tmp_path)
    rows = list(read_table(golden("hostile.csv")))
    assert len(rows) == expected["counts"]["records"]
    for row, wanted in zip(rows, expected["records"], strict=True):
        assert row.number == wanted["record"]
        if wanted["expect"] == "reject":
            assert isinstance(row, RejectedRow), wanted
            assert row.fault.value in [wanted["reason"], *wanted.get("also_ok", [])], (wanted, row)
            continue
        assert isinstance(row, PandaVideo), (wanted, row)
        assert (row.video_id, len(row.clips)) == (wanted["videoID"], wanted["num_clips"])
        for clip, wanted_clip in zip(row.clips, wanted.get("clips", [wanted.get("first_clip")]), strict=False):
            assert (clip.caption, clip.matching_score) == (wanted_clip["caption"], wanted_clip["matching_score"])
            assert (clip.start, clip.end) == pytest.approx((wanted_clip["start_s"], wanted_clip["end_s"]), abs=1e-3)
    for name in expected["must_not_exist_after_parsing"]:
        assert not (tmp_path / name).exists() and not Path(name).exists()


def test_a_good_table_is_read_exactly(golden):
    expected = golden("table.expected.json")
    videos = {video.video_id: video for video in read_table(golden("table.csv"))}
    assert len(videos) == expected["table_totals"]["rows"]
    assert sum(len(video.clips) for video in videos.values()) == expected["table_totals"]["clips"]
    gates = GATES.model_copy(update={"max_seconds": 1e9})
    passing = []
    for wanted_clip in expected["local_clips"]:
        clip = videos[wanted_clip["videoID"]].clips[wanted_clip["clip_index"]]
        assert (clip.caption, clip.matching_score, clip.desirable) == (
            wanted_clip["caption"],
            wanted_clip["matching_score"],
            wanted_clip["desirable_filtering"],
        )
        assert (clip.start, clip.end) == pytest.approx((wanted_clip["start_s"], wanted_clip["end_s"]), abs=1e-3)
        assert [list(shot) for shot in clip.shots] == [pytest.approx(shot, abs=1e-3) for shot in wanted_clip["shots_s"]]
        if refusal(clip, gates, 0) is None:
            passing.append(wanted_clip["clip"])
    assert passing == expected["local_clips_passing"]


def test_a_missing_column_is_named(golden):
    with pytest.raises(ValueError, match="missing column 'timestamp'"):
        next(read_table(golden("bad_header.csv")))


def test_a_zip_reads_like_its_csv(tmp_path):
    table = write(tmp_path / "table.csv", [record(), record("BBBBBBBBBBB")])
    with zipfile.ZipFile(tmp_path / "table.zip", "w") as archive:
        archive.write(table, "table.csv")
    assert list(read_table(tmp_path / "table.zip")) == list(read_table(table))


@pytest.mark.parametrize(
    "change, fault",
    [
        ({"caption": "[open('pwned', 'w'), 'b']"}, RowFault.NON_LITERAL),
        ({"caption": "['']*2"}, RowFault.NON_LITERAL),
        ({"caption": "['', 'b']"}, RowFault.CAPTION),
        ({"caption": r"['a\x00', 'b']"}, RowFault.CAPTION),
        ({"caption": r"['a\ud800', 'b']"}, RowFault.CAPTION),
        ({"matching_score": f"[1{'0' * 400}, 0.5]"}, RowFault.SCORE),
        ({"matching_score": f"[0x{'f' * 9000}, 0.5]"}, RowFault.SCORE),
        ({"timestamp": f"[0x{'f' * 9000}, 0x{'f' * 9000}]"}, RowFault.TIMESTAMP),
        ({"desirable_filtering": f"[0x{'f' * 9000}, 'desirable']"}, RowFault.CLASS),
        ({"url": "https://www.youtube.com/watch?v=AAAAAAAAAAA\n"}, RowFault.URL),
        ({"url": "https://www.youtube.com/watch?v=AAAAAAAAAAA&list=x"}, RowFault.URL),
        ({"matching_score": "[True, 0.5]"}, RowFault.SCORE),
        ({"timestamp": "[]"}, RowFault.LENGTHS),
    ],
)
def test_further_faults(tmp_path, change, fault, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rejected, kept = read_table(write(tmp_path / "t.csv", [record(**change), record("BBBBBBBBBBB")]))
    assert rejected.fault == fault and kept.video_id == "BBBBBBBBBBB"
    assert not (tmp_path / "pwned").exists()


def videos(tmp_path, count: int, clips: int = 2):
    ids = [f"V{number:010d}" for number in range(count)]
    return list(read_table(write(tmp_path / "t.csv", [record(video_id, clips) for video_id in ids])))


def test_splits_share_no_video_and_reserves_follow(tmp_path):
    sample = choose_clips(videos(tmp_path, 200), job(train=80, evaluation=20, seed=1))
    assert len(sample.train) + len(sample.evaluation) == 120 + 30 + GATES.clips_per_video - 1
    assert len(sample.train) >= 120 and len(sample.evaluation) >= 30
    assert not {clip.video_id for clip in sample.train} & {clip.video_id for clip in sample.evaluation}
    assert sample.counts["clip: passed"] == 400


def test_the_sample_does_not_depend_on_the_tables_order(tmp_path):
    rows = videos(tmp_path, 60)
    forward, backward = (choose_clips(r, job(20, 5, seed=3)) for r in (rows, rows[::-1]))
    assert forward.train == backward.train and forward.evaluation == backward.evaluation
    assert forward.train != choose_clips(rows, job(20, 5, seed=4)).train


def test_every_clip_is_as_likely_as_any_other(tmp_path):
    rows, drawn = videos(tmp_path, 20), Counter()
    for seed in range(400):
        sample = choose_clips(rows, job(9, 1, seed=seed, reserve=0))
        drawn.update(clip.clip_id for clip in sample.train + sample.evaluation)
    # 400 draws of 12 out of 40: 120 each, standard deviation 9.2.
    assert len(drawn) == 40 and min(drawn.values()) > 80 and max(drawn.values()) < 160


def test_gates_are_open_at_their_bounds():
    clip = PandaClip(0, 10.0, 11.0, "A clip.", 0.43, "desirable", ((0.0, 1.0),))
    assert refusal(clip, GATES, 1.0) is None
    assert refusal(replace(clip, matching_score=0.429), GATES, 1.0) == "matching score"
    assert refusal(replace(clip, end=70.0), GATES, 1.0) is None
    assert refusal(replace(clip, end=70.5), GATES, 1.0) == refusal(replace(clip, end=10.9), GATES, 1.0) == "length"
    assert refusal(replace(clip, desirable="0_low_desirable_score"), GATES, 1.0) == "undesirable"
    assert refusal(replace(clip, shots=((0.0, 0.5), (0.5, 1.0))), GATES, 1.0) == "several shots"


def test_clips_of_one_video_are_as_likely_as_each_other(tmp_path):
    """Two of six clips of each video pass: which ones does not depend on their order in the table."""
    rows, drawn = videos(tmp_path, 10, clips=6), Counter()
    for seed in range(300):
        sample = choose_clips(rows, job(15, 4, seed=seed, reserve=0, clips_per_video=2))
        drawn.update(clip.clip_id[-1] for clip in sample.train + sample.evaluation)
    total = drawn.total()
    # A sixth each; the standard deviation of a share is about 0.5 percent.
    assert all(abs(drawn[str(index)] / total - 1 / 6) < 0.02 for index in range(6)), drawn


def test_every_video_is_as_likely_to_evaluate(tmp_path):
    rows, evaluating = videos(tmp_path, 12, clips=1), Counter()
    for seed in range(400):
        sample = choose_clips(rows, job(6, 4, seed=seed, reserve=0))
        evaluating.update({clip.video_id for clip in sample.evaluation})
    # 4 of 12 in 400 draws: 133 each, standard deviation 9.4.
    assert len(evaluating) == 12 and min(evaluating.values()) > 95 and max(evaluating.values()) < 172


def test_the_sample_comes_in_the_order_of_ranks(tmp_path):
    """So that a smaller one is its beginning, and the reserve its end."""
    rows = videos(tmp_path, 60, clips=1)
    few, many = (choose_clips(rows, job(count, 5, seed=1, reserve=0)) for count in (10, 50))
    few, many = ([clip.clip_id for clip in sample.train] for sample in (few, many))
    assert [name for name in many if name in few] == [name for name in few if name in many]
    assert many != sorted(many)


def test_a_video_gives_no_more_than_its_share(tmp_path):
    rows = videos(tmp_path, 30, clips=8)
    sample = choose_clips(rows, job(20, 4, seed=0, clips_per_video=2))
    assert max(Counter(clip.video_id for clip in sample.train + sample.evaluation).values()) <= 2
    assert sample.counts["clip: beyond clips_per_video"] == 30 * 6


def test_too_few_clips_are_told_with_what_became_of_the_rest(tmp_path):
    with pytest.raises(ValueError, match=r"Got 0 clips .* 25 are asked for.*length"):
        choose_clips(videos(tmp_path, 5), job(20, 5, seed=0, min_seconds=6))
