"""Captions are matched to files, and a csv that does not fit them is refused in words."""

from __future__ import annotations

import pytest

from udpdiff.sources.captions_csv import read_clip_table

FILES = ["a.1.mp4", "b.mp4", "c.mov"]


def read(tmp_path, text: str, files=FILES, encoding="utf-8") -> dict[str, str]:
    path = tmp_path / "captions.csv"
    path.write_bytes(text.encode(encoding))
    return read_clip_table(path, files).captions


def read_table(tmp_path, text: str, files=FILES):
    path = tmp_path / "captions.csv"
    path.write_bytes(text.encode())
    return read_clip_table(path, files)


def test_names_with_and_without_extension_and_other_columns(tmp_path):
    text = 'fps,clip,caption\n8,a.1.mp4,"A cat, asleep."\n9,b, two  words\n\n7,c.mov,"two\nlines é"\n'
    expected = {"a.1.mp4": "A cat, asleep.", "b.mp4": "two words", "c.mov": "two lines é"}
    assert read(tmp_path, text) == expected
    assert read(tmp_path, text, encoding="utf-8-sig") == expected
    assert read(tmp_path, text.replace("\n", "\r\n")) == expected


def test_clips_without_a_caption_are_left_out(tmp_path):
    assert read(tmp_path, "clip,caption\na.1,\nb,  \n") == {}


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", "the columns none"),
        ("clip|caption\na.1|x\n", "the columns clip|caption"),
        ("clip,text\na.1,x\n", "the columns clip, text"),
        ("clip,caption,caption\na.1,x,y\n", "once each"),
        ("clip,caption\na.1,A cat, asleep.\n", "line 2: got 3 fields"),
        ("clip,caption\na.1\n", "line 2: got 1 fields"),
        (
            "clip,caption\na.1,x\nb,y\na.1.mp4,z\n",
            "line 4: got a second caption or source of 'a.1.mp4', the first is on line 2",
        ),
        ("clip,caption\nd.mp4,y\n,z\n", r"none of its 2 rows names a file .*'d.mp4' \(line 2\), '' \(line 3\)"),
        ("clip,caption\na.1,x\0y\n", "line 2: got a NUL"),
        ("clip\na.1\n", "the columns clip;"),
        ("clip,caption,source\na.1,x,f\na.1,x,g\n", "line 3: got a second caption or source of 'a.1.mp4'"),
        ('clip,caption\na.1,"x\n', "expected a csv file"),
    ],
)
def test_faults_are_named(tmp_path, text, names):
    with pytest.raises(ValueError, match=names):
        read(tmp_path, text)


def test_many_unknown_clips_are_counted(tmp_path):
    text = "clip,caption\n" + "".join(f"x{number},y\n" for number in range(40))
    with pytest.raises(ValueError, match="and 35 more"):
        read(tmp_path, text)


def test_a_stem_of_two_files_names_neither(tmp_path):
    files = ["a.mp4", "a.mov", "b.mp4"]
    assert read(tmp_path, "clip,caption\na.mp4,x\n", files) == {"a.mp4": "x"}
    table = read_table(tmp_path, "clip,caption\na,x\nb,y\n", files)
    assert table.captions == {"b.mp4": "y"} and table.unknown == ["'a' (line 2)"]


def test_rows_without_a_file_are_listed_and_the_others_hold(tmp_path):
    table = read_table(tmp_path, "clip,caption\na.1,x\ngone.mp4,y\n,z\nc,w\n")
    assert table.captions == {"a.1.mp4": "x", "c.mov": "w"}
    assert table.unknown == ["'gone.mp4' (line 3)", "'' (line 4)"]


NFC, NFD = "caf\u00e9", "cafe\u0301"


@pytest.mark.parametrize(
    ("named", "file"),
    [
        (NFC, f"{NFD}.mp4"),
        (f"{NFD}.mp4", f"{NFC}.mp4"),
        ("IMG_1.mov", "IMG_1.MOV"),
        ("img_1", "IMG_1.MOV"),
        (f"{NFD.upper()}.MP4", f"{NFC}.mp4"),
    ],
)
def test_names_that_look_alike_are_one(tmp_path, named, file):
    assert read(tmp_path, f"clip,caption\n{named},x\n", [file, "b.mp4"]) == {file: "x"}


def test_names_that_differ_in_case_alone_are_told_apart_where_both_are_there(tmp_path):
    files = ["a.mp4", "A.mp4", "b.mp4"]
    assert read(tmp_path, "clip,caption\nA.mp4,x\na.mp4,y\n", files) == {"A.mp4": "x", "a.mp4": "y"}
    table = read_table(tmp_path, "clip,caption\na.MP4,x\nb,y\n", files)
    assert table.captions == {"b.mp4": "y"} and table.unknown == ["'a.MP4' (line 2)"]
    # An exact row is never taken for a second one of another file.
    table = read_table(tmp_path, "clip,caption\nB,x\nb,y\n", files)
    assert table.captions == {"b.mp4": "y"} and table.unknown == ["'B' (line 2)"]


def test_a_row_that_is_there_twice_counts_once(tmp_path):
    assert read(tmp_path, "clip,caption\na.1,x y\na.1.mp4,x  y\n") == {"a.1.mp4": "x y"}


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_the_header_tells_the_delimiter(tmp_path, delimiter):
    text = f'Clip{delimiter} Caption\r\na.1{delimiter}"x, y{delimiter} z"\r\n'
    assert read(tmp_path, text, encoding="utf-8-sig") == {
        "a.1.mp4": f"x, y{delimiter} z".replace("\t", " ").replace("  ", " ")
    }


def test_sources_are_read_with_captions_or_alone(tmp_path):
    table = read_table(tmp_path, "clip,source,caption\na.1,My  film,x\nb,,y\n")
    assert (table.captions, table.sources) == ({"a.1.mp4": "x", "b.mp4": "y"}, {"a.1.mp4": "My film"})
    table = read_table(tmp_path, "clip,source\na.1,one\nb,one\n")
    assert not table.has_captions and table.sources == {"a.1.mp4": "one", "b.mp4": "one"}


def test_other_encodings_are_named(tmp_path):
    with pytest.raises(ValueError, match="UTF-8"):
        read(tmp_path, "clip,caption\na.1,caf\xe9\n", encoding="latin-1")
