"""A user's own interpolator, from its module to the tables, the flat figures and the comparison of two folders."""

from __future__ import annotations

import json

import pandas
import pytest
from hand_made_shards import GENERATED, clips, evaluate, extract, moving_videos, run, use_stub

from udpdiff import jobs
from udpdiff.files import file_sha256
from udpdiff.metrics.interpolation import interpolator_sha256, load_interpolator
from udpdiff.metrics.registry import describe
from udpdiff.report import compare, quality
from udpdiff.tables.fill import figure_behind
from udpdiff.tables.specs import needed, table_spec

NETWORK = """
class Network:
    name = "My-Net.2"

    def __call__(self, before, after):
        return before


def load():
    return Network()
"""


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    (tmp_path / "own_interpolator.py").write_text(NETWORK)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    return "plugin:own_interpolator:load"


def test_its_figure_fills_the_column_and_is_described_wherever_it_is_shown(tmp_path, monkeypatch, plugin):
    use_stub(monkeypatch)
    job = GENERATED.model_copy(update={"interpolator": plugin, "kernel_encoder": None})
    videos, real = (
        extract(monkeypatch, clips(tmp_path / f"{seed}.clips.h5", moving_videos(4, seed)), tmp_path / f"{seed}.h5", job)
        for seed in (1, 2)
    )
    files = []
    for name, task in needed(7):
        file = evaluate(tmp_path, monkeypatch, [videos], [real], run=name, task=task)
        for folder in ("a", "b"):
            place = tmp_path / folder / "metrics" / name / task
            place.mkdir(parents=True)
            (place / "quality.json").write_bytes(file.read_bytes())
        files.append(place / "quality.json")
    places = {name: tmp_path / f"table7.{name}" for name in ("table", "digest", "comparisons")}
    run("fill_table", monkeypatch, number=7, job=jobs.FillTable(seed=0, bootstrap_samples=20), measured=files, **places)
    table = pandas.read_csv(places["table"])
    measured = json.loads(files[0].read_text())["metrics"]["motion_smoothness_my_net_2"]["value"]
    assert table["motion_smoothness_ours"].tolist() == pytest.approx([100 * measured] * 3)
    assert set(table["motion_smoothness_extractor"]) == {"motion_smoothness_my_net_2: My-Net.2"}
    lines = json.loads(places["comparisons"].read_text())["comparisons"]
    assert all(line["verdict"] for line in lines if line["metric"] == "motion_smoothness")
    figures = quality.collect(files, "multi")
    for key in figures:
        describe(key.removesuffix("_low").removesuffix("_high").removesuffix("_n"))
    assert "generated.motion_smoothness_my_net_2_depth" in figures
    rows = compare.compared(tmp_path / "a", tmp_path / "b").figures
    assert {row.label for row in rows} >= {
        "Motion smoothness, by my_net_2",
        "Motion smoothness, by my_net_2, real videos",
    }
    column = table_spec(7).metrics[2]
    assert (
        column.source_among(["motion_smoothness_blend", "motion_smoothness_my_net_2"]) == "motion_smoothness_my_net_2"
    )
    assert column.source_among(["motion_smoothness_my_net_2", "motion_smoothness"]) == "motion_smoothness"
    assert column.source_among(["motion_smoothness_my_net_2_real", "subject_consistency"]) is None
    assert figure_behind(column, ["motion_smoothness_my_net_2: My-Net.2"]).label == "Motion smoothness, by my_net_2"
    assert figure_behind(column, ["AMT-S"]).key == "motion_smoothness"


def test_its_module_is_what_its_digest_is_of(tmp_path, plugin):
    assert interpolator_sha256(plugin) == file_sha256(tmp_path / "own_interpolator.py")
    assert interpolator_sha256("blend") is None


@pytest.mark.parametrize("name", ["seg", "film of real", "blend", "--"])
def test_a_name_that_reads_as_another_figure_is_refused(tmp_path, plugin, monkeypatch, name):
    (tmp_path / "own_interpolator.py").write_text(NETWORK.replace("My-Net.2", name))
    monkeypatch.delitem(__import__("sys").modules, "own_interpolator", raising=False)
    with pytest.raises(ValueError, match="calls itself"):
        load_interpolator(plugin)
