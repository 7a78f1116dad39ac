"""The card of a checkpoint."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml
from snakemake.utils import update_config

from udpdiff.config.parsing import parse
from udpdiff.mini.card import earlier_training, write_card
from udpdiff.model.sampling_defaults import CALL, MINI_CALL
from udpdiff.storage.sealed import check_folder
from udpdiff.training.card import model_card
from udpdiff.training.log import read_log
from udpdiff.training.settings import TrainingSettings
from udpdiff.workflow import jobs as workflow_jobs
from udpdiff.workflow.workflow import Workflow

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "udpdiff" / "checkpoints"


def test_card_holds_what_was_measured(tmp_path):
    curve = [(step, 1.0 / (1 + step)) for step in range(0, 5000, 5)]
    write_card(tmp_path, "small", "40 scenes", 5000, 7, {"entity_miou": 0.8765, "active_channels": 12}, curve)
    record = json.loads((tmp_path / "training.json").read_text())
    assert (record["steps"], record["seed"], record["quality"]["entity_miou"]) == (5000, 7, 0.8765)
    assert len(record["curve"]) <= 200 and record["curve"][0] == [0, 1.0]
    text = (tmp_path / "README.md").read_text()
    assert earlier_training(tmp_path) == (5000, [tuple(point) for point in record["curve"]])
    assert earlier_training(None) == earlier_training(tmp_path / "elsewhere") == (0, [])
    assert "- Licence: Apache-2.0, trained by this project on its own scenes\n" in text
    assert "mini:small" in text and "| entity miou | 0.8765 |" in text and "| active channels | 12 |" in text


@pytest.mark.parametrize("name", sorted(str(path.parent.relative_to(FOLDER)) for path in FOLDER.rglob("training.json")))
def test_the_cards_that_come_along_are_what_is_written_today(tmp_path, name):
    text, record = ((FOLDER / name / file).read_text() for file in ("README.md", "training.json"))
    record = json.loads(record)
    notes = text.partition("no published model.\n\n")[2].partition("- Data: ")[0].strip()
    write_card(tmp_path, record.pop("name"), **record, notes=notes)
    assert (tmp_path / "README.md").read_text() == text


def test_so_is_that_of_the_trained_model_but_for_its_name_and_figures():
    raw, hours = (yaml.safe_load((ROOT / name).read_text()) for name in ("config.yaml", "presets/hours.yaml"))
    update_config(raw, hours)
    del raw["models"]["udpdiff"]
    recipe = json.loads((FOLDER / "udpdiff/run.json").read_text())
    flow, run = Workflow(parse(raw)), recipe["run"]
    settings = TrainingSettings.from_job(workflow_jobs.train(flow, run), workflow_jobs.execution(flow).training[run])
    text = (FOLDER / "udpdiff/README.md").read_text()
    data = re.search(r"- Data: (.*)\. Tasks by share", text)[1]
    log = read_log(FOLDER / "udpdiff/train.jsonl")
    written = model_card(asdict(settings), recipe.get("clips", {}), log, data=data)
    written = written.replace(f"# {run}\n", "# mini:udpdiff\n").replace('"FOLDER"', '"mini:udpdiff"')

    def without_figures(card: str) -> str:
        return re.sub(r"(?s)## Figures\n.*## Limits", "", card)

    assert without_figures(text) == without_figures(written)
    check_folder(FOLDER / "udpdiff", ("README.md",))  # a new card is sealed: udpdiff.storage.sealed.seal_folder


@pytest.mark.parametrize(("base", "call"), [("mini:cogvideox", MINI_CALL), ("THUDM/CogVideoX-5b", CALL)])
def test_the_example_of_a_card_samples_as_the_command_does(base, call):
    asked = {"run": "multi", "base": base, "tasks": {"seg": 0.5, "depth": 0.5}, "seed": 7, "steps": 1, "batch_size": 2}
    settings = asdict(TrainingSettings(**asked, learning_rate=1e-3))
    [example] = re.findall(r"(?s)```python\n(.*?)```", model_card(settings, {}, []))
    given: dict = {}

    class Pipeline:
        @staticmethod
        def from_pretrained(folder):
            return lambda prompt, **options: given.update(options)

    exec(example.replace("from udpdiff import UDPDiffPipeline", ""), {"UDPDiffPipeline": Pipeline})
    assert given == {"task": "seg", **call}


@pytest.mark.parametrize("curve", [[], [(0, 1.0)], [(0, 1.0), (10, -0.5)], [(0, 2.0), (10, 0.5)]])
def test_curve_is_a_valid_drawing(tmp_path, curve):
    write_card(tmp_path, "small", "nothing", 10, 0, {}, curve)
    drawing = ElementTree.parse(tmp_path / "loss.svg").getroot()
    lines = [element for element in drawing if element.tag.endswith("polyline")]
    assert len(lines) == (1 if len(curve) > 1 else 0)
