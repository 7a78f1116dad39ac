"""Figures followed from the script that makes each to the table that shows it."""

from __future__ import annotations

import json

import numpy as np
import pandas
from figure_files import check_record
from hand_made_shards import clips, compare, evaluate, extract, moving_videos, ramps, run, use_stub

from udpdiff import jobs
from udpdiff.files import file_sha256
from udpdiff.metrics.registry import describe
from udpdiff.storage.sealed import read_record
from udpdiff.tables.claims import needed
from udpdiff.tables.fill import fill_table
from udpdiff.tables.measured import read_measurements
from udpdiff.tables.specs import TABLES
from udpdiff.tasks import TASKS, get_task


def test_every_cell_of_every_table_is_filled_by_a_script(tmp_path, monkeypatch):
    """From shards to csv: no column of a table has a source that no script makes, and none makes what nobody describes."""
    use_stub(monkeypatch)
    features = extract(monkeypatch, clips(tmp_path / "clips.h5", moving_videos(8, 1)), tmp_path / "generated.h5")
    real = extract(monkeypatch, clips(tmp_path / "real_clips.h5", moving_videos(8, 2)), tmp_path / "real.h5")
    depths, ids = ramps(4), {name: (each > 30000) + np.uint16(1) for name, each in ramps(4).items()}
    ids = {name: each.astype(np.uint16) for name, each in ids.items()}
    for each in ids.values():
        height, width = each.shape[-2:]
        each[..., height // 3 : 2 * height // 3, width // 3 : 2 * width // 3] = 3  # away from the border: a solid
    normals = get_task("normals")
    made = {name: normals.to_storage(normals.from_labels(each, normals.Options())) for name, each in depths.items()}
    other = [("depth_anything", ramps(4, noise=0.1), [])]
    comparisons = {
        "depth": compare(
            tmp_path, monkeypatch, "depth", ramps(4, noise=0.02), depths, comparators=other, training=[depths]
        ),
        "normals": compare(tmp_path, monkeypatch, "normals", made, depths, training=[depths]),
        "seg": compare(tmp_path, monkeypatch, "seg", ids, ids),
    }
    figures, measured = set(), {}
    for spec in TABLES.values():
        for row in spec.rows:
            judged = {"comparisons": [comparisons[row.task]], "judge": "judge"} if row.task != "video" else {}
            judged |= {"comparators": ("depth_anything",)} if row.task == "depth" else {}
            path = evaluate(tmp_path, monkeypatch, [features], [real], run=row.run, task=row.task, **judged)
            figures |= set(json.loads(path.read_text())["metrics"])
            measured[row.run, row.task] = path
    path = evaluate(tmp_path, monkeypatch, [features], [real], [comparisons["normals"]], task="normals", judge="judge")
    figures |= set(json.loads(path.read_text())["metrics"])
    told = check_record(measured["multi", "depth"], weights=False)
    assert set(told.networks) >= {"video", "image", "flow", "judge network", "depth_anything network", "motion"}
    assert set(told.clip_ids) == {"videos", "real", "compared"}
    for name in figures:
        assert describe(name).key == name
    own = {key for task in TASKS.values() for key in (figure.key for figure in task.figures["generated"])}
    assert own | {f"depth_anything_{key}" for key in own if key.startswith("depth")} <= figures
    for number, spec in TABLES.items():
        if number == 4:
            continue  # run times are measured elsewhere
        files = [measured[row.run, row.task] for row in spec.rows]
        places = {"table": tmp_path / "table.csv", "digest": tmp_path / "table.csv.sha256"}
        places["comparisons"] = tmp_path / f"table{number}_comparisons.json"
        job = jobs.FillTable(seed=5, bootstrap_samples=50)
        run("fill_table", monkeypatch, number=number, job=job, measured=files, **places)
        table = pandas.read_csv(tmp_path / "table.csv").set_index("model")
        exact = fill_table(number, read_measurements(files)).set_index("model").select_dtypes("number")
        np.testing.assert_allclose(table[exact.columns], exact, rtol=1e-5, err_msg="six digits of every figure")
        for row in spec.rows:
            for metric in (*spec.metrics, *spec.extra):
                control = metric.name.endswith(("_shuffled", "_constant", "_labels"))
                empty = row.labeller is not None and control  # a labeller is set beside predictions, not exchanged
                assert pandas.isna(table.loc[row.label, f"{metric.name}_ours"]) == empty, (number, row, metric.name)
    verdicts = tmp_path / "verdicts.json"
    scale = jobs.Scale(
        source="scenes", base="mini:cogvideox", steps=1, train=8, prompts=8, num_frames=5, height=32, width=32
    )
    job = jobs.JudgeClaims(seed=5, bootstrap_samples=50, scale=scale)
    comparisons = sorted(tmp_path.glob("table*_comparisons.json"))
    across = [measured[pair] for pair in needed()]
    run("judge_claims", monkeypatch, job=job, comparisons=comparisons, measured=across, verdicts=verdicts)
    told = check_record(verdicts, weights=False)
    assert told.measured[across[0].as_posix()] == file_sha256(across[0]) and len(told.measured) == len(
        comparisons
    ) + len(across)
    assert check_record(comparisons[0], weights=False).networks.keys() <= told.networks.keys()
    document = read_record(verdicts)
    for path in comparisons:
        table = read_record(path)
        assert document["tables"][str(table["table"])] == table["comparisons"]
    parts = [part for claim in document["claims"] for part in claim["parts"] if claim["table"] != 4]
    assert parts and all(part["verdict"] for part in parts), "every claim with a figure is compared"
    assert document["scale"]["papers"] is False and document["seeds"]["least"] == 1
