"""Functions of the user's are found without running them, and never stand in the way of libraries."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from udpdiff import plugins

ROOT = Path(__file__).parents[1]
GOOD = "open('ran', 'w')\nimport json\n\ndef f():\n    return 'mine'\n"


@pytest.fixture
def work(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "good.py").write_text(GOOD)
    (tmp_path / "pack").mkdir()
    (tmp_path / "pack" / "inner.py").write_text("from good import f\ng = h = f\n")
    (tmp_path / "needy.py").write_text("import no_such_package\nf = 1\n")
    (tmp_path / "trying.py").write_text("try:\n    import no_such_package\nexcept ImportError:\n    f = None\n")
    (tmp_path / "broken.py").write_text("def f(:\n")
    (tmp_path / "all.py").write_text("from good import *\n")
    return tmp_path


@pytest.mark.parametrize(
    "place", ["good:f", "pack.inner:f", "pack.inner:g", "trying:f", "all:f", "shutil:copy", "time:time"]
)
def test_what_can_be_loaded_is_accepted_and_not_run(place, work):
    plugins.check(f"plugin:{place}")
    assert not (work / "ran").exists() and "good" not in sys.modules


@pytest.mark.parametrize(
    "reference, words",
    [
        ("plugin:nope:f", "no module nope in the work folder .*none is installed"),
        ("plugin:pack.nope:f", r"no module pack\.nope"),
        ("plugin:good.deeper:f", r"no module good\.deeper"),
        ("plugin:good:g", r"good\.py defines no g"),
        ("plugin:needy:f", "needy.py imports no_such_package, which is not installed"),
        ("plugin:broken:f", r"broken\.py cannot be read as Python"),
        ("plugin:os", "plugin:MODULE:FUNCTION"),
        ("plugin:os:system:x", "plugin:MODULE:FUNCTION"),
        ("plugin:../good:f", "plugin:MODULE:FUNCTION"),
        ("plugin:a b:c", "plugin:MODULE:FUNCTION"),
        ("amt", "plugin:MODULE:FUNCTION"),
    ],
)
def test_what_cannot_is_refused_with_the_reason(reference, words, work):
    with pytest.raises(ValueError, match=f"got '{reference}'.*{words}"):
        plugins.check(reference)


def test_the_work_folder_is_looked_at_last(work):
    (work / "random.py").write_text("raise SystemExit('shadowed')\n")
    code = "from udpdiff import plugins; print(plugins.load('plugin:good:f')()); import random, tempfile"
    command = [sys.executable, "-P", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, cwd=work, env={"PYTHONPATH": str(ROOT)})
    assert (done.returncode, done.stdout) == (0, "mine\n"), done.stderr
