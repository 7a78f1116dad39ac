"""Benchmark (d) at the mini size."""

from __future__ import annotations

import pytest

from benchmarks import labellers


def test_the_command_times_labellers_on_scenes(tmp_path):
    path = tmp_path / "results.md"
    words = "--height 64 --width 64 --num-frames 9 --clips 1 --repeats 1 --device cpu --labellers depth/depth_anything"
    labellers.main([*words.split(), "--output", str(path)])
    (row,) = [line.split(" | ") for line in path.read_text().splitlines() if line.startswith("| depth/")]
    assert float(row[1]) > 0 and 0 < float(row[2]) <= 1 and "CPU" in row[3]


def test_files_go_over_the_mini_configuration(tmp_path):
    (tmp_path / "more.yaml").write_text("labels: {tracker: {max_objects: 3}}\n")
    config = labellers.read_config([tmp_path / "more.yaml"])
    found = labellers.labeller_jobs(config, ["entities/grid8"])
    assert list(found) == ["entities/grid8"] and found["entities/grid8"].tracker.max_objects == 3
    assert found["entities/grid8"].tracker.checkpoint == "mini:sam2"


def test_a_labeller_that_is_not_configured_is_refused():
    with pytest.raises(ValueError, match="entities/grid8"):
        labellers.labeller_jobs(labellers.read_config([]), ["depth/nobody"])
