"""The csv of what longer training buys is read from a work directory as the workflow leaves it."""

from __future__ import annotations

import csv
import io

import pytest

from udpdiff.report import training_lengths
from udpdiff.storage.errors import StorageError
from udpdiff.storage.sealed import write_record
from udpdiff.training.log import append_entry


def leave_run(folder, run, steps, seconds, gain):
    """What a trained and measured run leaves; the last validation counts, and the last job's time."""
    for step, loss in ((steps // 2, 0.5), (steps, 0.25)):
        validation = {"loss": 1.0, "loss_video": loss, "loss_dense": 2 * loss}
        append_entry(folder / "results/training" / run / "train.jsonl", {"step": step, "validation": validation})
        append_entry(folder / "results/training" / run / "train.jsonl", {"step": step, "loss": 9.0})
    for task in ("seg", "depth"):
        keys = [key for where, key, _ in training_lengths.FIGURES.values() if where == task]
        metrics = {key: {"value": number + gain} for number, key in enumerate(keys)}
        path = folder / "results/metrics" / run / task / "quality.json"
        path.parent.mkdir(parents=True)
        write_record(path, {"run": run, "task": task, "metrics": metrics})
    table = folder / f"benchmarks/train/{run}.tsv"
    table.parent.mkdir(parents=True, exist_ok=True)
    table.write_text(f"s\tmean_load\tcpu_time\n99.0\t50.0\t1.0\n500.0\t75.0\t{seconds}\n")


@pytest.fixture
def folder(tmp_path):
    for run in ("multi", "multi_20"):
        (tmp_path / "results/training" / run).mkdir(parents=True)
    leave_run(tmp_path, "multi", 10, 140.16, 0.1234)
    leave_run(tmp_path, "multi_20", 20, 381.33, 0.25)
    return tmp_path


def test_a_line_for_each_run_as_it_is_printed(folder, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["training_lengths", str(folder), "multi_20", "multi"])
    training_lengths.main()
    longer, short = csv.DictReader(io.StringIO(capsys.readouterr().out))
    assert [short[name] for name in ("steps", "cpu_seconds", "loss_video", "loss_dense")] == [
        "10",
        "140",
        "0.250",
        "0.500",
    ]
    assert (longer["steps"], longer["cpu_seconds"]) == ("20", "381")
    assert (short["entity_tube_iou"], short["fvd_entities"], longer["depth_delta1"]) == ("0.123", "4", "0.250")
    assert list(short)[4:] == list(training_lengths.FIGURES)


def test_what_was_not_measured_or_is_damaged_is_no_line(folder):
    with pytest.raises(FileNotFoundError):
        training_lengths.training_lengths(folder, ["multi", "multi_3000"])
    path = folder / "results/metrics/multi/seg/quality.json"
    path.write_text(path.read_text().replace("0.1234", "0.9234"))
    with pytest.raises(StorageError):
        training_lengths.training_lengths(folder, ["multi"])
