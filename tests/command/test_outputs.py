"""Which files a command replaces, which it refuses to, and how soon it says so."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from udpdiff.command.outputs import SETTINGS, Outputs, probe
from udpdiff.storage.errors import StorageError

ROOT = Path(__file__).parents[2]


def outputs(folder: Path, command: str = "generate", **settings) -> Outputs:
    return Outputs(folder, ["video", "depth"], ["strip.png"], {"command": command, "settings": settings})


def made(place: Outputs) -> None:
    place.clear()
    (place.folder / "video.mp4").write_text(str(place.request))
    (place.folder / "depth").mkdir()
    (place.folder / "depth/0000.png").write_text("frame")
    place.seal([place.folder / "video.mp4", place.folder / "depth"], {"commit": None})


def test_the_same_request_may_be_made_again_and_another_may_not(tmp_path):
    first, other = outputs(tmp_path, seed=0, prompt="a"), outputs(tmp_path, seed=1, prompt="a")
    first.check(("mp4", "png"), overwrite=False)
    made(first)
    first.check(("mp4", "png"), overwrite=False)
    with pytest.raises(
        ValueError, match=r"video\.mp4 is there already, made with seed 0, not 1 .*settings\.json.*--overwr"
    ):
        other.check(("mp4",), overwrite=False)
    with pytest.raises(ValueError, match=r"made by `udpdiff generate`"):
        outputs(tmp_path, "label", seed=0).check(("mp4",), overwrite=False)
    weights = Outputs(tmp_path, ["video"], [], {**first.request, "model": {"sha256": "ab"}})
    with pytest.raises(ValueError, match='made with model sha256 null, not "ab"'):
        weights.check(("mp4",), overwrite=False)
    other.check(("mp4",), overwrite=True)
    assert json.loads((tmp_path / SETTINGS).read_text()) == {
        "command": "generate", "settings": {"seed": 0, "prompt": "a"}, "files": ["depth", "video.mp4"],
        "provenance": {"commit": None},
    }  # fmt: skip


def test_what_is_replaced_goes_whole_and_what_is_the_users_stays(tmp_path):
    made(outputs(tmp_path, seed=0))
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "video").mkdir()
    (tmp_path / "video/cut.blend").write_text("mine")
    outputs(tmp_path, seed=1).clear()
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["cut.blend", "notes.txt", "video"]


@pytest.mark.parametrize("content", [None, "no json", "[1]", "{}"])
def test_files_of_unknown_making_are_not_replaced(tmp_path, content):
    (tmp_path / "video.mp4").write_text("mine")
    if content:
        (tmp_path / SETTINGS).write_text(content)
    with pytest.raises(ValueError, match=r"no settings\.json beside it says what it was made of; name another --out"):
        outputs(tmp_path, seed=0).check(("mp4",), overwrite=False)


def test_a_place_is_tried_and_left_as_it_was(tmp_path):
    probe(tmp_path / "new/and/newer")
    assert not list(tmp_path.iterdir())
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ValueError, match=r"--out: got .*file/x', which cannot be written into: Not a directory"):
        probe(tmp_path / "file/x")
    with pytest.raises(ValueError, match="cannot be written into"):
        outputs(Path("/proc/nowhere")).check(("mp4",), overwrite=False)


def test_a_write_that_fails_later_blames_no_disk_that_has_room(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(StorageError) as told:
        outputs(tmp_path / "file/x", seed=0).seal([], {})
    assert "Mend the place, its rights" in str(told.value) and "MiB free" not in str(told.value)


def test_refusals_load_no_library_of_networks(tmp_path):
    """All of them in one process; each is one paragraph, whatever lies beneath it."""
    (tmp_path / "torn.mp4").write_bytes(b"no film")
    (tmp_path / "file").write_text("mine")
    wrong = [
        *(["generate", "A ball.", *words] for words in (
            ["--frames", "10"], ["--task", "normals"], ["--task", "x"], ["--steps", "0"], ["--steps", "7"],
            ["--guidance", "nan"], ["--height", "60"], ["--model", "nowhere/at/all"], ["--model", "mini:no"],
            ["--model", "mini:cogvideox"], ["--out", "file"], ["--out", "file/x"], ["--device", "tpu"],
        )),
        *(["label", *words] for words in (
            ["no.mp4"], ["torn.mp4"], [".", "--depth"], ["torn.mp4", "--entities", "no"],
        )),
        ["export", "no", "out"], ["export", ".", "out"], ["export", ".", "file/out"], ["compare", "no", "other"],
        ["compare", "no", "other", "--out", "file"],
    ]  # fmt: skip
    code = (
        "import json, sys\nfrom udpdiff.command import main\ntold = []\n"
        "for words in json.loads(sys.argv[1]):\n    try:\n        main(words)\n        told.append('')\n"
        "    except ValueError as error:\n        told.append(str(error))\n"
        "heavy = [name for name in ('torch', 'diffusers', 'transformers') if name in sys.modules]\n"
        "print(json.dumps([told, heavy]))"
    )
    arguments = [sys.executable, "-c", code, json.dumps(wrong)]
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(arguments, cwd=tmp_path, capture_output=True, text=True, env=environment)
    told, heavy = json.loads(done.stdout or "[[], 0]")
    assert len(told) == len(wrong) and heavy == [], done.stderr
    assert all("xpected" in line or "allowed" in line or "name a" in line for line in told), told
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "torn.mp4"]


def test_a_paragraph_is_told_alone_and_the_traceback_where_it_is_asked_for(tmp_path):
    (tmp_path / "torn.mp4").write_bytes(b"no film")
    for words, lines in ((["label", "torn.mp4"], 1), (["label", "torn.mp4", "--debug"], 10)):
        line = [sys.executable, "-c", f"from udpdiff.command import main; main({words!r})"]
        environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}
        done = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, env=environment)
        told = done.stderr.strip().splitlines()
        assert done.returncode == 1 and "expected a video file" in told[-1], done.stderr
        assert len(told) == 1 if lines == 1 else "Traceback (most recent call last):" in told, done.stderr
