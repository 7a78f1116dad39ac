"""What the validation loss is taken of: every clip at the same four timesteps, with noise of its own, every time."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from udpdiff.model.streams import Streams
from udpdiff.training.objective import SampleLosses
from udpdiff.training.validation import Validation

STREAMS = Streams.in_turn(("seg", "depth"), channels=16)


class Recorder:
    """A stepper that keeps what it is shown; its losses say which sample they are of."""

    def __init__(self) -> None:
        self.batches, self.modes = [], []
        self.model = SimpleNamespace(eval=lambda: self.modes.append("eval"), train=lambda: self.modes.append("train"))
        self.accelerator = SimpleNamespace(device=torch.device("cpu"))
        self.objective = SimpleNamespace(num_timesteps=1000)

    def losses(self, batch) -> SampleLosses:
        self.modes.append("losses")
        self.batches.append(batch)
        row = batch.timesteps[:, 0].float()
        return SampleLosses({"video": row, "dense": row + 100 * batch.task_ids}, {"video": 1.0, "dense": 1.0})


@pytest.fixture
def validation(make_source):
    def build(seed: int = 5) -> Validation:
        source = make_source("seg", "depth")
        ids = source.clip_ids(["seg"])
        clips = {"seg": ids[:2], "depth": ids[1:4]}
        return Validation(source, clips, STREAMS, seed=seed, batch_size=3, num_timesteps=1000)

    return build


def test_every_clip_is_shown_at_the_middle_of_each_quarter_with_noise_of_its_own(validation, make_source):
    stepper, again, other = Recorder(), Recorder(), Recorder()
    entry = validation().measure(stepper)
    assert validation().measure(again) == entry
    validation(seed=6).measure(other)
    noise, same, different = (torch.cat([batch.noise for batch in each.batches]) for each in (stepper, again, other))
    timesteps = torch.cat([batch.timesteps for batch in stepper.batches])
    assert timesteps.tolist() == [[step] * 2 for step in (125, 375, 625, 875)] * 5
    assert torch.cat([batch.task_ids for batch in stepper.batches]).tolist() == [0] * 8 + [1] * 12
    assert max(map(len, stepper.batches)) == 3
    # Two clips of one task, two timesteps of one clip, two streams of one sample: none shares its noise with another.
    for task in (noise[:8], noise[8:]):
        parts = torch.cat(task.chunk(2, dim=2)).flatten(1)
        assert len(parts.unique(dim=0)) == len(parts)
    assert torch.equal(noise, same) and not (noise == different).flatten(1).all(1).any()

    source = make_source("seg", "depth")
    shown = [source.read(clip_id, ["seg"], "detailed") for clip_id in source.clip_ids(["seg"])[:2]]
    for row in range(8):
        latents = torch.cat((shown[row // 4].video_latents, shown[row // 4].dense_latents["seg"]), 1)
        prompts = torch.cat([batch.prompt_embeds for batch in stepper.batches])
        assert torch.equal(torch.cat([batch.latents for batch in stepper.batches])[row], latents)
        assert torch.equal(prompts[row], shown[row // 4].prompt_embeds)


def test_what_a_clip_is_shown_with_does_not_depend_on_the_others(make_source):
    source = make_source("seg", "depth")
    ids, stepper = source.clip_ids(["seg"]), Recorder()
    for clips in ({"seg": ids[:3]}, {"seg": ids[2:4], "depth": ids[1:3]}):
        Validation(source, clips, STREAMS, seed=5, batch_size=8, num_timesteps=1000).measure(stepper)
    noise = torch.cat([batch.noise for batch in stepper.batches])
    first, second, third, third_alone, _, second_of_depth, third_of_depth = noise.split(4)
    assert (
        torch.equal(third, third_alone) and torch.equal(third, third_of_depth) and torch.equal(second, second_of_depth)
    )
    assert not torch.equal(first, second)


def test_the_videos_loss_stands_beside_each_clip(validation):
    entry = validation().measure(Recorder())
    assert entry["loss_video_clip"] == {f"clip-{number:03d}": 500 for number in range(4)}


def test_the_loss_is_the_mean_over_all_samples_by_task_and_quarter(validation):
    stepper = Recorder()
    entry = validation().measure(stepper)
    assert stepper.modes == ["eval", *["losses"] * len(stepper.batches), "train"]
    assert entry["loss_video"] == pytest.approx(500)
    assert entry["loss_dense"] == pytest.approx(500 + 100 * 12 / 20)
    assert entry["loss_task"] == pytest.approx({"seg": 500, "depth": 550})
    assert entry["loss_timestep"] == pytest.approx([step + 50 * 12 / 20 for step in (125, 375, 625, 875)])
