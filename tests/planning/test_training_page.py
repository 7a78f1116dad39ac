"""The page about training says what is counted."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from udpdiff.checkpoints import published
from udpdiff.planning.training_memory import TrainingCase, training_bytes

PAGE = (Path(__file__).parents[2] / "docs" / "training.md").read_text()
WAYS = {
    "optimizer: adamw`": {},
    "optimizer: adamw_8bit`": {"optimizer": "adamw_8bit"},
    "offload_optimizer: true`": {"offloaded": True},
    "lora_rank: 64`": {"lora_rank": 64, "frozen_bytes": 2},
    "sharding: full`, 8 GPUs": {"sharding": "full", "processes": 8},
}


@pytest.mark.parametrize("way", WAYS)
def test_the_table_holds_the_counted_memory(way):
    [row] = re.findall(rf"^\| `{re.escape(way)} \| (\d+) \| (\d+) \|", PAGE, re.MULTILINE)
    size = {"num_frames": 49, "height": 480, "width": 720}
    counted = []
    for base in ("THUDM/CogVideoX-5b", "THUDM/CogVideoX-2b"):
        case = TrainingCase(published.configs(base), size, num_tasks=2, **WAYS[way])
        counted.append(training_bytes(case).total / 1e9)
    assert [int(figure) for figure in row] == pytest.approx(counted, abs=0.55)
