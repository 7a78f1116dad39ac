"""The codec's benchmark runs at a small size, and says what it measured."""

from __future__ import annotations

import numpy as np

from benchmarks import codec


def test_a_table_says_seconds_ratios_and_memory(tmp_path):
    output = tmp_path / "codec.md"
    small = "--height 40 --width 52 --num-frames 3 --entities 5 --repeats 1 --definition --output"
    codec.main([*small.split(), str(output)])
    text = output.read_text()
    assert "3 x 40 x 52 with 5 entities" in text
    for name in codec.codec_works((1, 24, 24), 2, definition=True):
        assert f"| {name} |" in text
    assert "pixel_assignment.py" in text


def test_both_definitions_decode_to_the_same():
    works = codec.codec_works((2, 40, 52), 6, definition=True)
    for kind in ("painted", "degraded"):
        found, plain = (
            works[f"entities, {name}"]() for name in (f"decoding of a {kind} colormap", f"{kind}, by the definition")
        )
        np.testing.assert_array_equal(found, plain)
