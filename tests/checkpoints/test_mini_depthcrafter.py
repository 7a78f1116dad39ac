"""mini:depthcrafter: its trainers run and leave a loadable checkpoint; the shipped one sees depth, and steadily."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from udpdiff import checkpoints
from udpdiff.checkpoints import depth_quality, train_depthcrafter, train_depthcrafter_vae
from udpdiff.checkpoints.depthcrafter_model import build_scheduler, load_vae
from udpdiff.checkpoints.scene_cache import DEFAULT_SCENES, HELD_OUT_SEED, CachedScenes, disparity
from udpdiff.checkpoints.scene_maps import SceneMaps
from udpdiff.labelling.depthcrafter import DepthCrafter
from udpdiff.sources.scenes import render_clip

MOST_BYTES = 3_500_000


@pytest.fixture(scope="module")
def clips():
    return [render_clip(DEFAULT_SCENES, HELD_OUT_SEED + 500 + index) for index in range(3)]


@pytest.fixture(scope="module")
def scenes(clips) -> CachedScenes:
    return CachedScenes(
        video=np.stack([clip.video for clip in clips]),
        entity_ids=np.stack([clip.entity_ids for clip in clips]).astype(np.uint8),
        depth=np.stack([np.round(disparity(clip.z) * 255) for clip in clips]).astype(np.uint8),
        brief=[clip.brief for clip in clips],
        detailed=[clip.detailed for clip in clips],
    )


@pytest.fixture
def few_scenes(monkeypatch, clips, scenes):
    """The trainers' scenes, held out ones too, are three; the rest of a training is as ever."""
    maps = SceneMaps(scenes.video, scenes.entity_ids, np.stack([clip.z for clip in clips]))
    for trainer in (train_depthcrafter, train_depthcrafter_vae):
        monkeypatch.setattr(trainer, "cached_scenes", lambda *_: scenes)
    monkeypatch.setattr(train_depthcrafter, "open_scene_maps", lambda *_: maps)


def run(monkeypatch, trainer, *arguments: object) -> None:
    monkeypatch.setattr(sys, "argv", ["trainer", *map(str, arguments), "--steps", "2"])
    trainer.main()


def test_two_steps_of_both_trainers_leave_a_checkpoint_that_labels(monkeypatch, tmp_path, few_scenes, clips):
    vae, folder = tmp_path / "vae", tmp_path / "depthcrafter"
    run(monkeypatch, train_depthcrafter_vae, "--out", vae)
    run(monkeypatch, train_depthcrafter, "--vae", vae, "--out", folder)
    depth = DepthCrafter.from_pretrained(folder, device="cpu").estimate(clips[0].video)
    assert depth.shape == clips[0].video.shape[:3] and np.isfinite(depth).all()
    record = json.loads((folder / "training.json").read_text())
    assert record["steps"] == 2 and {"delta1_acc", "temporal_error", "temporal_error_per_frame"} <= set(
        record["quality"]
    )
    assert sum(file.stat().st_size for file in folder.rglob("*.safetensors")) < MOST_BYTES


def test_second_stages_refine_the_decoder_alone_and_go_on_with_the_unet(monkeypatch, tmp_path, few_scenes):
    start = Path(checkpoints.resolve("mini:depthcrafter"))
    run(monkeypatch, train_depthcrafter_vae, "--out", tmp_path / "vae", "--refine", start / "vae")
    before, after = (load_vae(folder).state_dict() for folder in (start / "vae", tmp_path / "vae"))
    moved = {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}
    assert moved == {"decoder"}
    folder = tmp_path / "depthcrafter"
    run(monkeypatch, train_depthcrafter, "--vae", tmp_path / "vae", "--start-from", start, "--out", folder)
    refined = DepthCrafter.from_pretrained(folder, device="cpu").vae.state_dict()
    assert all(torch.equal(refined[name].float(), after[name]) for name in after)
    records = [json.loads((place / "training.json").read_text()) for place in (start, folder)]
    assert records[1]["steps"] == records[0]["steps"] + 2


def test_the_same_seed_gives_the_same_weights(monkeypatch, tmp_path, few_scenes):
    written = []
    for name in ("first", "second"):
        run(monkeypatch, train_depthcrafter_vae, "--out", tmp_path / name, "--seed", 3)
        written.append((tmp_path / name / "diffusion_pytorch_model.safetensors").read_bytes())
    assert written[0] == written[1]


@pytest.mark.parametrize("sigma", [0.05, 0.7, 15.0, 700.0])
def test_an_output_without_error_is_what_the_scheduler_needs_to_find_the_clean_latents(monkeypatch, sigma):
    generator = torch.Generator().manual_seed(0)
    clean = torch.randn(2, 3, 4, 8, 8, generator=generator)
    monkeypatch.setattr(train_depthcrafter, "draw_sigmas", lambda count, _: torch.full((count,), sigma))
    scheduler = build_scheduler()
    scheduler.set_timesteps(5)
    scheduler.sigmas[0] = sigma

    def found(output, noisy):
        scheduler._step_index = None
        return scheduler.step(output, scheduler.timesteps[0], noisy).pred_original_sample

    def unet(told, timestep, embeddings, time_ids):
        torch.testing.assert_close(timestep, torch.full((2,), 0.25 * np.log(sigma)))
        noisy = told[:, :, :4] * (sigma**2 + 1) ** 0.5
        # what the scheduler finds is affine in the output, so two tries give the output that makes it find the truth
        zero, one = (found(torch.full_like(noisy, value), noisy) for value in (0.0, 1.0))
        return (clean - zero) / (one - zero)

    batch = (torch.zeros(2, 3, 32), torch.zeros_like(clean), clean)
    assert train_depthcrafter.objective(unet, batch, generator) < 1e-6


def test_measures_of_unsteadiness_are_zero_for_the_truth_however_scaled_and_see_flicker(clips):
    truth = disparity(clips[0].z)
    unsteady = truth + 0.05 * (-1.0) ** np.arange(len(truth))[:, None, None]
    still = np.repeat(truth[:1], len(truth), axis=0)
    assert depth_quality.temporal_error(0.3 * truth + 0.5, truth) < 1e-6
    assert depth_quality.temporal_error(unsteady, truth) > 0.08
    assert depth_quality.temporal_error(still, truth) == pytest.approx(np.abs(np.diff(truth, axis=0)).mean(), rel=1e-4)
    assert depth_quality.flicker(unsteady, truth) > 0.08
    assert depth_quality.flicker(still, truth) == 0
    assert depth_quality.flicker(0.3 * truth + 0.5, truth) < depth_quality.STILL


def test_the_shipped_checkpoint_sees_depth_in_unseen_scenes_and_by_its_denoiser(clips):
    folder = Path(checkpoints.resolve("mini:depthcrafter"))
    assert sum(file.stat().st_size for file in folder.rglob("*.safetensors")) < MOST_BYTES
    maps = SceneMaps(
        *(np.stack([getattr(clip, name) for clip in clips]) for name in ("video", "entity_ids", "z")),
    )
    crafter = DepthCrafter.from_pretrained("mini:depthcrafter", device="cpu")
    quality = depth_quality.measure(crafter.estimate, maps, len(clips))
    assert quality["delta1_acc"] > 0.95 and quality["flicker"] < 0.01
    crafter.unet.conv_out.weight.zero_()
    assert depth_quality.measure(crafter.estimate, maps, len(clips))["delta1_acc"] < 0.8
