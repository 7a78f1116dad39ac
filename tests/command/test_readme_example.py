"""README's example: its command and its Python lines make the same video with the same depth, which its first picture shows."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from udpdiff.report.media import strip
from udpdiff.tasks import get_task

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
COMMAND = re.search(r"(?m)^udpdiff (generate .*--task depth)", README)[1]


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """What the command writes, by the shipped model."""
    work = tmp_path_factory.mktemp("example")
    line, environment = [sys.executable, "-m", "udpdiff", *shlex.split(COMMAND)], os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(line, cwd=work, capture_output=True, text=True, env=environment)
    assert done.returncode == 0 and done.stdout, done.stderr
    assert "Warning" not in done.stderr and "Traceback" not in done.stderr and "kernels" not in done.stderr
    [folder] = work.glob("generated/*")
    assert {"video.mp4", "depth.mp4", "depth.npy", "settings.json"} <= {path.name for path in folder.iterdir()}
    return folder


def test_the_first_picture_shows_what_the_command_makes(made):
    with Image.open(ROOT / "docs/generate.png") as picture:
        shown = np.asarray(picture)[128:256:2, ::2]  # its second row, at the size that it was made at
    depth = strip([get_task("depth").picture(np.load(made / "depth.npy"))])
    assert np.abs(shown.astype(int) - depth).mean() < 1, "python docs/pictures.py generate"


def test_the_python_lines_make_the_same(made):
    [code] = re.findall(r"```python\n(from.*?|import torch.*?)```", README, re.S)
    assert code in (ROOT / "docs/use.md").read_text()
    names = {}
    exec(code, names)
    output = names["output"]
    assert output.frames.shape == output.dense_frames.shape == (1, 9, 64, 64, 3)
    assert np.abs(output.prediction[0] - np.load(made / "depth.npy")).mean() < 1e-3
