"""The README's pictures of the report are made of any report by one command."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parents[2]


@pytest.mark.usefixtures("browser")  # skips where there is none
def test_both_pictures_of_a_report_show_its_films(site, tmp_path):
    command = [sys.executable, ROOT / "docs" / "pictures.py", "report", site, "--out", tmp_path]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    report, samples = (
        np.asarray(Image.open(tmp_path / f"{name}.png").convert("RGB")) for name in ("report", "samples")
    )
    assert report.shape == (1160, 1180, 3)
    assert samples.shape[1] == 1280 and 300 < samples.shape[0] < 900
    for picture in (report, samples):  # panels of films, of many colours, beside the page's few
        assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 40
