"""Whatever reaches the shell is quoted: values in rules by `:q`, folders in the prefix of every job."""

from __future__ import annotations

import os
import platform
import re
import shlex
import string
import subprocess
import sys
from pathlib import Path

import pytest
from every_job import changed

from udpdiff import preflight
from udpdiff.config import layers as config_layers
from udpdiff.config_values import ConfigError
from udpdiff.launching.commands import bash_words
from udpdiff.shell_prefix import shell_prefix

ROOT = Path(__file__).parents[2]
# Words with {0..N} for bash to expand, whose other parts `bash_words` quotes.
FOR_BASH = {("train", "params.latents"), ("train", "params.captions")}


def fields_of_commands():
    """(file, rule, field, format) of every value in a shell command."""
    for path in sorted((ROOT / "rules").glob("*.smk")):
        rules = re.split(r"^ *(?:use )?rule (\w+)", path.read_text(), flags=re.M)
        for name, text in zip(rules[1::2], rules[2::2], strict=True):
            commands = re.findall(r'shell:\s*(?:#.*\s*)*"""(.*?)"""', text, re.S)
            assert len(commands) == len(re.findall(r"^ *shell:", text, re.M)), (
                f"{name}: a shell command of another form"
            )
            for command in commands:
                for _, field, form, _ in string.Formatter().parse(command):
                    if field is not None:
                        yield pytest.param(name, field, form, id=f"{name}-{field}")


@pytest.mark.parametrize("rule, field, form", fields_of_commands())
def test_every_value_in_a_command_is_quoted(rule, field, form):
    assert form == "q" or (rule, field) in FOR_BASH


def test_bash_expands_numbers_and_nothing_else(tmp_path):
    words = bash_words(["a $(touch pwned)/0.h5", "a $(touch pwned)/1.h5"])
    done = subprocess.run(
        ["bash", "-c", f"printf '%s\\n' {' '.join(words)}"], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.stdout.splitlines() == ["a $(touch pwned)/0.h5", "a $(touch pwned)/1.h5"]
    assert not list(tmp_path.iterdir())


NAMES = ("a; touch pwned; #", "../up", ".", "a/b", "Größe", "a b", "a-b", "a\n", "", "{x}", "x" * 65)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "section, entry",
    [
        ("labels.entities", {"segmenter": "mini:cropformer", "score_threshold": 0.5}),
        ("labels.depth", {"model": "depth_anything", "checkpoint": "mini:depth_anything"}),
        ("runs", {"tasks": {"depth": 1.0}}),
    ],
)
def test_names_that_become_paths_match_one_pattern(section, entry, name):
    raw = changed("seed", 7)
    place = raw["labels"][section.removeprefix("labels.")] if "." in section else raw[section]
    place[name] = entry
    with pytest.raises(ConfigError, match=section):
        preflight.check(raw)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "key",
    [
        "metrics.judges.entities",
        "metrics.judges.depth",
        "runs.multi.entities",
        "runs.multi.depth",
        "source.kind",
        "sampling.caption",
    ],
)
def test_names_that_are_chosen_are_among_those_that_exist(key, name):
    with pytest.raises(ConfigError, match=key.rpartition(".")[2]):
        preflight.check(changed(key, name))


@pytest.mark.parametrize("name", [*NAMES, ["paper"], {"paper": 1}, 7, True])
def test_a_preset_is_one_of_the_files(name):
    with pytest.raises(ConfigError, match=r"preset: got .*allowed: .*paper"):
        config_layers.preset_file({"preset": name}, ROOT / "presets")


ODD = "my projects & it's; größe {x} $(touch F) `touch G`\nline"


@pytest.mark.parametrize("folder", [*ODD.split(), ODD, "R&D", "a;b", "*", "~", '"', "\\", "#", "-n", "$HOME"])
def test_a_job_is_told_any_folder(folder, tmp_path):
    place = tmp_path / folder
    (place / "bin").mkdir(parents=True)
    (place / "bin" / "python").symlink_to(sys.executable)
    prefix = shell_prefix(place, place / "bin" / "python", {"PYTHONPATH": ":/else::"})
    command = prefix.replace("{{", "{").replace("}}", "}") + 'printf "%s\\0" "$PYTHONPATH" "$PATH"'
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, cwd=tmp_path, env={"PATH": "/bin"})
    assert done.stdout.split("\0")[:2] == [f"{place}:/else", f"{place / 'bin'}:/bin"], done.stderr
    assert [path.name for path in tmp_path.iterdir()] == [folder]


@pytest.mark.parametrize("users", [None, "", "glibc.malloc.check=1"])
def test_a_job_keeps_the_users_settings_of_the_allocator_or_has_ours(users):
    command = shell_prefix(ROOT, None, {}).replace("{{", "{").replace("}}", "}") + "printenv GLIBC_TUNABLES"
    environment = {"PATH": "/bin:/usr/bin"} | ({} if users is None else {"GLIBC_TUNABLES": users})
    told = subprocess.run(["bash", "-c", command], capture_output=True, text=True, env=environment).stdout.strip()
    if users is not None:
        assert told == users
    else:
        assert dict(setting.split("=") for setting in told.split(":")) == {
            "glibc.malloc.hugetlb": "1",
            "glibc.malloc.mmap_threshold": str(2**28),
            "glibc.malloc.trim_threshold": str(2**28),
        }


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc's allocator knows these settings")
def test_memory_that_a_job_freed_is_not_mapped_anew():
    program = (
        "import resource\n"
        "for _ in range(3): b'x' * 2**26\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt\n"
        "for _ in range(10): b'x' * 2**26\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)"
    )
    prefix = shell_prefix(ROOT, Path(sys.executable), {}).replace("{{", "{").replace("}}", "}")
    environment = {name: value for name, value in os.environ.items() if name != "GLIBC_TUNABLES"}
    command = f"{prefix} python -c {shlex.quote(program)}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True, env=environment)
    assert int(done.stdout) < 1000  # pages, of 10 * 16,384


@pytest.mark.parametrize("project, python, words", [("/a:b", "/c/python", "project"), ("/a", "/b:c/python", "Python")])
def test_a_colon_is_refused(project, python, words):
    with pytest.raises(ConfigError, match=rf"{words} in the folder .*colon.*rename"):
        shell_prefix(Path(project), Path(python), {})


def test_a_job_runs_from_odd_folders_and_no_module_of_the_work_folder_is_in_its_way(tmp_path):
    odd = tmp_path / ODD
    work = odd / "work"
    work.mkdir(parents=True)
    (odd / "clone").symlink_to(ROOT)
    (odd / "venv").symlink_to(sys.prefix)
    for name in ("random", "json", "numpy", "tempfile", "udpdiff", "scripts"):
        (work / f"{name}.py").write_text("raise SystemExit('a module of the work folder')\n")
    (odd / "mine.yaml").write_text("clips: {train: 1, evaluation: 2, num_frames: 9}\n")
    command = [
        str(odd / "venv" / "bin" / "python"),
        "-P",
        "-m",
        "snakemake",
        "--cores",
        "1",
        "--snakefile",
        str(odd / "clone" / "Snakefile"),
    ]
    command += ["--directory", str(work), "--configfile", str(odd / "mine.yaml"), "--", "results/clips/train/0.h5"]
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "PYTHONPATH": ":", "LANG": "C.UTF-8"}
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (work / "results" / "clips" / "train" / "0.h5").is_file()
    assert {path.name for path in tmp_path.iterdir()} <= {odd.name, ".cache"} and not list(tmp_path.rglob("[FG]"))
