"""The benchmark of set distances runs at a small size, and its plain definition gives the same distances."""

from __future__ import annotations

import re

from benchmarks import set_distances


def test_a_table_says_seconds_ratios_and_how_equal_both_are(tmp_path):
    output = tmp_path / "set_distances.md"
    set_distances.main(["--videos", "48", "--dimensions", "12", "--repeats", "1", "--output", str(output)])
    text = output.read_text()
    assert "48 generated and 48 real videos" in text
    for name in set_distances.distance_works(24, 4):
        assert f"| {name} |" in text
    [(frechet, kernel)] = re.findall(
        r"12 dimensions; no Fréchet.* than (\S+) of itself, no kernel distance than (\S+):", text
    )
    assert float(frechet) < 1e-9 and float(kernel) < 1e-12
