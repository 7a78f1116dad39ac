"""A trained model stands among the runs as it was handed on, or is refused."""

from __future__ import annotations

import shutil

import pytest
import torch

from udpdiff import UDPDiffPipeline, checkpoints
from udpdiff.jobs import TakeModel
from udpdiff.model.loading import load_run
from udpdiff.model.taking import take_model
from udpdiff.storage.errors import StorageError


def job(checkpoint: str = "mini:udpdiff", *tasks: str) -> TakeModel:
    return TakeModel(model="udpdiff", checkpoint=checkpoint, tasks=tasks or ("seg", "depth"))


def test_it_is_loaded_as_a_run_is(tmp_path):
    take_model(job(), tmp_path / "runs" / "udpdiff")
    taken, shipped = load_run(tmp_path / "runs" / "udpdiff"), UDPDiffPipeline.from_pretrained("mini:udpdiff")
    weights = shipped.transformer.state_dict()
    assert all(torch.equal(weights[name], value) for name, value in taken.transformer.state_dict().items())
    assert taken.config.tasks == shipped.config.tasks == {"seg": "pixelplanes", "depth": "spectral"}
    assert {path.name for path in (tmp_path / "runs" / "udpdiff").iterdir()} == {
        "transformer", "model_index.json", "run.json", "digests.json",
    }  # fmt: skip


def test_a_task_that_it_has_not_learnt_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"models.udpdiff.tasks: got 'normals', .* allowed: seg, depth"):
        take_model(job("mini:udpdiff", "seg", "normals"), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_model_that_was_not_exported_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"mini:cogvideox: got no run.json"):
        take_model(job("mini:cogvideox"), tmp_path / "run")


def test_damaged_weights_are_not_taken(tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(checkpoints.resolve("mini:udpdiff"), folder)
    weights = next((folder / "transformer").glob("*.safetensors"))
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    with pytest.raises(StorageError, match="not what was written"):
        take_model(job(str(folder)), tmp_path / "run")
    assert not (tmp_path / "run").exists()
