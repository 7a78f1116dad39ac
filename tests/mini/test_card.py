"""The card of a checkpoint."""

from __future__ import annotations

import json
from xml.etree import ElementTree

import pytest

from udpdiff.mini.card import earlier_training, write_card


def test_card_holds_what_was_measured(tmp_path):
    curve = [(step, 1.0 / (1 + step)) for step in range(0, 5000, 5)]
    write_card(tmp_path, "small", "40 scenes", 5000, 7, {"entity_miou": 0.8765, "active_channels": 12}, curve)
    record = json.loads((tmp_path / "training.json").read_text())
    assert (record["steps"], record["seed"], record["quality"]["entity_miou"]) == (5000, 7, 0.8765)
    assert len(record["curve"]) <= 200 and record["curve"][0] == [0, 1.0]
    text = (tmp_path / "README.md").read_text()
    assert earlier_training(tmp_path) == (5000, [tuple(point) for point in record["curve"]])
    assert earlier_training(None) == earlier_training(tmp_path / "elsewhere") == (0, [])
    assert "mini:small" in text and "| entity miou | 0.8765 |" in text and "| active channels | 12 |" in text


@pytest.mark.parametrize("curve", [[], [(0, 1.0)], [(0, 1.0), (10, -0.5)], [(0, 2.0), (10, 0.5)]])
def test_curve_is_a_valid_drawing(tmp_path, curve):
    write_card(tmp_path, "small", "nothing", 10, 0, {}, curve)
    drawing = ElementTree.parse(tmp_path / "loss.svg").getroot()
    lines = [element for element in drawing if element.tag.endswith("polyline")]
    assert len(lines) == (1 if len(curve) > 1 else 0)
