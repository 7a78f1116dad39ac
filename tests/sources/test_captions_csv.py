"""Captions are matched to files, and a csv that does not fit them is refused in words."""

from __future__ import annotations

import pytest

from udpdiff.sources.captions_csv import read_captions

FILES = ["a.1.mp4", "b.mp4", "c.mov"]


def read(tmp_path, text: str, files=FILES, encoding="utf-8") -> dict[str, str]:
    path = tmp_path / "captions.csv"
    path.write_bytes(text.encode(encoding))
    return read_captions(path, files)


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
        ("clip;caption\na.1;x\n", "the columns clip;caption"),
        ("clip,text\na.1,x\n", "the columns clip, text"),
        ("clip,caption,caption\na.1,x,y\n", "once each"),
        ("clip,caption\na.1,A cat, asleep.\n", "line 2: got 3 fields"),
        ("clip,caption\na.1\n", "line 2: got 1 fields"),
        ("clip,caption\na.1,x\nb,y\na.1.mp4,z\n", "line 4: got a second caption of 'a.1.mp4', the first is on line 2"),
        ("clip,caption\na.1,x\nd.mp4,y\n,z\n", r"2 clips that are no file .*'d.mp4' \(line 3\), '' \(line 4\)"),
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
    files = ["a.mp4", "a.mov"]
    assert read(tmp_path, "clip,caption\na.mp4,x\n", files) == {"a.mp4": "x"}
    with pytest.raises(ValueError, match="could be several"):
        read(tmp_path, "clip,caption\na,x\n", files)


def test_other_encodings_are_named(tmp_path):
    with pytest.raises(ValueError, match="UTF-8"):
        read(tmp_path, "clip,caption\na.1,caf\xe9\n", encoding="latin-1")
