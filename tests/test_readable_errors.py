"""Scripts end on what a user can mend without a traceback, and on mistakes of ours with one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from udpdiff import readable_errors
from udpdiff.storage import errors

ROOT = Path(__file__).parents[1]


def ended(code: str, *options: str) -> subprocess.CompletedProcess:
    command = [sys.executable, *options, "-c", f"import scripts\n{code}"]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT)


def test_a_failing_write_is_told_in_a_paragraph_with_the_error_beneath(tmp_path):
    done = ended(
        "from pathlib import Path\nfrom udpdiff.storage.errors import writing\n"
        f"with writing(Path({str(tmp_path / 'a.h5')!r})):\n    raise OSError(28, 'No space left on device')"
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    beneath, told = done.stderr.splitlines()
    assert beneath == "beneath: OSError: [Errno 28] No space left on device"
    assert told.startswith(f"{tmp_path / 'a.h5'}: cannot be written") and "Make room" in told


@pytest.mark.parametrize(
    "mistake",
    ["[][1]", "assert False, 'no'", "import numpy; numpy.zeros(2) + numpy.zeros(3)", "raise ValueError('not ours')"],
)
def test_a_mistake_keeps_its_traceback(mistake):
    done = ended(mistake)
    assert done.returncode == 1
    assert "Traceback (most recent call last)" in done.stderr


def test_dev_mode_shows_every_traceback():
    code = "from pathlib import Path\nfrom udpdiff.storage.errors import damaged, reading\nwith reading(Path('a')):\n    1 / 0"
    assert "Traceback" not in ended(code).stderr
    assert "Traceback" in ended(code, "-X", "dev").stderr


def test_the_launcher_says_what_it_expects():
    done = subprocess.run(
        [sys.executable, "-m", "scripts.launch", "--torchrun", "1"], capture_output=True, text=True, cwd=ROOT
    )
    assert "Traceback" not in done.stderr and "expected --" in done.stderr


def test_errors_that_hide_what_led_to_them_are_told_alone():
    with pytest.raises(ValueError) as caught:
        try:
            float("x")
        except ValueError:
            raise ValueError("told") from None
    assert readable_errors.paragraph(caught.value) == "told"


def test_only_a_raise_of_the_project_is_foreseen():
    with pytest.raises(errors.StorageError) as ours, errors.reading(ROOT):
        raise OSError("torn")
    assert readable_errors.foreseen(ours.value)
    with pytest.raises(KeyError) as other:
        {}["a"]
    assert not readable_errors.foreseen(other.value)
