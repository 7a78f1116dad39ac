"""DepthCrafter: parity with the upstream implementation, windows, sizes, and the convention of its depth."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from udpdiff.labelling.depthcrafter import DepthCrafter, resize_for_clip, working_size
from udpdiff.labelling.windows import stitch, windows


@pytest.fixture(scope="module")
def upstream(golden_folder):
    """The tiny network of the reference values."""
    return DepthCrafter.from_pretrained(golden_folder("depthcrafter") / "components", device="cpu")


def conditions(upstream, case):
    frames = case.input["frames"].permute(0, 3, 1, 2).float() / 255
    return upstream.condition(frames, case.input["aug_noise"].float(), case.settings["decode_chunk_size"])


def latents(upstream, case):
    settings = case.settings
    return upstream.denoise(
        (case.expected["clip_embeddings"], case.expected["video_latents"]),
        case.input["init_noise"].float(),
        settings["num_inference_steps"],
        settings["guidance_scale"],
        settings["effective_overlap"],
    )


@pytest.mark.parametrize("name", ["single_window", "overlap", "overlap_guidance"])
def test_conditions_and_latents_equal_upstream(upstream, golden_case, name):
    case = golden_case("depthcrafter", name)
    embeddings, video_latents = conditions(upstream, case)
    case.check("clip_embeddings", embeddings)
    case.check("video_latents", video_latents)
    case.check("latents", latents(upstream, case))
    torch.testing.assert_close(upstream.scheduler.sigmas, case.expected["sigmas"], rtol=1e-5, atol=0)
    torch.testing.assert_close(upstream.scheduler.timesteps, case.expected["timesteps"], rtol=1e-5, atol=0)


@pytest.mark.parametrize("name", ["single_window", "overlap"])
def test_depth_equals_upstream(upstream, golden_case, name):
    case = golden_case("depthcrafter", name)
    pictures = upstream.decode(case.expected["latents"], case.settings["decode_chunk_size"])
    case.check("raw_frames", pictures.permute(0, 2, 3, 1))
    depth = pictures.mean(dim=1)
    case.check("depth", (depth - depth.min()) / (depth.max() - depth.min()))


def test_image_encoder_sees_what_upstream_shows_it(upstream, golden_case):
    case = golden_case("depthcrafter", "clip_downsample")
    frames = case.input["frames"].permute(0, 3, 1, 2).float() / 255
    case.check("resized_every_8th", resize_for_clip(frames * 2 - 1)[:, :, ::8, ::8])
    case.check("clip_embeddings", upstream.condition(frames, torch.zeros_like(frames))[0])


@pytest.mark.parametrize("name", ["single_window", "overlap", "overlap_guidance"])
def test_windows_are_upstreams(golden_case, name):
    settings = golden_case("depthcrafter", name).settings
    assert windows(settings["num_frames"], settings["effective_window"], settings["effective_overlap"]) == [
        tuple(window) for window in settings["windows"]
    ]


@pytest.mark.parametrize("num_frames, window, overlap", [(1, 5, 2), (5, 5, 2), (6, 5, 2), (49, 20, 5), (10, 5, 0)])
def test_windows_cover_every_frame_and_share_the_overlap(num_frames, window, overlap):
    found = windows(num_frames, window, overlap)
    assert found[0][0] == 0 and found[-1][1] == num_frames
    assert all(second[0] == first[1] - overlap for first, second in itertools.pairwise(found))
    assert all(overlap < end - first <= window for first, end in found) or len(found) == 1


@pytest.mark.parametrize("overlap", [5, 7, -1])
def test_impossible_overlaps_are_refused(overlap):
    with pytest.raises(ValueError, match=f"overlap={overlap}"):
        windows(20, 5, overlap)


def test_stitching_two_equal_halves_changes_nothing():
    whole = torch.randn(9, 2, 3, 3, generator=torch.Generator().manual_seed(0))
    for overlap in (0, 1, 3):
        torch.testing.assert_close(stitch(whole[:6], whole[6 - overlap :], overlap), whole)


def test_working_sizes_follow_the_published_rule():
    assert working_size(480, 720, 1024) == (512, 704)
    assert working_size(2160, 3840, 1024) == (576, 1024)
    assert working_size(64, 64, 1024) == (64, 64)
    assert working_size(10, 30, 1024) == (64, 64)


def test_depth_has_the_videos_size_and_spans_the_clip(upstream):
    video = np.random.default_rng(0).integers(0, 256, (7, 40, 72, 3), np.uint8)
    depth = upstream.estimate(video, num_inference_steps=2, window=4, overlap=1)
    assert depth.shape == (7, 40, 72) and depth.dtype == np.float32
    assert (depth.min(), depth.max()) == (0, 1)
    np.testing.assert_array_equal(depth, upstream.estimate(video, num_inference_steps=2, window=4, overlap=1))
    assert np.abs(depth - upstream.estimate(video, num_inference_steps=2, window=4, overlap=1, seed=1)).max() > 0.01


def test_one_range_for_the_whole_clip(monkeypatch):
    """Frames of different ranges keep them: 0 and 1 come once in the clip, not once in each frame."""
    crafter = DepthCrafter.from_pretrained("mini:depthcrafter", device="cpu")
    levels = torch.tensor([0.2, 0.4, 0.6])[:, None, None, None] + torch.linspace(0, 0.1, 64)
    monkeypatch.setattr(crafter, "condition", lambda *_: None)
    monkeypatch.setattr(crafter, "denoise", lambda *_: None)
    monkeypatch.setattr(crafter, "decode", lambda *_: levels.expand(3, 3, 64, 64))
    depth = crafter.estimate(np.zeros((3, 64, 64, 3), np.uint8))
    np.testing.assert_allclose(depth.min(axis=(1, 2)), [0, 0.4, 0.8], atol=1e-5)
    np.testing.assert_allclose(depth.max(axis=(1, 2)), [0.2, 0.6, 1], atol=1e-5)
