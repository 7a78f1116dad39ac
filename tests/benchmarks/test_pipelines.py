"""Benchmark (a) at the mini shape, and what its networks are."""

from __future__ import annotations

import pytest
import torch

from benchmarks import pipelines, shapes
from udpdiff.checkpoints import published


def test_the_command_writes_every_part_of_every_pipeline(tmp_path):
    path = tmp_path / "results.md"
    pipelines.main(["--steps", "2", "--repeats", "2", "--device", "cpu", "--dtype", "float32", "--output", str(path)])
    rows = [line.split(" | ") for line in path.read_text().splitlines() if line.startswith("| ")][2:]
    assert len(rows) == 4 * 3
    ratios = {(part.strip("| "), name): ratio for part, name, _, ratio, _ in rows}
    assert ratios["denoising", "base"] == "—" and float(ratios["denoising", "multi-task"].split()[0]) > 0.2
    # Two streams are decoded, one after the other.
    assert 1.2 < float(ratios["decoding, all streams", "multi-task"].split()[0]) < 4


@pytest.mark.parametrize("name", ["2b", "5b", "1.5-5b"])
def test_shapes_are_the_published_ones(name):
    shape = shapes.SHAPES[name]
    assert shapes.configs(shape) == published.configs(shape.base)
    widened = shapes.widened_transformer(shape, 2, "meta", "bfloat16")
    base = shapes.base_transformer(shape, "meta", "bfloat16")
    added = sum(each.numel() for each in widened.parameters()) - sum(each.numel() for each in base.parameters())
    assert added == {"2b": 246_848, "5b": 394_304, "1.5-5b": 787_584}[name]
    assert {weight.dtype for weight in widened.parameters()} == {torch.bfloat16}


def test_drawing_leaves_the_default_dtype_alone():
    with pytest.raises(RuntimeError), shapes.drawn_on("cpu", "float16"):
        raise RuntimeError
    assert torch.get_default_dtype() == torch.float32
