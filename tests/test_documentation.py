"""The documentation builds as a site without a warning, and its API page shows docstrings."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_the_site_builds_without_a_warning(tmp_path):
    options = ["-W", "--keep-going", "-q", "-d", tmp_path / "doctrees"]
    command = [sys.executable, "-m", "sphinx", *options, "docs", tmp_path / "site"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "site" / "api.html").read_text()
    assert "UDPDiffPipeline" in page and "Reads entities off segmentation colormaps" in page
    assert "labels.tracker.max_objects" in (tmp_path / "site" / "configuration.html").read_text()
