"""Parts the trainers of mini checkpoints share: optimizer, budget, replacing folders, scene cache, objective."""

from __future__ import annotations

import argparse

import numpy as np
import pytest
import torch

from udpdiff.checkpoints.base_data import find_solids, mirrored
from udpdiff.checkpoints.budget import Budget, TrainingLog, add_budget_arguments
from udpdiff.checkpoints.scene_cache import CachedScenes, disparity
from udpdiff.training.muon import MuonAdam, orthogonalise


@pytest.mark.parametrize("shape", [(2, 8, 24), (1, 24, 8), (3, 16, 16)])
def test_orthogonalise_evens_out_singular_values(shape):
    generator = torch.Generator().manual_seed(0)
    left, _, right = torch.linalg.svd(torch.randn(shape, generator=generator), full_matrices=False)
    spread = torch.logspace(-2, 1, left.shape[2])
    values = torch.linalg.svdvals(orthogonalise(left * spread @ right))
    assert values.min() > 0.1 and values.max() < 1.9


def test_optimizer_fits_a_linear_map():
    generator = torch.Generator().manual_seed(0)
    target, inputs = torch.randn(6, 10, generator=generator), torch.randn(64, 10, generator=generator)
    weight, bias = torch.nn.Parameter(torch.zeros(6, 10)), torch.nn.Parameter(torch.zeros(6))
    optimizer = MuonAdam([weight], [bias], lr=0.05)
    for _ in range(150):
        loss = (inputs @ weight.T + bias - inputs @ target.T - 1).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.1


def test_budget_by_steps_warms_up_and_decays():
    budget = Budget(steps=100, minutes=None)
    first = budget.learning_rate(1.0, warmup_steps=10)
    budget.step = 20
    middle = budget.learning_rate(1.0, warmup_steps=10)
    budget.step = 100
    assert first == pytest.approx(0.1) and middle > 0.9
    assert budget.progress == 1 and budget.learning_rate(1.0, warmup_steps=10) == pytest.approx(0.01)


@pytest.mark.parametrize("arguments", [(None, None), (10, 1.0)])
def test_budget_wants_steps_or_minutes(arguments):
    with pytest.raises(ValueError, match="exactly one"):
        Budget(*arguments)


def test_trainers_share_their_options(tmp_path):
    parser = argparse.ArgumentParser()
    add_budget_arguments(parser)
    args = parser.parse_args(["--out", str(tmp_path), "--steps", "5"])
    assert (args.out, args.steps, args.minutes, args.seed) == (tmp_path, 5, None, 0)


def test_log_keeps_rows_and_file(tmp_path):
    log = TrainingLog(tmp_path / "logs" / "run.jsonl")
    log.add(step=1, loss=0.123456789)
    log.add(step=2, loss=0.1)
    assert log.rows[0] == {"step": 1, "loss": 0.12346}
    assert len(log.path.read_text().splitlines()) == 2


def test_disparity_is_one_at_the_nearest_point():
    depth = disparity(np.array([[[2.0, 4.0, 8.0]]], np.float32))
    np.testing.assert_allclose(depth[0, 0], [1.0, 1 / 3, 0.0], atol=1e-6)


def test_a_mirror_exchanges_left_and_right_in_pictures_and_captions():
    video = np.arange(2 * 5 * 8 * 8 * 3, dtype=np.uint8).reshape(2, 5, 8, 8, 3)
    captions = ["A red ball rolls left. The camera moves right.", "A cube stays, bright and upright."]
    scenes = CachedScenes(video, video[..., 0], video[..., 1], captions, captions)
    mirror = mirrored(scenes)
    assert mirror.detailed == ["A red ball rolls right. The camera moves left.", captions[1]]
    assert np.array_equal(mirror.video[:, :, :, 0], video[:, :, :, -1])
    assert np.array_equal(mirror.entity_ids[..., 0], scenes.entity_ids[..., -1])
    assert torch.equal(find_solids(mirror.entity_ids), find_solids(scenes.entity_ids).flip(-1))
    assert mirrored(mirror).brief == captions
