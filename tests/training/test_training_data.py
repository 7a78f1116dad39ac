"""What each step trains on: shares, order, pairing, and independence from where one starts."""

from __future__ import annotations

from collections import Counter

import pytest
import torch

from udpdiff.model.streams import Streams
from udpdiff.training.data import SampleDraws, StepBatches, TrainingBatch, held_back, prefetched, split_clips

CLIPS = [f"clip-{number}" for number in range(7)]


def make_draws(tasks, seed=3, batch_size=4, clips=CLIPS, **options) -> SampleDraws:
    options = {"num_streams": 2 if tasks else 1, **options}
    return SampleDraws({task: clips for task in tasks or [None]}, tasks, seed=seed, batch_size=batch_size, **options)


def first_draws(draws: SampleDraws, steps: int) -> list:
    return [draw for step in range(steps) for draw in draws.of_step(step)]


def in_turn(*tasks: str) -> Streams:
    return Streams.in_turn(tasks, channels=16)


@pytest.mark.parametrize("tasks", [{"seg": 0.3, "depth": 0.7}, {"seg": 0.5, "depth": 0.5}, {"seg": 0.7, "depth": 0.3}])
def test_tasks_follow_the_partition(tasks):
    drawn = first_draws(make_draws(tasks), 250)
    assert {task: count / len(drawn) for task, count in Counter(d.task for d in drawn).items()} == pytest.approx(tasks)
    # In random order: a batch position is not bound to a task.
    assert len({d.task for d in drawn[::4]}) == 2


def test_a_share_that_is_no_short_fraction():
    drawn = first_draws(make_draws({"seg": 1 / 3, "depth": 2 / 3}), 300)
    assert sum(d.task == "seg" for d in drawn) == 400


def test_a_task_sees_every_clip_before_any_again():
    draws = make_draws({"seg": 0.3, "depth": 0.7})
    for task in ("seg", "depth"):
        seen = [d.clip_id for d in first_draws(draws, 100) if d.task == task]
        epochs = [seen[first : first + len(CLIPS)] for first in range(0, len(seen) - len(CLIPS), len(CLIPS))]
        assert all(sorted(epoch) == CLIPS for epoch in epochs)
        assert len({tuple(epoch) for epoch in epochs}) > len(epochs) // 2


def test_captions_have_their_shares():
    counts = Counter(d.caption for d in first_draws(make_draws({}), 2000))
    total = sum(counts.values())
    assert counts["empty"] / total == pytest.approx(0.1, abs=0.01)
    assert counts["detailed"] / (total - counts["empty"]) == pytest.approx(0.8, abs=0.012)
    assert {d.caption for d in first_draws(make_draws({}, caption_dropout=1.0), 5)} == {"empty"}
    assert {d.caption for d in first_draws(make_draws({}, caption_dropout=0.0, detailed_share=0.0), 5)} == {"brief"}


def test_timesteps_and_colourings_cover_their_ranges_evenly():
    drawn = first_draws(make_draws({}, num_timesteps=4), 1000)
    counts = Counter(d.timestep for d in drawn)
    assert sorted(counts) == [0, 1, 2, 3]  # the last has no signal at all, and is drawn as often as any other
    assert min(counts.values()) > 900
    assert Counter(int(d.colouring * 3) for d in drawn).keys() == {0, 1, 2}


def test_a_step_does_not_depend_on_the_steps_before():
    tasks = {"seg": 0.3, "depth": 0.7}
    in_order = [make_draws(tasks).of_step(step) for step in range(30)]
    assert [make_draws(tasks).of_step(step) for step in reversed(range(30))] == in_order[::-1]
    assert make_draws(tasks, seed=4).of_step(7) != in_order[7]
    # Nor on how many samples a step has: samples are numbered through the run.
    assert first_draws(make_draws(tasks, batch_size=8), 15) == first_draws(make_draws(tasks), 30)


def test_runs_with_one_seed_are_paired():
    base, single = first_draws(make_draws({}), 20), first_draws(make_draws({"seg": 1.0}), 20)
    multi = first_draws(make_draws({"seg": 0.3, "depth": 0.7}), 20)
    for a, b in zip(base, single, strict=True):
        assert (a.clip_id, a.caption, a.timestep) == (b.clip_id, b.caption, b.timestep)
        assert a.noise_seeds == b.noise_seeds[:1]
    for a, b in zip(base, multi, strict=True):
        assert (a.caption, a.timestep, a.noise_seeds) == (b.caption, b.timestep, b.noise_seeds[:1])


def test_every_sample_and_stream_has_noise_of_its_own():
    seeds = [seed for draw in first_draws(make_draws({}, num_streams=3), 100) for seed in draw.noise_seeds]
    assert len(set(seeds)) == len(seeds) == 1200


def test_a_task_without_clips_is_refused():
    with pytest.raises(ValueError, match=r"'depth' has no clips.*rejected"):
        SampleDraws({"seg": CLIPS, "depth": []}, {"seg": 0.5, "depth": 0.5}, num_streams=2, seed=0, batch_size=4)


def test_no_clip_is_trained_on_and_validated_on(tmp_path, make_source, write_streams):
    paths = write_streams(tmp_path, clips=30, rejected=("clip-004",))
    source = make_source("seg", "depth", streams=paths)
    training, validation = split_clips(source, None, ("seg", "depth"), count=8)
    assert {len(ids) for ids in validation.values()} <= {2, 3}  # no more than a tenth
    for task in ("seg", "depth"):
        assert sorted([*training[task], *validation[task]]) == source.clip_ids([task])
        assert not set(training[task]) & {clip_id for ids in validation.values() for clip_id in ids}
    draws = SampleDraws(training, {"seg": 0.5, "depth": 0.5}, num_streams=2, seed=0, batch_size=4)
    drawn = {draw.clip_id for draw in first_draws(draws, 100)}
    assert drawn == {clip_id for ids in training.values() for clip_id in ids}


def test_with_evaluation_clips_all_others_are_trained_on(tmp_path, make_source, write_streams):
    evaluation = make_source(streams=write_streams(tmp_path, clips=4, first=50))
    training, validation = split_clips(make_source(), evaluation, (), count=3)
    assert training == {None: make_source().clip_ids()}
    assert validation == {None: ["clip-050", "clip-051", "clip-052"]}


def test_no_run_trains_on_what_another_validates_on(tmp_path, make_source, write_streams):
    """A labeller's refusals change what a run can use, not what is held back."""
    names = [f"clip-{number:03d}" for number in range(40)]
    aside = held_back(set(names), 4)
    rejected = (*sorted(aside)[:2], "clip-000", "clip-039")
    paths = write_streams(tmp_path / "train", clips=40, rejected=rejected)
    found = {
        tasks: split_clips(make_source(*tasks, streams=paths), None, tasks, count=4)
        for tasks in ((), ("seg",), ("depth",), ("seg", "depth"))
    }
    for training, validation in found.values():
        assert not aside & {clip_id for ids in training.values() for clip_id in ids}
        assert aside >= {clip_id for ids in validation.values() for clip_id in ids}
    assert found[()][1] == {None: sorted(aside)}
    assert found["seg", "depth"][1] == {"seg": sorted(aside - set(rejected)), "depth": sorted(aside)}

    paths = write_streams(tmp_path / "evaluation", clips=6, first=50, rejected=("clip-051",))
    given = make_source("seg", "depth", streams=paths)
    _, validation = split_clips(make_source("seg", "depth"), given, ("seg", "depth"), count=3)
    assert validation == {"seg": ["clip-050", "clip-052"], "depth": ["clip-050", "clip-051", "clip-052"]}
    assert split_clips(make_source("seg"), given, ("seg",), count=3)[1] == {"seg": ["clip-050", "clip-052"]}


def test_base_and_widened_batches_have_equal_videos(make_source):
    draws = make_draws({}, clips=make_source().clip_ids()).of_step(2)
    base = TrainingBatch.read(make_source(), draws, in_turn())
    source = make_source("seg")
    draws = make_draws({"seg": 1.0}, clips=source.clip_ids(["seg"])).of_step(2)
    wide = TrainingBatch.read(source, draws, in_turn("seg"))
    assert base.latents.shape == (4, 3, 16, 16, 16)
    assert wide.latents.shape == wide.noise.shape == (4, 3, 32, 16, 16)
    assert torch.equal(base.latents, wide.latents[:, :, :16])
    assert torch.equal(base.noise, wide.noise[:, :, :16])
    assert torch.equal(base.prompt_embeds, wide.prompt_embeds)
    assert wide.timesteps.shape == (4, 2)
    assert torch.equal(base.timesteps.expand(-1, 2), wide.timesteps)
    assert base.task_ids is None
    assert not torch.equal(wide.noise[:, :, :16], wide.noise[:, :, 16:])
    assert abs(wide.noise.std() - 1) < 0.02


@pytest.mark.parametrize("tasks", [("seg", "depth"), ("depth", "seg")])
def test_a_batch_holds_what_its_draws_say(make_source, tasks):
    source = make_source("seg", "depth")
    draws = make_draws(dict.fromkeys(tasks, 0.5), clips=source.clip_ids(["seg"])).of_step(0)
    assert {draw.task for draw in draws} == set(tasks)
    batch = TrainingBatch.read(source, draws, in_turn(*tasks))
    for row, draw in enumerate(draws):
        example = source.read(draw.clip_id, [draw.task], draw.caption, draw.colouring)
        assert torch.equal(batch.latents[row], torch.cat((example.video_latents, example.dense_latents[draw.task]), 1))
        assert torch.equal(batch.prompt_embeds[row], example.prompt_embeds)
        noise = [torch.randn(3, 16, 16, 16, generator=torch.Generator().manual_seed(seed)) for seed in draw.noise_seeds]
        assert torch.equal(batch.noise[row], torch.cat(noise, 1))
        assert batch.timesteps[row].tolist() == [draw.timestep] * 2
        assert batch.task_ids[row] == tasks.index(draw.task)  # rows in the order of the run's own tasks


def test_frames_are_padded_in_front_with_the_first(make_source):
    draws = make_draws({}, clips=make_source().clip_ids()).of_step(0)
    batch = TrainingBatch.read(make_source(), draws, in_turn(), frame_multiple=2)
    assert batch.latents.shape == batch.noise.shape == (4, 4, 16, 16, 16)
    assert torch.equal(batch.latents[:, 0], batch.latents[:, 1])
    assert not torch.equal(batch.noise[:, 0], batch.noise[:, 1])


def test_processes_share_a_batch_without_changing_it(make_source):
    source, streams = make_source("seg", "depth"), in_turn("seg", "depth")
    draws = make_draws({"seg": 0.5, "depth": 0.5}, clips=source.clip_ids(["seg"]))
    whole = StepBatches(draws, source, streams).read(3)
    parts = [StepBatches(draws, source, streams, process, 2).read(3) for process in range(2)]
    for name in ("latents", "noise", "prompt_embeds", "timesteps", "task_ids"):
        assert torch.equal(getattr(whole, name), torch.cat([getattr(part, name) for part in parts]))
    with pytest.raises(ValueError, match="multiple of the 3 processes"):
        StepBatches(draws, source, streams, 0, 3)


def test_batches_come_in_order_and_errors_where_they_belong(make_source):
    source = make_source()
    batches = StepBatches(make_draws({}, clips=source.clip_ids()), source, in_turn())
    with prefetched(batches, range(2, 6)) as iterator:
        timesteps = [batch.timesteps for batch in iterator]
    assert all(torch.equal(got, batches.read(step).timesteps) for step, got in enumerate(timesteps, start=2))

    missing = StepBatches(make_draws({}, clips=["nobody"]), source, in_turn())
    with prefetched(missing, range(2)) as iterator, pytest.raises(ValueError, match="no clip 'nobody'"):
        next(iterator)
    # Leaving early must not wait for batches that nobody asks for.
    with prefetched(batches, range(10**9)) as iterator:
        next(iterator)
