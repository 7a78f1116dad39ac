"""A model of three streams, which the workflow does not use: read, trained, saved, continued and validated."""

from __future__ import annotations

import inspect
from dataclasses import replace

import pytest
import torch
from accelerate import Accelerator

from udpdiff.model.base_parts import load_scheduler
from udpdiff.model.streams import Streams
from udpdiff.model.transformer import UDPDiffTransformer3DModel
from udpdiff.training.checkpoint import newest_checkpoint, save_checkpoint
from udpdiff.training.data import SampleDraws, StepBatches, prefetched
from udpdiff.training.step import Stepper
from udpdiff.training.validation import Validation

TASKS = ("seg", "depth")
STREAMS = Streams.all_at_once(TASKS, channels=16)
INDEPENDENT = "independent_timesteps" in inspect.signature(UDPDiffTransformer3DModel.__init__).parameters


def make_transformer(independent: bool = False) -> UDPDiffTransformer3DModel:
    torch.manual_seed(0)
    options = {"num_streams": 3, "independent_timesteps": independent} if INDEPENDENT else {}
    return UDPDiffTransformer3DModel(
        num_attention_heads=2,
        attention_head_dim=16,
        in_channels=48,
        out_channels=48,
        time_embed_dim=16,
        text_embed_dim=32,
        num_layers=1,
        sample_width=16,
        sample_height=16,
        sample_frames=9,
        patch_size=4,
        max_text_seq_length=48,
        use_rotary_positional_embeddings=True,
        num_tasks=0,
        **options,
    )


@pytest.fixture
def make_stepper(make_settings, base):
    def make(transformer=None) -> Stepper:
        settings, transformer = make_settings(), transformer or make_transformer()
        return Stepper(settings, transformer, load_scheduler(base), STREAMS, Accelerator())

    return make


@pytest.fixture
def batches(make_source) -> StepBatches:
    source = make_source(*TASKS)
    draws = SampleDraws({None: source.clip_ids(TASKS)}, {}, num_streams=3, seed=1, batch_size=4)
    return StepBatches(draws, source, STREAMS)


def test_every_stream_shows_its_own_task(make_source, batches):
    batch, source = batches.read(0), make_source(*TASKS)
    assert batch.latents.shape == batch.noise.shape == (4, 3, 48, 16, 16)
    assert batch.timesteps.shape == (4, 3)
    assert batch.task_ids is None
    for row, draw in enumerate(batches.draws.of_step(0)):
        example = source.read(draw.clip_id, TASKS, draw.caption, draw.colouring)
        parts = (example.video_latents, example.dense_latents["seg"], example.dense_latents["depth"])
        assert torch.equal(batch.latents[row], torch.cat(parts, dim=1))
    noise = STREAMS.split(batch.noise)
    assert not torch.equal(noise["seg"], noise["depth"])


def test_three_streams_train_and_continue_bit_for_bit(tmp_path, batches, make_stepper):
    unbroken, broken = make_stepper(), make_stepper()
    with prefetched(batches, range(3)) as prepared:
        losses = [unbroken.step(batch) for batch in prepared]
    assert list(losses[0].by_stream) == ["video", "seg", "depth"]
    torch.testing.assert_close(losses[0].total, sum(losses[0].by_stream.values()) / 3)

    broken.step(batches.read(0))
    save_checkpoint(tmp_path, 1, {}, broken.parts(), {"scaler": None})
    continued = make_stepper()
    continued.restore(tmp_path, newest_checkpoint(tmp_path)[0])
    for step in (1, 2):
        continued.step(batches.read(step))
    assert continued.steps_done == 3
    assert all(torch.equal(continued.trained[name], weight) for name, weight in unbroken.trained.items())


def test_three_streams_are_validated(make_source, make_stepper):
    source = make_source(*TASKS)
    validation = Validation(source, {None: source.clip_ids(TASKS)[:2]}, STREAMS, 0, batch_size=3, num_timesteps=1000)
    noise = torch.cat([batch.noise for _, batch in validation._batches])
    assert len(noise) == 8 and len(noise.flatten(1).unique(dim=0)) == 8  # noise of its own for each clip and timestep
    entry = validation.measure(make_stepper())
    assert list(entry) == ["loss", "loss_video", "loss_seg", "loss_depth", "loss_timestep", "loss_video_clip"]


def step_and_watch(stepper: Stepper, batch) -> torch.Tensor:
    """Do a step; returns the timesteps that the network got."""
    received = []
    stepper.transformer.register_forward_pre_hook(
        lambda module, args, kwargs: received.append(kwargs["timestep"]), with_kwargs=True
    )
    losses = stepper.step(batch)
    assert all(torch.isfinite(loss).all() for loss in losses.by_stream.values())
    return received[0]


def test_streams_share_a_timestep(batches, make_stepper):
    batch = batches.read(0)
    assert torch.equal(step_and_watch(make_stepper(), batch), batch.timesteps[:, 0])


@pytest.mark.skipif(not INDEPENDENT, reason="the transformer has one timestep for all streams")
def test_streams_may_have_timesteps_of_their_own(batches, make_stepper):
    batch = replace(batches.read(0), timesteps=torch.tensor([[0, 500, 999]] * 4))
    stepper = make_stepper(make_transformer(independent=True))
    assert torch.equal(step_and_watch(stepper, batch), batch.timesteps)
