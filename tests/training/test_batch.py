"""What each step trains on: shares, order, pairing, and independence from where one starts."""

from __future__ import annotations

from collections import Counter

import pytest
import torch

from udpdiff.training.batch import BatchPlan, TrainingBatch
from udpdiff.training.prefetch import StepBatches, prefetched

CLIPS = [f"clip-{number}" for number in range(7)]


def make_plan(tasks, seed=3, batch_size=4, clips=CLIPS, **options) -> BatchPlan:
    return BatchPlan({task: clips for task in tasks or [None]}, tasks, seed=seed, batch_size=batch_size, **options)


def draws(plan: BatchPlan, steps: int) -> list:
    return [draw for step in range(steps) for draw in plan.draws(step)]


@pytest.mark.parametrize("tasks", [{"seg": 0.3, "depth": 0.7}, {"seg": 0.5, "depth": 0.5}, {"seg": 0.7, "depth": 0.3}])
def test_tasks_follow_the_partition(tasks):
    drawn = draws(make_plan(tasks), 250)
    assert {task: count / len(drawn) for task, count in Counter(d.task for d in drawn).items()} == pytest.approx(tasks)
    # In random order: a batch position is not bound to a task.
    assert len({d.task for d in drawn[::4]}) == 2


def test_a_share_that_is_no_short_fraction():
    drawn = draws(make_plan({"seg": 1 / 3, "depth": 2 / 3}), 300)
    assert sum(d.task == "seg" for d in drawn) == 400


def test_a_task_sees_every_clip_before_any_again():
    plan = make_plan({"seg": 0.3, "depth": 0.7})
    for task in ("seg", "depth"):
        seen = [d.clip_id for d in draws(plan, 100) if d.task == task]
        epochs = [seen[first : first + len(CLIPS)] for first in range(0, len(seen) - len(CLIPS), len(CLIPS))]
        assert all(sorted(epoch) == CLIPS for epoch in epochs)
        assert len({tuple(epoch) for epoch in epochs}) > len(epochs) // 2


def test_captions_have_their_shares():
    counts = Counter(d.caption for d in draws(make_plan({}), 2000))
    total = sum(counts.values())
    assert counts["empty"] / total == pytest.approx(0.1, abs=0.01)
    assert counts["detailed"] / (total - counts["empty"]) == pytest.approx(0.8, abs=0.012)
    assert {d.caption for d in draws(make_plan({}, caption_dropout=1.0), 5)} == {"empty"}
    assert {d.caption for d in draws(make_plan({}, caption_dropout=0.0, detailed_share=0.0), 5)} == {"brief"}


def test_timesteps_and_colourings_cover_their_ranges_evenly():
    drawn = draws(make_plan({}), 1000)
    quarters = Counter(d.timestep // 250 for d in drawn)
    assert sorted(quarters) == [0, 1, 2, 3]
    assert min(quarters.values()) > 900
    assert 0 <= min(d.timestep for d in drawn) <= 3
    assert 996 <= max(d.timestep for d in drawn) <= 999
    assert Counter(int(d.coloring * 3) for d in drawn).keys() == {0, 1, 2}


def test_a_step_does_not_depend_on_the_steps_before():
    tasks = {"seg": 0.3, "depth": 0.7}
    in_order = [make_plan(tasks).draws(step) for step in range(30)]
    assert [make_plan(tasks).draws(step) for step in reversed(range(30))] == in_order[::-1]
    assert make_plan(tasks, seed=4).draws(7) != in_order[7]
    # Nor on how many samples a step has: samples are numbered through the run.
    assert draws(make_plan(tasks, batch_size=8), 15) == draws(make_plan(tasks), 30)


def test_runs_with_one_seed_are_paired():
    base, single = draws(make_plan({}), 20), draws(make_plan({"seg": 1.0}), 20)
    multi = draws(make_plan({"seg": 0.3, "depth": 0.7}), 20)
    for a, b in zip(base, single, strict=True):
        assert (a.clip_id, a.caption, a.timestep, a.video_seed) == (b.clip_id, b.caption, b.timestep, b.video_seed)
    for a, b in zip(base, multi, strict=True):
        assert (a.caption, a.timestep, a.video_seed) == (b.caption, b.timestep, b.video_seed)


def test_a_task_without_clips_is_refused():
    with pytest.raises(ValueError, match=r"'depth' has no clips.*rejected"):
        BatchPlan({"seg": CLIPS, "depth": []}, {"seg": 0.5, "depth": 0.5}, seed=0, batch_size=4)


def test_base_and_widened_batches_have_equal_video_halves(make_source):
    base = TrainingBatch.read(make_source(), make_plan({}, clips=make_source().clip_ids()).draws(2))
    source = make_source("seg")
    wide = TrainingBatch.read(source, make_plan({"seg": 1.0}, clips=source.clip_ids("seg")).draws(2))
    assert base.latents.shape == (4, 3, 16, 16, 16)
    assert wide.latents.shape == wide.noise.shape == (4, 3, 32, 16, 16)
    assert torch.equal(base.latents, wide.latents[:, :, :16])
    assert torch.equal(base.noise, wide.noise[:, :, :16])
    assert torch.equal(base.prompt_embeds, wide.prompt_embeds)
    assert torch.equal(base.timesteps, wide.timesteps)
    assert base.task_ids is None
    assert not torch.equal(wide.noise[:, :, :16], wide.noise[:, :, 16:])
    assert abs(wide.noise.std() - 1) < 0.02


def test_frames_are_padded_in_front_with_the_first(make_source):
    plan = make_plan({}, clips=make_source().clip_ids())
    batch = TrainingBatch.read(make_source(), plan.draws(0), frame_multiple=2)
    assert batch.latents.shape == batch.noise.shape == (4, 4, 16, 16, 16)
    assert torch.equal(batch.latents[:, 0], batch.latents[:, 1])
    assert not torch.equal(batch.noise[:, 0], batch.noise[:, 1])


def test_processes_share_a_batch_without_changing_it(make_source):
    source = make_source("seg", "depth")
    clips = {task: source.clip_ids(task) for task in ("seg", "depth")}
    plan = BatchPlan(clips, {"seg": 0.5, "depth": 0.5}, seed=1, batch_size=4)
    whole = StepBatches(plan, source)[3]
    parts = [StepBatches(plan, source, process, 2)[3] for process in range(2)]
    for name in ("latents", "noise", "prompt_embeds", "timesteps", "task_ids"):
        assert torch.equal(getattr(whole, name), torch.cat([getattr(part, name) for part in parts]))
    with pytest.raises(ValueError, match="multiple of the 3 processes"):
        StepBatches(plan, source, 0, 3)


def test_batches_come_in_order_and_errors_where_they_belong(make_source):
    source = make_source()
    batches = StepBatches(make_plan({}, clips=source.clip_ids()), source)
    with prefetched(batches, range(2, 6)) as iterator:
        timesteps = [batch.timesteps for batch in iterator]
    assert all(torch.equal(got, batches[step].timesteps) for step, got in enumerate(timesteps, start=2))

    missing = StepBatches(make_plan({}, clips=["nobody"]), source)
    with prefetched(missing, range(2)) as iterator, pytest.raises(ValueError, match="no clip 'nobody'"):
        next(iterator)
    # Leaving early must not wait for batches that nobody takes.
    with prefetched(batches, range(10**9)) as iterator:
        next(iterator)
