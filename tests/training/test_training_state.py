"""What a run survives: signals, a second process, other settings, damaged files, a lost output folder."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import asdict, fields, replace
from pathlib import Path

import pytest
import torch
from whole_tensors import read_whole

from udpdiff.files import model_digest
from udpdiff.model.loading import load_run
from udpdiff.training.log import read_log
from udpdiff.training.loop import train
from udpdiff.training.state import FolderLocked, exclusive, identify

FILE = "shard-00001-model-00001-of-00001.safetensors"
SCRIPT = """
import json, sys, torch
torch.set_num_threads(1)
from udpdiff.storage.dataset import LatentSource
from udpdiff.training.loop import train
from udpdiff.training.settings import TrainingSettings
job = json.loads(sys.argv[1])
train(TrainingSettings(**job["settings"]), LatentSource(*job["source"]), job["state"], job["run"])
"""


def weights(folder: Path, step: int) -> dict[str, torch.Tensor]:
    return read_whole(folder / f"checkpoint-{step}" / "weights")


def test_a_signal_saves_exits_75_and_the_run_goes_on_as_if_nothing_had_been(
    tmp_path, make_settings, make_source, streams
):
    settings = make_settings(tasks={"seg": 1.0}, steps=2000, log_every_steps=1)
    paths = {name: str(path) for name, path in streams.items()}
    source = [[paths["video"]], {"seg": [paths["seg"]]}, {"plain": [paths["plain"]]}]
    job = {"settings": asdict(settings), "source": source, "state": f"{tmp_path}/state", "run": f"{tmp_path}/run"}
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[2])}
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, json.dumps(job)], env=environment, stderr=subprocess.PIPE, text=True
    )
    try:
        while not read_log(tmp_path / "state" / "train.jsonl"):
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        errors = process.communicate(timeout=120)[1]
    finally:
        process.kill()
    assert process.returncode == 75, errors
    assert re.search(r"saved step \d+ of 2000, goes on$", errors.strip())
    assert not (tmp_path / "run").exists()

    stopped = int(max((tmp_path / "state").glob("checkpoint-*")).name.split("-")[1])
    more = make_settings(tasks={"seg": 1.0}, steps=stopped + 2, log_every_steps=1)
    train(more, make_source("seg"), tmp_path / "state", tmp_path / "run")
    train(more, make_source("seg"), tmp_path / "unbroken", tmp_path / "run")
    resumed, unbroken = weights(tmp_path / "state", stopped + 2), weights(tmp_path / "unbroken", stopped + 2)
    assert all(torch.equal(resumed[name], unbroken[name]) for name in unbroken)
    assert [entry["step"] for entry in read_log(tmp_path / "state" / "train.jsonl")] == list(range(1, stopped + 3))


def test_a_locked_folder_is_refused_and_left_alone(tmp_path, make_settings, make_source):
    with open(tmp_path / "lock", "a+") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        other.write("process 1 on elsewhere")
        other.flush()
        with pytest.raises(FolderLocked, match="process 1 on elsewhere"):
            train(make_settings(tasks={}), make_source(), tmp_path, tmp_path / "run")
        assert [path.name for path in tmp_path.iterdir()] == ["lock"]
    with exclusive(tmp_path):
        pass


def test_a_start_drops_what_a_killed_process_left(tmp_path, make_settings, make_source):
    left = tmp_path / "state" / ".checkpoint-537.new" / "optimizer"
    left.mkdir(parents=True)
    train(make_settings(tasks={}, steps=2), make_source(), tmp_path / "state", tmp_path / "run")
    assert not left.parent.exists() and (tmp_path / "state" / "checkpoint-2").is_dir()


def test_log_entries_after_the_checkpoint_are_dropped_on_resume(tmp_path, make_settings, make_source):
    settings = make_settings(tasks={}, steps=2, log_every_steps=1)
    train(settings, make_source(), tmp_path / "state", tmp_path / "run")
    with open(tmp_path / "state" / "train.jsonl", "a") as log:
        log.write('{"step": 3, "loss": 99}\n{"step": 4, "lo')
    longer = make_settings(tasks={}, steps=4, log_every_steps=1)
    train(longer, make_source(), tmp_path / "state", tmp_path / "run")
    entries = read_log(tmp_path / "state" / "train.jsonl")
    assert [entry["step"] for entry in entries] == [1, 2, 3, 4]
    assert entries[2]["loss"] < 99


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"learning_rate": 2e-3}, "other learning_rate"),
        ({"steps": 1}, "of 2 steps, more than the 1"),
        ({}, "other data"),
    ],
)
def test_another_training_is_moved_aside(tmp_path, capsys, make_settings, make_source, write_streams, changes, reason):
    train(make_settings(tasks={}, steps=2), make_source(), tmp_path / "state", tmp_path / "run")
    old = weights(tmp_path / "state", 2)
    with open(tmp_path / "state" / "large", "wb") as file:
        file.truncate(2_500_000_000)
    source = make_source() if changes else make_source(streams=write_streams(tmp_path / "data", clips=3, first=50))
    settings = make_settings(**{"tasks": {}, "steps": 2, **changes})
    train(settings, source, tmp_path / "state", tmp_path / "run")
    message = capsys.readouterr().err
    assert reason in message and "state.superseded-1" in message
    assert "It takes 2.5 GB and stays until you remove it" in message
    kept = weights(tmp_path / "state.superseded-1", 2)
    assert all(torch.equal(old[name], kept[name]) for name in old)
    new = weights(tmp_path / "state", settings.steps)
    assert any(not torch.equal(old[name], new[name]) for name in old)


def test_other_clips_held_back_are_another_training(tmp_path, capsys, make_settings, make_source, write_streams):
    source = make_source(streams=write_streams(tmp_path / "data", clips=20))
    for steps, count in ((2, 2), (4, 0)):
        settings = make_settings(tasks={}, steps=steps, validation_clips=count)
        train(settings, source, tmp_path / "state", tmp_path / "run")
    assert "other validation_clips" in capsys.readouterr().err
    assert (tmp_path / "state.superseded-1" / "checkpoint-2").exists()


def test_how_a_run_is_executed_does_not_supersede_it(tmp_path, make_settings, make_source):
    train(make_settings(tasks={}, steps=2), make_source(), tmp_path / "state", tmp_path / "run")
    other = make_settings(tasks={}, steps=2, log_every_steps=1, gradient_checkpointing=True)
    train(other, make_source(), tmp_path / "state", tmp_path / "run")
    assert not (tmp_path / "state.superseded-1").exists()


def test_a_completed_run_is_only_exported_again(tmp_path, make_settings, make_source):
    settings = make_settings(tasks={"depth": 1.0}, steps=2)
    train(settings, make_source("depth"), tmp_path / "state", tmp_path / "run")
    before = (tmp_path / "state" / "train.jsonl").read_text(), (tmp_path / "state" / "provenance.json").read_text()
    first = load_run(tmp_path / "run").transformer.state_dict()
    (tmp_path / "run").rename(tmp_path / "lost")
    train(settings, make_source("depth"), tmp_path / "state", tmp_path / "run")
    again = load_run(tmp_path / "run").transformer.state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)
    after = (tmp_path / "state" / "train.jsonl").read_text(), (tmp_path / "state" / "provenance.json").read_text()
    assert after == before


# Every setting: another value, and whether it starts a training anew. A new setting must be put on one side here.
OTHER = {
    "run": ("other", False),
    "base": ("elsewhere", False),  # its content decides
    "seed": (6, True),
    "tasks": ({"depth": 0.5, "seg": 0.5}, True),  # in another order
    "steps": (5, True),  # under a schedule that looks at the end
    "batch_size": (8, True),
    "learning_rate": (1e-4, True),
    "task_condition": ("text", True),
    "colormaps": ({"seg": "location"}, True),
    "init_in": ("zero", True),
    "init_out": ("zero", True),
    "optimizer": ("muon", True),
    "warmup_steps": (3, True),
    "schedule": ("constant", True),
    "weight_decay": (0.0, True),
    "max_grad_norm": (2.0, True),
    "ema_decay": (0.5, True),
    "objective": ("eps_weighted", True),
    "dense_weight": (0.5, True),
    "detailed_share": (0.5, True),
    "caption_dropout": (0.5, True),
    "mixed_precision": ("bf16", True),
    "lora_rank": (4, True),
    "validation_clips": (4, True),  # they are held back from training
    "sharding": ("full", False),
    "gradient_checkpointing": (True, False),
    "gradient_accumulation_steps": (2, False),
    "compile": (True, False),
    "offload_optimizer": (True, False),
    "checkpoint_every_steps": (7, False),
    "log_every_steps": (7, False),
    "validation_every_steps": (7, False),
    "keep_optimizer": (False, False),
    "trackers": (("tensorboard",), False),
    "export": ("transformer", False),
}


def test_every_setting_is_known_to_decide_the_weights_or_not(make_settings, make_source, base):
    settings, source = make_settings(schedule="cosine"), make_source("seg", "depth")
    assert OTHER.keys() == {field.name for field in fields(settings)}
    before = identify(settings, source, None, base)["fingerprint"]
    for name, (value, decides) in OTHER.items():
        changed = identify(replace(settings, **{name: value}), source, None, base)["fingerprint"]
        assert (changed != before) == decides, name
    constant = make_settings(schedule="constant")
    longer = replace(constant, steps=9)
    assert identify(constant, source, None, base) == identify(longer, source, None, base)


@pytest.mark.parametrize(
    ("file", "key", "value"),
    [("scheduler/scheduler_config.json", "snr_shift_scale", 3.0), ("transformer/config.json", "patch_size", 2)],
)
def test_an_edited_base_is_another_base(tmp_path, make_settings, make_source, base, file, key, value):
    shutil.copytree(base, tmp_path / "base")
    settings, source = make_settings(), make_source("seg", "depth")
    before = identify(settings, source, None, tmp_path / "base")
    assert before == identify(settings, source, None, base)
    path = tmp_path / "base" / file
    path.write_text(json.dumps(json.loads(path.read_text()) | {key: value}))
    assert identify(settings, source, None, tmp_path / "base")["fingerprint"] != before["fingerprint"]


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.safetensors", "spiece.model"])
def test_all_that_a_model_is_read_from_counts(tmp_path, name):
    (tmp_path / "text_encoder").mkdir()
    digests = set()
    for content in (b"one", b"two"):
        (tmp_path / "text_encoder" / name).write_bytes(content)
        digests.add(model_digest(tmp_path, ("text_encoder",)))
    assert len(digests) == 2


def test_evaluation_clips_decide_what_is_held_back(make_settings, make_source, base):
    settings, source = make_settings(), make_source("seg")
    plain, with_evaluation = (identify(settings, source, each, base) for each in (None, make_source("seg")))
    assert plain["fingerprint"] != with_evaluation["fingerprint"]


@pytest.mark.parametrize("content", [b"", b'{"sessions": [', b"[1]", b"\xff\xfe"])
def test_a_damaged_record_does_not_stop_a_training(tmp_path, make_settings, make_source, content):
    train(make_settings(tasks={}, steps=2), make_source(), tmp_path / "state", tmp_path / "run")
    (tmp_path / "state" / "provenance.json").write_bytes(content)
    with open(tmp_path / "state" / "train.jsonl", "ab") as log:
        log.write(b'{"step": 2, "lo' + content)
    train(make_settings(tasks={}, steps=4), make_source(), tmp_path / "state", tmp_path / "run")
    record = json.loads((tmp_path / "state" / "provenance.json").read_text())
    assert [session["first_step"] for session in record["sessions"]] == [2]
    assert [entry["step"] for entry in read_log(tmp_path / "state" / "train.jsonl")] == [2, 4]


@pytest.mark.parametrize("state", ["", '{"step": 2, "fingerprint": "of an earlier version", "extra": {}}'])
def test_a_training_without_a_readable_checkpoint_is_moved_aside(tmp_path, capsys, make_settings, make_source, state):
    settings = make_settings(tasks={}, steps=2)
    train(settings, make_source(), tmp_path / "state", tmp_path / "run")
    (tmp_path / "state" / "checkpoint-2" / "state.json").write_text(state)
    train(settings, make_source(), tmp_path / "state", tmp_path / "run")
    assert "none of its checkpoints can be read" in capsys.readouterr().err
    old, new = (weights(tmp_path / name, 2) for name in ("state.superseded-1", "state"))
    assert all(torch.equal(old[name], new[name]) for name in old)


def test_weights_damaged_in_every_checkpoint_are_trained_again(tmp_path, capsys, make_settings, make_source):
    settings = make_settings(tasks={}, steps=2)
    train(settings, make_source(), tmp_path / "state", tmp_path / "run")
    expected = {name: value.clone() for name, value in weights(tmp_path / "state", 2).items()}
    (tmp_path / "state" / "checkpoint-2" / "weights" / FILE).write_bytes(b"")
    train(settings, make_source(), tmp_path / "state", tmp_path / "run")
    assert "continuing at step 0 of 2" in capsys.readouterr().err
    again = weights(tmp_path / "state", 2)
    assert all(torch.equal(expected[name], again[name]) for name in expected)
