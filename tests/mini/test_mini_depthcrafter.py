"""mini:depthcrafter: its trainers run and leave a loadable checkpoint; the shipped one sees depth, and steadily."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from udpdiff import checkpoints
from udpdiff.labelling.depthcrafter import DepthCrafter
from udpdiff.mini import depthcrafter
from udpdiff.mini.depthcrafter_model import build_scheduler, load_vae
from udpdiff.mini.quality import depth_quality
from udpdiff.mini.scenes import DEFAULT_SCENES, HELD_OUT_SEED, disparity
from udpdiff.sources.scenes import render_clip

MOST_BYTES = 3_500_000


@pytest.fixture(scope="module")
def clips():
    return [render_clip(DEFAULT_SCENES, HELD_OUT_SEED + 500 + index) for index in range(3)]


def test_two_steps_of_both_trainers_leave_a_checkpoint_that_labels(train_briefly, clips):
    vae = train_briefly("depthcrafter_vae_unrefined")
    folder = train_briefly("depthcrafter_first", vae=vae)
    depth = DepthCrafter.from_pretrained(folder, device="cpu").estimate(clips[0].video)
    assert depth.shape == clips[0].video.shape[:3] and np.isfinite(depth).all()
    record = json.loads((folder / "training.json").read_text())
    assert record["steps"] == 2 and {"delta1_acc", "flicker", "flicker_per_frame"} <= set(record["quality"])
    assert sum(file.stat().st_size for file in folder.rglob("*.safetensors")) < MOST_BYTES


def test_second_stages_refine_the_decoder_alone_and_go_on_with_the_unet(train_briefly):
    start = Path(checkpoints.resolve("mini:depthcrafter"))
    vae = train_briefly("depthcrafter_vae", start_from=start / "vae")
    before, after = (load_vae(folder).state_dict() for folder in (start / "vae", vae))
    moved = {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}
    assert moved == {"decoder"}
    folder = train_briefly("depthcrafter", vae=vae, start_from=start)
    refined = DepthCrafter.from_pretrained(folder, device="cpu").vae.state_dict()
    assert all(torch.equal(refined[name].float(), after[name]) for name in after)
    records = [json.loads((place / "training.json").read_text()) for place in (start, folder)]
    assert records[1]["steps"] == records[0]["steps"] + 2


def test_the_same_seed_gives_the_same_weights(train_briefly, tmp_path):
    written = []
    for name in ("first", "second"):
        folder = train_briefly("depthcrafter_vae_unrefined", seed=3, out=tmp_path / name)
        written.append((folder / "diffusion_pytorch_model.safetensors").read_bytes())
    assert written[0] == written[1]


@pytest.mark.parametrize("sigma", [0.05, 0.7, 15.0, 700.0])
def test_an_output_without_error_is_what_the_scheduler_needs_to_find_the_clean_latents(monkeypatch, sigma):
    generator = torch.Generator().manual_seed(0)
    clean = torch.randn(2, 3, 4, 8, 8, generator=generator)
    monkeypatch.setattr(depthcrafter, "draw_sigmas", lambda count, _: torch.full((count,), sigma))
    scheduler = build_scheduler()
    scheduler.set_timesteps(5)
    scheduler.sigmas[0] = sigma

    def found(output, noisy):
        scheduler._step_index = None
        return scheduler.step(output, scheduler.timesteps[0], noisy).pred_original_sample

    def unet(conditioned, timestep, embeddings, time_ids):
        torch.testing.assert_close(timestep, torch.full((2,), 0.25 * np.log(sigma)))
        noisy = conditioned[:, :, :4] * (sigma**2 + 1) ** 0.5
        # what the scheduler finds is affine in the output, so two tries give the output that makes it find the truth
        zero, one = (found(torch.full_like(noisy, value), noisy) for value in (0.0, 1.0))
        return (clean - zero) / (one - zero)

    batch = (torch.zeros(2, 3, 32), torch.zeros_like(clean), clean)
    assert depthcrafter.objective(unet, batch, generator) < 1e-6


def test_flicker_is_zero_for_the_truth_however_scaled_and_sees_depth_that_comes_and_goes(clips):
    truth = disparity(clips[0].z)
    unsteady = truth + 0.05 * (-1.0) ** np.arange(len(truth))[:, None, None]
    scaled, wobbling = (
        depth_quality(lambda _, depth=depth: depth, clips[:1]) for depth in (0.3 * truth + 0.5, unsteady)
    )
    assert scaled["flicker"] < 1e-3 and scaled["delta1_acc"] > 0.999
    assert wobbling["flicker"] > 0.02


def test_the_shipped_checkpoint_sees_depth_in_unseen_scenes_and_by_its_denoiser(clips):
    folder = Path(checkpoints.resolve("mini:depthcrafter"))
    assert sum(file.stat().st_size for file in folder.rglob("*.safetensors")) < MOST_BYTES
    crafter = DepthCrafter.from_pretrained("mini:depthcrafter", device="cpu")
    quality = depth_quality(crafter.estimate, clips)
    assert quality["delta1_acc"] > 0.95 and quality["flicker"] < 0.02
    crafter.unet.conv_out.weight.zero_()
    assert depth_quality(crafter.estimate, clips)["delta1_acc"] < 0.8
