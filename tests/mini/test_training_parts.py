"""Parts the trainers of mini checkpoints share: optimizer, recipe, budget, averages, scenes."""

from __future__ import annotations

import errno
import json

import numpy as np
import pytest
import torch

from udpdiff.mini import base, scenes
from udpdiff.mini.base_data import find_solids
from udpdiff.mini.pictures import mirrored
from udpdiff.mini.scenes import VARIED_SCENES, Scenes, disparity, load_scenes, scene_blocks
from udpdiff.mini.training import Budget, Options, Recipe, Trainer, split_parameters, train
from udpdiff.storage.errors import StorageError
from udpdiff.training.muon import MuonAdam, orthogonalise
from udpdiff.training.optimizer import split_parameters as split_of_runs


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


def test_a_recipe_warms_up_and_decays():
    recipe, budget = Recipe(1.0, warmup_steps=10), Budget(steps=100)
    first = recipe.learning_rate(budget)
    budget.step = 20
    middle = recipe.learning_rate(budget)
    budget.step = 100
    assert first == pytest.approx(0.1) and middle > 0.9
    assert budget.progress == 1 and recipe.learning_rate(budget) == pytest.approx(0.01)


@pytest.mark.parametrize("arguments", [(None, None), (10, 1.0)])
def test_budget_wants_steps_or_minutes(arguments):
    with pytest.raises(ValueError, match="exactly one"):
        Budget(*arguments)


class LineTrainer(Trainer):
    """A line through the origin, to show the loop."""

    name, data = "line", "numbers"
    recipe = Recipe(0.5, warmup_steps=5, average_decay=0.9, weight_decay=0.0)

    def __init__(self, options):
        super().__init__(options)
        self.model = torch.nn.Linear(3, 2)
        self.target = torch.tensor([[1.0, 2, 3], [4, 5, 6]])

    def loss(self, budget):
        inputs = torch.randn(16, 3, generator=self.generator)
        return (self.model(inputs) - inputs @ self.target.T).square().mean()

    def measure(self, model, finished):
        return {"error": float((model.weight - self.target).abs().max()), "finished": finished}

    def save(self, model, folder):
        torch.save(model.state_dict(), folder / "line.pt")


def test_the_loop_trains_averages_logs_and_writes_a_card(tmp_path, capsys):
    options = Options("line", tmp_path / "line", steps=200)
    trainer = LineTrainer(options)
    quality = train(trainer)
    assert quality["finished"] and quality["error"] < 0.5
    rows = [json.loads(line) for line in (options.out / "training.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [*range(20, 201, 20), 200]
    assert set(rows[0]) == {"step", "loss", "seconds"} and rows[-1]["error"] == quality["error"]
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == rows
    saved = torch.load(options.out / "line.pt")
    assert not torch.equal(saved["weight"], trainer.model.weight), "the average is saved, not the last weights"
    assert json.loads((options.out / "training.json").read_text())["curve"][-1] == [200, rows[-2]["loss"]]

    further = Options("line", tmp_path / "further", steps=20, start_from=options.out)
    train(LineTrainer(further))
    record = json.loads((further.out / "training.json").read_text())
    assert record["steps"] == 220 and record["curve"][-1][0] == 220
    assert "checkpoint of 200 steps" in (further.out / "README.md").read_text()


def test_without_an_average_the_last_weights_are_saved(tmp_path):
    trainer = LineTrainer(Options("line", tmp_path / "line", steps=5))
    trainer.recipe = Recipe(0.05, average_decay=0.0)
    train(trainer)
    assert torch.equal(torch.load(tmp_path / "line" / "line.pt")["weight"], trainer.model.weight)


def test_a_disk_that_is_full_leaves_no_half_checkpoint(tmp_path, monkeypatch):
    def full(self, model, folder):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(LineTrainer, "save", full)
    with pytest.raises(StorageError, match=r"line: cannot be written .*No space left"):
        train(LineTrainer(Options("line", tmp_path / "line", steps=1)))
    assert not list(tmp_path.iterdir())


def test_a_training_by_the_clock_ends_and_saves_on_the_way(tmp_path, monkeypatch):
    monkeypatch.setattr("udpdiff.mini.training.SAVE_EVERY_SECONDS", 0.1)
    assert train(LineTrainer(Options("line", tmp_path / "line", steps=None, minutes=0.01)))["finished"]
    rows = [json.loads(line) for line in (tmp_path / "line" / "training.jsonl").read_text().splitlines()]
    assert [row["finished"] for row in rows if "finished" in row][:2] == [False, False]


def test_weights_are_split_once(monkeypatch):
    model = torch.nn.ModuleDict(
        {"token": torch.nn.Embedding(4, 8), "hidden": torch.nn.Linear(8, 8), "frozen": torch.nn.Linear(8, 8)}
    )
    model["frozen"].requires_grad_(False)
    model["embed_patches"] = torch.nn.Conv2d(3, 8, 2)
    model["large"] = torch.nn.Linear(8, 100)
    matrices, others = split_parameters(model, ("embed", "bias"), 500)
    assert [id(weight) for weight in matrices] == [id(model["hidden"].weight)]
    assert len(others) == 6 and not {id(weight) for weight in model["frozen"].parameters()} & {id(w) for w in others}


def test_the_base_is_split_as_a_run_that_is_fine_tuned_from_it():
    model = base.Objective(base.build_transformer(), base.build_text_encoder(50), base.build_scheduler())
    expected = split_of_runs(model.named_parameters())
    found = split_parameters(model, base.ADAM_NAMES, float("inf"))
    assert [{id(weight) for weight in part} for part in found] == [{id(weight) for weight in part} for part in expected]


def test_scenes_are_read_back_block_by_block(tmp_path, monkeypatch):
    monkeypatch.setattr(scenes, "BLOCK_SCENES", 2)
    settings = scenes.SceneSettings(16, 16, 2, 8.0)
    rendered = load_scenes(settings, 7, 3, tmp_path)
    assert len(list(tmp_path.rglob("*.npz"))) == 2 and len(rendered) == 3
    monkeypatch.setattr(scenes, "_write_block", None)
    blocks = list(scene_blocks(settings, 7, 3, tmp_path))
    assert [len(block) for block in blocks] == [2, 1]
    again = load_scenes(settings, 7, 3, tmp_path)
    for name in ("video", "entity_ids", "z"):
        np.testing.assert_array_equal(getattr(again, name), getattr(rendered, name))
    assert (again.brief, again.descriptions) == (rendered.brief, rendered.descriptions)
    assert again.depth.shape == (3, 2, 16, 16) and (again.depth.max((1, 2, 3)) == 255).all()
    assert len(again.head(2)) == 2 and VARIED_SCENES.max_solids > scenes.DEFAULT_SCENES.max_solids


def test_disparity_is_one_at_the_nearest_point():
    depth = disparity(np.array([[[2.0, 4.0, 8.0]]], np.float32))
    np.testing.assert_allclose(depth[0, 0], [1.0, 1 / 3, 0.0], atol=1e-6)


def test_a_mirror_exchanges_left_and_right_in_pictures_and_captions():
    video = np.arange(2 * 5 * 8 * 8 * 3, dtype=np.uint8).reshape(2, 5, 8, 8, 3)
    captions = ["A red ball rolls left. The camera moves right.", "A cube stays, bright and upright."]
    seen = Scenes(video, video[..., 0], video[..., 1], captions, captions, [{}, {}])
    mirror = mirrored(seen)
    assert mirror.detailed == ["A red ball rolls right. The camera moves left.", captions[1]]
    assert np.array_equal(mirror.video[:, :, :, 0], video[:, :, :, -1])
    assert np.array_equal(mirror.entity_ids[..., 0], seen.entity_ids[..., -1])
    assert torch.equal(find_solids(mirror.entity_ids), find_solids(seen.entity_ids).flip(-1))
    assert mirrored(mirror).brief == captions
