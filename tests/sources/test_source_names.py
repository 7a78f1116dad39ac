"""Clips that were cut from one film are recognised by their names, and films are not taken for clips of one."""

from __future__ import annotations

import time

import pytest

from udpdiff.config.data import Clips
from udpdiff.sources.clip_lists import video_names
from udpdiff.sources.folder_notices import grouping_notice
from udpdiff.sources.source_names import group, source_of

FILMS = range(10)
CLIPS = Clips(
    height=64, width=64, num_frames=9, fps=8, train=10_000, evaluation=10_000, evaluation_share=0.2, shard_clips=50
)
# How programs name the clips that they cut: film number, clip number -> file name.
CUTTERS = {
    "pyscenedetect": "movie{film}-Scene-{clip:03d}.mp4",
    "pyscenedetect by hand": "Movie {film} - Scene {clip:03d}.mkv",
    "numbers": "{film:07d}_{clip:05d}.mp4",
    "numbers of both": "film_{film}_{clip:03d}.mp4",
    "underscore": "film{film}x_{clip:03d}.mp4",
    "ffmpeg": "film{film}out{clip:03d}.mp4",
    "ffmpeg with a dash": "film{film}-{clip:03d}.ts",
    "panda70m": "0WjR6cSMi2{film}.{clip}.mp4",
    "panda70m's loader": "0WjR6cSMi2{film}_{clip}.mp4",
    "kinetics": "0WjR6cSMi2{film}_{clip:06d}_{clip:03d}010.mp4",
    "openvid": "celebv_xyz{film}ab_0_{clip}.mp4",
    "openvid, two counters": "celebv_q{film}r_{clip}_7.mp4",
    "parts": "film {film}_part{clip}.mp4",
    "discs": "film {film} CD{clip}.avi",
    "browser": "film {film}z ({clip}).mp4",
    "words": "film{film}_clip_{clip:02d}.mp4",
    "scenes": "film{film}_scene_{clip:02d}.mp4",
    "dvd": "VTS_{film:02d}_{clip}.VOB",
    "gopro": "GX{clip:02d}100{film}.MP4",
    "losslesscut": "film {film}-00.0{clip}.10.000-00.0{clip}.20.500.mp4",
    "losslesscut's segments": "film {film}-00.0{clip}.10.000-00.0{clip}.20.500-seg{clip}.mp4",
    "internvid": "0WjR6cSMi2{film}_00:00:0{clip}.000_00:00:0{clip}.900.mp4",
    "seconds": "v_0WjR6cSMi2{film}_{clip}.5_1{clip}.25.mp4",
    "kinetics, an id of letters alone": "AbCdEfGhIj{letter}_{clip:06d}_{clip:03d}010.mp4",
    "ucf101": "v_Diving_g{film:02d}_c{clip:02d}.avi",
    "copies of windows": "film {letter} - Copy ({clip}).mp4",
    "composed": "caf\u00e9{film}-Scene-{clip:03d}.mp4",
}


def names_of(pattern: str) -> list[str]:
    return [pattern.format(film=film, letter="abcdefghij"[film], clip=clip) for film in FILMS for clip in range(1, 8)]


@pytest.mark.parametrize("pattern", CUTTERS.values(), ids=CUTTERS)
def test_no_film_serves_both_splits(pattern):
    names = names_of(pattern)
    source_of = group(names).source_of
    assert len(set(source_of.values())) == len(FILMS)
    shards = video_names(source_of, names, 7, CLIPS).shards
    films = {split: {names.index(name) // 7 for shard in lists for name in shard} for split, lists in shards.items()}
    assert sorted(films["train"] | films["evaluation"]) == list(FILMS) and not films["train"] & films["evaluation"]
    assert len(films["evaluation"]) == 2 and sum(map(len, shards["evaluation"])) == 14


def test_a_name_in_both_of_unicodes_forms_is_one_source():
    assert set(group(["caf\u00e9-Scene-001.mp4", "cafe\u0301-Scene-002.mp4", "b.mp4"]).source_of.values()) == {
        "caf\u00e9",
        "b",
    }


@pytest.mark.parametrize(
    "names",
    [
        ["IMG_0001.MOV", "IMG_0002.MOV", "IMG_E0003.MOV"],
        ["DSC00012.MOV", "DSC_0013.MOV", "DSCN0014.AVI", "DSCF0015.AVI"],
        ["MVI_4001.MOV", "MOV00012.3gp", "PXL_20210503_123045678.mp4", "DJI_0001.MP4", "DJI_0002.MP4"],
        ["VID_20210503_123045.mp4", "VID_20210503_123145.mp4"],
        ["20210503_123045.mp4", "20210503_123145.mp4"],
        ["2021-05-03 12.30.45.mp4", "2021-05-03 12.30.55.mp4", "WhatsApp Video 2021-05-03 at 12.31.45.mp4"],
        ["C0001.MP4", "C0002.MP4", "P1000012.MP4", "P1000013.MP4", "00000.MTS", "00001.MTS"],
        ["GX010001.MP4", "GX010002.MP4"],
        ["cats.mp4", "dogs.mp4", "take2.mp4", "take3.mp4"],
    ],
)
def test_files_of_a_camera_stay_apart(names):
    grouping = group([*names, "film1-Scene-001.mp4", "film1-Scene-002.mp4"])
    assert len({grouping.source_of[name] for name in names}) == len(names) and not grouping.guessed


def test_names_that_a_number_alone_tells_apart_are_films_and_it_is_said():
    grouping = group([f"video_{number:03d}.mp4" for number in range(30)])
    assert len(set(grouping.source_of.values())) == 30
    said = grouping_notice(grouping)
    assert "differ in a number alone (video ...)" in said and "column `source`" in said


def test_numbers_of_nearly_all_files_tell_films_apart_and_of_some_they_do_not():
    names = [f"video {number}.mp4" for number in range(20)]
    grouping = group([*names, "beach.mp4", "film1_001.mp4", "film1_002.mp4"])
    assert len(set(grouping.source_of.values())) == 22 and grouping.guessed == {"film1"}
    assert "nearly all names differ in a number alone (video ...)" in grouping_notice(grouping)
    films = [f"my_film_{film}_{clip:03d}.mp4" for film in range(5) for clip in range(4)]
    assert len(set(group(films).source_of.values())) == 5


def test_a_single_film_cut_by_a_program_cannot_be_split():
    grouping = group([f"film-Scene-{number:03d}.mp4" for number in range(30)])
    assert set(grouping.source_of.values()) == {"film"}
    with pytest.raises(ValueError, match="column `source`"):
        video_names(grouping.source_of, grouping.source_of, 7, CLIPS)


def test_sources_of_the_csv_hold():
    names = ["a_001.mp4", "a_002.mp4", "b.mp4", "c.mp4"]
    grouping = group(names, {"a_001.mp4": "one", "b.mp4": "one"})
    assert grouping.source_of == {"a_001.mp4": "one", "a_002.mp4": "a", "b.mp4": "one", "c.mp4": "c"}


def test_the_grouping_is_told_in_a_sentence():
    names = [*names_of(CUTTERS["pyscenedetect"]), "z_1.mp4", "z_2.mp4", "single.mp4"]
    said = grouping_notice(group(names))
    assert "73 videos were cut from 12 sources" in said and "movie0 (7: movie0-Scene-001.mp4 ...)" in said
    assert "and 9 more" in said and "may be different films" in said
    assert "Each of the 2 videos" in grouping_notice(group(["a.mp4", "b.mp4"]))


def test_many_names_take_moments():
    names = [f"celebv_{number * 7919:x}_{number % 7}_{number}.mp4" for number in range(20_000)]
    begun = time.process_time()
    assert len(group(names).source_of) == 20_000
    assert time.process_time() - begun < 3


def test_single_names():
    assert source_of("celebv_xxx_0_1.mp4") == "celebv_xxx" and source_of("my trip.mp4") == "my trip"
    assert (
        source_of("Copy of Copy of film.mov")
        == source_of("film - Copy (2).mov")
        == source_of("film (1) (2).mov")
        == "film"
    )
    assert source_of("Screen Recording 2024-01-01 at 10.00.00.mov") == "Screen Recording 2024-01-01 at 10.00.00"
