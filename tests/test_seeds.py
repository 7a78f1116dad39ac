"""Whatever seed is accepted works wherever something is drawn; any other is refused by name."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
import yaml

from udpdiff import jobs
from udpdiff.config.data import ClipSize
from udpdiff.config.parsing import parse
from udpdiff.config_values import SEED_LIMIT, ConfigError
from udpdiff.metrics.bootstrap import bootstrap_mean
from udpdiff.model import sampling
from udpdiff.model.noise import paired_latents
from udpdiff.sources.clip_lists import scene_names
from udpdiff.sources.scenes import SceneSettings, render_clip
from udpdiff.sources.splits import split_sources
from udpdiff.training.data import SampleDraws
from udpdiff.training.settings import TrainingSettings
from udpdiff.training.step import dropout_seed

SEEDS = (0, 2**31, 3_000_000_000, 2**32, 2**53 + 1, SEED_LIMIT - 1)
KEYS = ("seed", "sampling.seed", "labels.depth.depthcrafter.seed")


def changed(key: str, value: object) -> dict:
    with open("config.yaml") as file:
        raw = yaml.safe_load(file)
    section = raw
    for name in key.split(".")[:-1]:
        section = section[name]
    section[key.split(".")[-1]] = value
    return raw


@pytest.fixture(autouse=True)
def in_the_repository(monkeypatch, request):
    monkeypatch.chdir(request.config.rootpath)


@pytest.mark.parametrize("key", KEYS)
def test_seeds_are_accepted_within_their_bounds_alone(key):
    for seed in SEEDS:
        parse(changed(key, seed))
    for seed in (-1, SEED_LIMIT, 2**70, 1.5):
        with pytest.raises(ConfigError, match=key):
            parse(copy.deepcopy(changed(key, seed)))


def settings(seed: int) -> TrainingSettings:
    return TrainingSettings(
        run="base", base="mini:cogvideox", seed=seed, tasks={}, steps=1, batch_size=1, learning_rate=1e-3
    )


def test_a_training_accepts_and_refuses_the_same():
    for seed in SEEDS:
        settings(seed)
    for seed in (-1, SEED_LIMIT):
        with pytest.raises(ValueError, match=rf"seed: got {seed}, expected 0 to"):
            settings(seed)


@pytest.mark.parametrize("seed", SEEDS)
def test_all_that_is_drawn_can_be_drawn(seed):
    for processes in (1, 2, 1000):
        torch.manual_seed(dropout_seed(seed, 10**6, processes - 1, processes))
    draw = SampleDraws({None: ["a", "b"]}, {}, 2, seed, 4).draw(10**6)
    torch.manual_seed(max(draw.noise_seeds))
    # The last prompt of many has a seed beyond the configured one.
    noise = paired_latents([seed, seed + 10**6], (1, 2, 3, 4))
    assert torch.isfinite(noise).all() and not torch.equal(noise[0], noise[1])
    size = ClipSize(height=16, width=16, num_frames=5, fps=8)
    clip = render_clip(SceneSettings(**size.model_dump()), int(first_scene(seed)))
    assert clip.video.shape == (5, 16, 16, 3)
    assert set(split_sources("abcdefgh", 2, seed).values()) == {"train", "evaluation"}
    assert np.isfinite(bootstrap_mean([0.0, 1.0, 2.0], resamples=10, seed=seed).low)


def first_scene(seed: int) -> str:
    clips = parse(changed("seed", seed)).clips
    return scene_names("evaluation", seed, clips)[0][0].removeprefix("scene-")


@pytest.mark.parametrize("seed", [3_000_000_000, SEED_LIMIT - 1])
def test_samples_are_drawn_from_the_seed_and_the_prompts_number(monkeypatch, seed):
    drawn = []

    def pipeline(prompt, generator, **_):
        drawn.extend(torch.rand(1, generator=each).item() for each in generator)
        raise StopIteration

    job = jobs.Sample.model_construct(task="video", size=ClipSize(height=16, width=16, num_frames=5, fps=8))
    monkeypatch.setattr(sampling, "call_options", lambda *_: {})
    for first in (0, 10**5):
        with pytest.raises((StopIteration, RuntimeError)):
            next(sampling.generate(pipeline, ["a", "b"], [seed + first, seed + first + 1], job))
    assert len(set(drawn)) == 4
