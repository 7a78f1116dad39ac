"""Every stage can be trained, and the workflow plans what the table of stages says."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from test_documented_commands import PAGES, commands

from udpdiff.mini.stages import STAGES
from udpdiff.mini.trainers import TRAINERS, train_stage
from udpdiff.mini.training import Options

ROOT = Path(__file__).parents[2]
RESULTS = "results/mini_checkpoints"


def test_stages_start_from_stages_before_them():
    seen = set()
    for name, stage in STAGES.items():
        assert set(stage.inputs.values()) <= seen, name
        assert stage.trainer in TRAINERS
        seen.add(name)


def test_stages_on_the_way_are_used():
    used = {needed for stage in STAGES.values() for needed in stage.inputs.values()}
    assert all(stage.shipped or name in used for name, stage in STAGES.items())


@pytest.mark.parametrize("name", STAGES)
def test_every_stage_can_be_trained(name, train_briefly):
    folder = train_briefly(name)
    record = json.loads((folder / "training.json").read_text())
    assert record["steps"] >= 2 and record["quality"] and record["data"]
    assert all(np.isfinite(value) for value in record["quality"].values())
    rows = [json.loads(line) for line in (folder / "training.jsonl").read_text().splitlines()]
    assert rows[-1]["step"] == 2 and set(record["quality"]) <= set(rows[-1])
    assert list(folder.rglob("*.safetensors"))
    for config in folder.rglob("*.json"):
        assert not re.search(r'"/\w', config.read_text()), f"{config} names a folder of this machine"


@pytest.mark.parametrize(
    ("stage", "folders", "words"),
    [
        ("unknown", {}, "expected one of vae_wide_unrefined"),
        ("vae", {}, "no --start-from; name the folder of vae_unrefined"),
        ("vae_wide_unrefined", {"vae": Path("vae")}, "starts from nothing of the kind"),
        ("vae_wide_unrefined", {"device": "cuda"}, "got a device or a batch of its own"),
        ("vae_wide_unrefined", {"batch": 3}, "got a device or a batch of its own"),
    ],
)
def test_what_a_stage_cannot_start_from_is_refused(tmp_path, stage, folders, words):
    with pytest.raises(ValueError, match=words):
        train_stage(Options(stage, tmp_path, 1, **folders))


def test_the_workflow_trains_each_stage_after_those_it_starts_from(tmp_path):
    command = [sys.executable, "-m", "snakemake", "-n", "-p", "mini_checkpoints", "--directory", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    jobs = re.findall(
        rf"^rule train_mini:\n(?: +input: (.*)\n)? +output: {RESULTS}/(\w+)\n(?:.*\n)*? +(python .*)", done.stdout, re.M
    )
    planned = {name: (set(inputs.split(", ")) - {""}, command) for inputs, name, command in jobs}
    assert set(planned) == set(STAGES)
    for name, (inputs, shell) in planned.items():
        stage = STAGES[name]
        assert inputs == {f"{RESULTS}/{needed}" for needed in stage.inputs.values()}
        assert f"-m scripts.train_mini {name} " in shell
        assert f"--steps {stage.steps} --seed {stage.seed}" in shell
        for option, needed in stage.inputs.items():
            assert f"--{option.replace('_', '-')} {RESULTS}/{needed}" in shell


def test_documented_lines_train_the_stage_that_they_name(monkeypatch):
    """What these stages then do, test_every_stage_can_be_trained runs."""
    from scripts import train_mini
    from udpdiff.mini import trainers

    given, command = [], "python -m scripts.train_mini "
    monkeypatch.setattr(trainers, "train_stage", given.append)
    lines = sorted({line for page in PAGES for line in commands(page) if line.startswith(command)})
    for line in lines:
        words = shlex.split(line.removeprefix(command))
        monkeypatch.setattr(sys, "argv", ["train_mini", *words, *([] if "--out" in words else ["--out", "FOLDER"])])
        train_mini.main()
    captioner, base = given
    assert (captioner.stage, captioner.minutes, captioner.steps) == ("captioner", 30, None)
    assert (ROOT / captioner.start_from / "model.safetensors").is_file()
    assert (base.stage, base.device, base.batch) == ("cogvideox", "cuda", 128)


def test_the_script_trains_the_stage_it_is_given(monkeypatch, tmp_path):
    from scripts import train_mini
    from udpdiff.mini import trainers

    given = []
    monkeypatch.setattr(trainers, "train_stage", given.append)
    arguments = ["image_encoder", "--out", str(tmp_path), "--start-from", "subject"]
    for length in ([], ["--minutes", "3"]):
        monkeypatch.setattr(sys, "argv", ["train_mini", *arguments, *length])
        train_mini.main()
    assert given[0] == Options("image_encoder", tmp_path, 1000, seed=0, start_from=Path("subject"))
    assert (given[1].steps, given[1].minutes) == (None, 3.0)
