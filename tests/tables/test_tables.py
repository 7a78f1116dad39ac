from __future__ import annotations

import math

import pytest

from udpdiff.storage.sealed import write_record
from udpdiff.tables.fill import fill_table
from udpdiff.tables.measured import read_measurements
from udpdiff.tables.paper import PAPER_TABLES
from udpdiff.tables.specs import TABLES, comparators, needed, table_spec

RUNS = {
    "base",
    "seg",
    "depth",
    "multi",
    "multi_text",
    "seg_location",
    "multi_30_70",
    "multi_70_30",
    "depth_anything",
    "seg_grid8",
    "seg_grid12",
}


def _figure(value, extractor="mini", per_video=(), low=None, high=None):
    return {
        "value": value,
        "low": low,
        "high": high,
        "n": 8,
        "per_video": list(per_video),
        "clips": "videos" if per_video else None,
        "extractor": extractor,
    }


def _write(folder, run, task, metrics, name="quality"):
    place = folder / run / task
    place.mkdir(parents=True, exist_ok=True)
    document = {"run": run, "task": task, "seed": 0, "n": 8, "metrics": metrics, "clips": {"videos": ["a", "b"]}}
    write_record(place / f"{name}.json", document)


def _files(folder):
    return sorted(folder.rglob("*.json"))


def _table(number, files):
    return fill_table(number, read_measurements(files))


def _consistencies(value):
    return {
        "subject_consistency": _figure(value, "ViT", [value, value + 0.02], value - 0.01, value + 0.01),
        "background_consistency": _figure(value, "CLIP", [value, value]),
        "motion_smoothness_blend": _figure(value, "frame average", [value, value]),
    }


def test_paper_and_specification_have_the_same_rows_and_columns():
    assert set(PAPER_TABLES) == set(TABLES) == set(range(1, 10))
    for number, spec in TABLES.items():
        rows = PAPER_TABLES[number].rows
        assert [row.label for row in spec.rows] == list(rows)
        for values in rows.values():
            assert list(values) == [metric.name for metric in spec.metrics]


def test_repeated_models_of_the_paper_have_the_same_values():
    tables = {number: table.rows for number, table in PAPER_TABLES.items()}
    multi = tables[2]["UDPDiff (depth)"]
    assert tables[5]["Task embedding"] == multi
    assert tables[7]["(0.5 segmentation, 0.5 depth)"].items() <= multi.items()
    assert tables[1]["CogVideoX 5B"].items() <= tables[2]["CogVideoX 5B"].items()
    assert tables[6]["Pixelplanes"] == tables[9]["EntitySeg"] == tables[1]["UDPDiff (segmentation)"]
    assert tables[8]["DepthCrafter"] == tables[1]["UDPDiff (depth estimation)"]


def test_every_run_is_needed_by_some_table_and_only_existing_ones_are():
    assert {run for number in TABLES for run, _ in needed(number)} == RUNS
    assert needed(2) == [("base", "video"), ("multi", "seg"), ("multi", "depth")]
    assert needed(3) == [("multi", "depth")]
    assert needed(7) == [("multi_30_70", "depth"), ("multi_70_30", "depth"), ("multi", "depth")]
    with pytest.raises(ValueError, match="expected one of 1, 2"):
        table_spec(10)


def test_ours_and_the_papers_stand_side_by_side(tmp_path):
    for index, (run, task) in enumerate(needed(7)):
        _write(tmp_path, run, task, _consistencies(0.9 + index / 100))
    table = _table(7, _files(tmp_path)).set_index("model")
    row = table.loc["(0.7 segmentation, 0.3 depth)"]
    assert row["subject_consistency_ours"] == pytest.approx(91)
    assert (row["subject_consistency_ours_low"], row["subject_consistency_ours_high"]) == pytest.approx((90, 92))
    assert row["subject_consistency_paper"] == 96.72
    assert math.isnan(row["background_consistency_ours_low"])
    assert (row["run"], row["task"], row["n_videos"]) == ("multi_70_30", "depth", 8)
    assert row["subject_consistency_extractor"] == "ViT"
    assert row["motion_smoothness_extractor"] == "motion_smoothness_blend: frame average"


def test_a_row_counts_the_videos_of_the_figure_with_most(tmp_path):
    """A figure may be of fewer: distances of halves, videos that a judge could not label."""
    fewer = _figure(100.0) | {"n": 4}
    for run, task in needed(2):
        _write(tmp_path, run, task, _consistencies(0.5) | {"fvd": _figure(300.0), "fvd_floor": fewer})
    assert _table(2, _files(tmp_path))["n_videos"].tolist() == [8, 8, 8]


def test_vbench_smoothness_goes_before_the_average_of_neighbours(tmp_path):
    for run, task in needed(6):
        _write(tmp_path, run, task, _consistencies(0.5) | {"motion_smoothness": _figure(0.99, "AMT-S")})
    table = _table(6, _files(tmp_path))
    assert table["motion_smoothness_ours"].tolist() == pytest.approx([99, 99])
    assert set(table["motion_smoothness_extractor"]) == {"AMT-S"}


def test_depth_rows_read_ours_and_the_comparator(tmp_path):
    depth = {"depth_delta1_unaligned": _figure(0.4), "depth_rmse_unaligned": _figure(0.2), "depth_delta1": _figure(0.9)}
    comparator = {f"depth_anything_{name}": _figure(figure["value"] / 2) for name, figure in depth.items()}
    _write(tmp_path, "multi", "depth", depth)
    alone = _table(3, _files(tmp_path)).set_index("model")
    assert math.isnan(alone.loc["Depth Anything V2", "delta1_ours"])
    _write(tmp_path, "multi", "depth", comparator, name="comparator")
    table = _table(3, _files(tmp_path)).set_index("model")
    assert table["delta1_ours"].tolist() == [0.2, 0.4]
    assert table["delta1_paper"].tolist() == [0.5808, 0.4176]
    assert table["delta1_aligned_ours"].tolist() == [0.45, 0.9]
    assert math.isnan(table.loc["UDPDiff (multi-depth)", "delta1_aligned_paper"])
    assert table["training_data_paper"].tolist() == ["62.6 M", "300 K"]


def test_run_time_comes_from_its_own_file(tmp_path):
    for run, task in needed(4):
        _write(tmp_path, run, task, _consistencies(0.5))
        _write(tmp_path, run, task, {"runtime_seconds": _figure(2.5, "one core")}, name="runtime")
    table = _table(4, _files(tmp_path))
    assert table["runtime_seconds_ours"].tolist() == [2.5] * 3
    assert table["runtime_seconds_paper"].tolist() == [204.46, 205.75, 205.81]


def test_a_table_reads_the_files_it_is_given_and_no_other(tmp_path):
    for run, task in needed(6):
        _write(tmp_path / "given", run, task, _consistencies(0.5))
        _write(tmp_path / "given" / "other", run, task, _consistencies(0.9))
    given = [tmp_path / "given" / run / task / "quality.json" for run, task in needed(6)]
    assert _table(6, given)["subject_consistency_ours"].tolist() == pytest.approx([50, 50])
    with pytest.raises(ValueError, match="no measurements of seg_location/seg in the files given"):
        _table(6, given[1:])


def test_a_measurement_without_its_interval_is_refused(tmp_path):
    for run, task in needed(6):
        _write(tmp_path, run, task, {"subject_consistency": {"value": 1}})
    with pytest.raises(ValueError, match="lacks low"):
        _table(6, _files(tmp_path))


def test_every_row_has_its_run_task_and_labeller():
    rows = {
        number: [(row.label, row.run, row.task) + ((row.labeller,) if row.labeller else ()) for row in spec.rows]
        for number, spec in TABLES.items()
    }
    base, pixelplanes = ("CogVideoX 5B", "base", "video"), ("Pixelplanes", "seg", "seg")
    assert rows == {
        1: [base, ("UDPDiff (segmentation)", "seg", "seg"), ("UDPDiff (depth estimation)", "depth", "depth")],
        2: [base, ("UDPDiff (seg)", "multi", "seg"), ("UDPDiff (depth)", "multi", "depth")],
        3: [
            ("Depth Anything V2", "multi", "depth", "depth_anything"),
            ("UDPDiff (multi-depth)", "multi", "depth"),
        ],
        4: [base, ("Ours (single task)", "depth", "depth"), ("Ours (multi task)", "multi", "depth")],
        5: [("Text prompt", "multi_text", "depth"), ("Task embedding", "multi", "depth")],
        6: [("Location-aware colormap", "seg_location", "seg"), pixelplanes],
        7: [
            ("(0.3 segmentation, 0.7 depth)", "multi_30_70", "depth"),
            ("(0.7 segmentation, 0.3 depth)", "multi_70_30", "depth"),
            ("(0.5 segmentation, 0.5 depth)", "multi", "depth"),
        ],
        8: [("Depth Anything V2", "depth_anything", "depth"), ("DepthCrafter", "depth", "depth")],
        9: [("8×8", "seg_grid8", "seg"), ("12×12", "seg_grid12", "seg"), ("EntitySeg", "seg", "seg")],
    }


def test_columns_are_printed_as_the_paper_prints_them():
    for spec in TABLES.values():
        for metric in (*spec.metrics, *spec.extra):
            x100 = metric.name.startswith(("subject", "background", "motion", "dynamic", "prompt"))
            x100 |= metric.unit == "%"
            assert metric.scale == (100 if x100 else 1)
            falls = (
                metric.name.startswith(("fvd", "kvd", "kernel", "rmse", "runtime", "flow", "temporal"))
                and metric.name != "fvd_floor"
            )
            control = metric.name == "fvd_floor" or metric.name.startswith("dynamic")
            control |= metric.name.endswith(("_shuffled", "_constant", "_labels", "_real"))
            assert metric.direction == ("neither" if control else "lower" if falls else "higher"), metric.name
    assert [metric.label for metric in TABLES[3].metrics] == ["δ1", "RMSE"]


def test_labellers_beside_predictions():
    assert comparators("multi", "depth", [3]) == ["depth_anything"]
    assert comparators("multi", "depth", [1, 2, 4, 5, 6, 7, 8, 9]) == comparators("multi", "seg", TABLES) == []
