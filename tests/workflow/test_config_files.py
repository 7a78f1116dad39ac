"""Configuration files that cannot be read are told in a sentence; whoever kills Snakemake starts again with two commands."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from udpdiff import content_digests
from udpdiff.config import files as config_files
from udpdiff.config import layers as config_layers
from udpdiff.config_values import ConfigError

ROOT = Path(__file__).parents[2]
TINY = "clips: {train: 1, evaluation: 2, num_frames: 9}\n"
BAD = {
    "latin-1": ("source: {path: größe}".encode("latin-1"), "line 1 holds byte 0xf6, which is no UTF-8"),
    "utf-16": ("seed: 7".encode("utf-16"), "which is no UTF-8"),
    "tabs": (b"clips:\n\ttrain: 3\n", "tabs cannot indent"),
    "unclosed": (b"clips: {train: 20\n", "is no YAML"),
    "list": (b"- seed\n", "got a list at the top"),
    "word": (b"seed\n", "got a str at the top"),
    "twice": (b"seed: 1\nclips: {train: 1}\nseed: 2\n", "key 'seed' stands in lines 1 and 3"),
    "twice inside": (b"clips:\n  train: 1\n  train: 2\n", "key 'train' stands in lines 2 and 3"),
    "two documents": (b"seed: 1\n---\nseed: 2\n", "is no YAML"),
    "object": (b"seed: !!python/object/apply:os.system ['touch pwned']\n", "is no YAML"),
    "code": (b"__use_yte__: true\nseed: 8\n", "__use_yte__"),
    "zeros": (b"\0" * 100, "is no YAML"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_file_that_cannot_be_read_is_told_in_a_sentence(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    content, words = BAD[name]
    Path("mine.yaml").write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        config_files.read(Path("mine.yaml"))
    assert str(caught.value).startswith("mine.yaml: ") and words in str(caught.value) and "\n" not in str(caught.value)
    assert not Path("pwned").exists()


def test_missing_folders_and_forbidden_files(tmp_path):
    for place, words in ((tmp_path / "none.yaml", "No such file"), (tmp_path, "Is a directory")):
        with pytest.raises(ConfigError, match=f"{place}: cannot be read .{words}"):
            config_files.read(place)


@pytest.mark.parametrize("content", [b"", b"# nothing\n", b"\xef\xbb\xbf# a mark\r\n"])
def test_a_file_of_nothing_changes_nothing(content, tmp_path):
    (tmp_path / "mine.yaml").write_bytes(content)
    assert config_files.read(tmp_path / "mine.yaml") == {}


def test_a_byte_order_mark_is_no_part_of_a_key_and_letters_are_utf_8_everywhere(tmp_path):
    (tmp_path / "mine.yaml").write_bytes("\ufeffsource: {path: größe}\n".encode())
    code = "import sys; from udpdiff.config.files import read; print(ascii(read(sys.argv[1])))"
    environment = {"LC_ALL": "de_DE.ISO-8859-1", "PYTHONUTF8": "0", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", code, str(tmp_path / "mine.yaml")]
    assert subprocess.check_output(command, env=environment, text=True) == "{'source': {'path': 'gr\\xf6\\xdfe'}}\n"


@pytest.mark.parametrize("value", ["~no_such_user/x", "a" * 5000])
@pytest.mark.parametrize("section, key", [("source", "path"), ("model", "base")])
def test_places_that_no_machine_has_are_told_in_a_sentence(section, key, value, tmp_path):
    (tmp_path / "mine.yaml").write_text(f"{section}: {{{key}: '{value}'}}\n")
    with pytest.raises(ConfigError) as caught:
        config_layers.anchor_paths({section: {key: value}}, [tmp_path / "mine.yaml"])
    assert f"{section}.{key}: got {value[:9]!r}"[:-1] in str(caught.value) and len(str(caught.value)) < 500


@pytest.mark.parametrize("line", ["5", "null", '[["a"], 1, 2, 3, "x"]', '["a"]', "{"])
def test_lines_of_another_kind_in_the_memory_of_digests_are_dropped(line, tmp_path):
    (tmp_path / "memory.jsonl").write_text(f"{line}\n")
    (tmp_path / "file").write_bytes(b"content")
    content_digests.remember_in(tmp_path / "memory.jsonl")
    try:
        assert content_digests.content_digests([tmp_path / "file"]) == [hashlib.sha256(b"content").hexdigest()]
    finally:
        content_digests.remember_in(None)


def test_null_on_the_command_line_is_nothing_as_in_a_file():
    raw = {"preset": "null", "gpu": "h100", "labels": {"captions": {"instruction": "null", "dtype": "float32"}}}
    config_layers.nulls(raw, {"preset": "null", "labels": {"captions": {"instruction": "null"}}, "seed": 7})
    assert raw == {"preset": None, "gpu": "h100", "labels": {"captions": {"instruction": None, "dtype": "float32"}}}


def snakemake(tree: Path, work: Path, *arguments: str, **options) -> subprocess.Popen:
    command = [sys.executable, "-m", "snakemake", "-s", str(tree / "Snakefile"), "--directory", str(work), *arguments]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return subprocess.Popen(command, cwd=work, **pipes, **options)


def said(process: subprocess.Popen) -> tuple[int, str]:
    return process.wait(), process.stdout.read()


@pytest.mark.parametrize(
    "name, words", [("config.yaml", "0xf6, which is no UTF-8"), ("presets/paper.yaml", "stands in lines")]
)
def test_the_project_s_own_files_are_read_as_carefully(name, words, tmp_path):
    tree = tmp_path / "clone"
    tree.mkdir()
    for part in ("Snakefile", "rules", "udpdiff", "scripts", "envs"):
        (tree / part).symlink_to(ROOT / part)
    shutil.copy(ROOT / "config.yaml", tree)
    shutil.copytree(ROOT / "presets", tree / "presets")
    more = "# größe\n".encode("latin-1") if name == "config.yaml" else b"gpus: 4\n"
    (tree / name).write_bytes((tree / name).read_bytes() + more)
    code, output = said(snakemake(tree, tmp_path, "-n", "--cores", "1", "--config", "preset=paper", "--", "plan"))
    assert code == 1 and words in output and str(tree / name) in output and "Traceback" not in output


def test_a_killed_snakemake_is_started_again_by_two_commands(tmp_path):
    (tmp_path / "tiny.yaml").write_text(TINY)
    build = ("--cores", "1", "--configfile", "tiny.yaml", "--", "results/clips/train/0.h5")
    killed = snakemake(ROOT, tmp_path, *build, start_new_session=True)
    marks = tmp_path / ".snakemake" / "incomplete"
    while not (marks.is_dir() and any(marks.iterdir())) and killed.poll() is None:
        time.sleep(0.01)
    os.killpg(killed.pid, signal.SIGKILL)
    said(killed)
    half = tmp_path / "results" / "clips" / "train" / "0.json"
    half.parent.mkdir(parents=True, exist_ok=True)
    half.write_text("{")
    code, output = said(snakemake(ROOT, tmp_path, *build))
    assert code == 1 and "--unlock" in output
    assert said(snakemake(ROOT, tmp_path, "--unlock"))[0] == 0
    code, output = said(snakemake(ROOT, tmp_path, *build))
    assert code == 0, output
    assert half.read_text() != "{" and (half.parent / "0.h5").is_file()
    assert "`snakemake --unlock`" in (ROOT / "docs" / "use.md").read_text()
