"""The campaign itself, without its hours: it sees what differs, counts it, and leaves no rule out."""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from comparing import differences
from finished_run import CONFIG, remove
from job_process import ROOT, FullDisk, Job, JobProcesses
from mistakes import mistakes
from tally import Tally
from test_campaign_flips import flip, kind_of

from udpdiff.storage.shards import ShardWriter

# Made apart from results, or tried with sources of their own; see source_runs.py.
APART = {"all", "plan", "prefetch", "fetch_checkpoint", "measure_memory", "measure_throughput", "mini_checkpoints"}
APART |= {"panda_dense", "export_clips", "describe_data_set", "show_labels", "paper_figures", "draw_figure"}
APART |= {"check_checkpoints", "choose_clips", "download_clips", "cut_videos", "check_clips", "train_mini"}


def test_wrong_ones_are_counted_and_named():
    tally = Tally()
    tally.note("kill", "survived")
    tally.note("kill", "wrong", "lost a clip")
    tally.note("flip", "refused")
    assert tally.wrong("kill") == ["kill: lost a clip"] and not tally.wrong("flip")
    counted = [line.split() for line in tally.table().splitlines()[1:]]
    assert counted == [["flip", "1", "0", "1", "0"], ["kill", "2", "1", "0", "1"], ["all", "3", "1", "1", "1"]]


def test_no_rule_is_left_out(tmp_path):
    command = [sys.executable, str(ROOT / "tests/workflow/dag_as_json.py"), str(CONFIG), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    tried = {job["rule"] for job in json.loads(done.stdout)}
    text = "".join(path.read_text() for path in [*(ROOT / "rules").glob("*.smk"), ROOT / "Snakefile"])
    rules = set(re.findall(r"^ *rule (\w+):", text, re.M))
    assert rules - tried == APART - {"all"} and rules <= tried | APART


def shard(path: Path, value: int = 1) -> Path:
    with ShardWriter(path, "depth", {}) as writer:
        writer.add("a", {"depth": np.full((2, 4, 4), value, np.uint16)})
    return path


def test_other_results_are_seen(tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    for folder, value in ((first, 1), (second, 2)):
        shard(folder / "x/0.h5", value)
        (folder / "x.json").write_text(json.dumps({"figure": value, "cost": {"cost.total_seconds": value}}))
        (folder / "x.csv").write_text(f"a,{value}\n")
    assert not differences(first, first)
    assert len(differences(first, second)) == 3
    (second / "x.json").write_text(json.dumps({"figure": 1, "cost": {"cost.total_seconds": 9.5}}))
    remove(second / "x.csv")
    assert ["x.csv" in fault or "0.h5" in fault for fault in differences(first, second)] == [True, True]


def test_a_value_beside_its_digest_is_seen(tmp_path):
    first, second = shard(tmp_path / "0.h5"), shard(tmp_path / "1.h5")
    with h5py.File(second, "r+") as file:
        file["data/depth"][0, 0, 0, 0] = 7
    with pytest.raises(RuntimeError, match="sha256"):
        differences(first, second)


def test_flips_change_the_file(tmp_path):
    path = tmp_path / "a"
    for seed in range(50):
        path.write_bytes(b"0123456789")
        flip(path, random.Random(seed))
        assert path.read_bytes() != b"0123456789" and len(path.read_bytes()) == 10
    assert kind_of("latents/seg/train/0.h5") == "latents h5" and kind_of("table4.csv") == "table csv"


def test_mistakes_name_existing_sections(tmp_path):
    keys = {key.split(".")[0] for key, _ in mistakes(tmp_path)}
    assert keys <= {*re.findall(r"^(\w+):", (ROOT / "config.yaml").read_text(), re.M)}


@pytest.mark.parametrize("transient", [False, True])
def test_full_disks_are_full(tmp_path, monkeypatch, transient):
    """A script that writes twice: a lasting lack fails both, a transient one the first alone."""
    (tmp_path / "writes_twice.py").write_text(
        "import os\n"
        "for name in 'ab':\n"
        "    try:\n"
        "        open(name, 'wb', buffering=0).write(b'x' * 100)\n"
        "        whole = os.path.getsize(name) == 100\n"
        "        open(name, 'ab', buffering=0).write(b'x')\n"
        "        print(name, whole)\n"
        "    except OSError as error:\n"
        "        print(name, error.strerror)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    job = Job("rule", (), ("a",), "writes_twice", (), 1.0)
    ended = JobProcesses({}, scripts=[]).run(job, tmp_path, FullDisk(50, transient))
    assert ended.code == 0
    assert ended.told.split("\n")[:2] == ["a File too large", "b True" if transient else "b File too large"]
