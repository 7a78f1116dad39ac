"""Equal films have equal bytes: in another process, with other memory, beside other encodings."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from udpdiff.report.media import write_film
from udpdiff.video_io import encode_mp4

HERE = Path(__file__).resolve().parents[2]


def film_digest(folder: Path, name: str) -> str:
    """Write a film of three panels as the report does; its width is no multiple of 16."""
    steps = np.random.default_rng(0).integers(-3, 4, (3, 9, 64, 64, 3)).cumsum(1)
    panels = (np.random.default_rng(1).integers(30, 220, (3, 1, 8, 8, 3)).repeat(8, 2).repeat(8, 3) + steps).astype(
        np.uint8
    )
    write_film(folder, name, list(panels), 8.0)
    return hashlib.sha256((folder / f"{name}.mp4").read_bytes()).hexdigest()


def test_in_another_process_and_beside_other_encodings(tmp_path):
    expected = film_digest(tmp_path, "alone")
    with ThreadPoolExecutor(3) as pool:
        assert set(pool.map(lambda number: film_digest(tmp_path, f"film{number}"), range(3))) == {expected}
    code = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import test_film_bytes as films;"
    code += f" print(films.film_digest(films.Path({str(tmp_path)!r}), 'again'))"
    environment = os.environ | {"PYTHONPATH": str(HERE), "MALLOC_PERTURB_": "85"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [expected]


@pytest.mark.parametrize("lossless", [False, True])
def test_the_encoder_has_one_thread_whatever_the_machine_has(lossless):
    """As it writes into its own stream."""
    data = encode_mp4(np.zeros((3, 640, 640, 3), np.uint8), 8, lossless=lossless)
    [options] = re.findall(rb"x264 - core .*?options: ([ -~]*)", data)
    assert {b"threads=1", b"lookahead_threads=1", b"sliced_threads=0"} <= set(options.split())
