"""Train one run: from cached latents to a diffusers folder, interruptible at any moment and exactly resumable.

The state folder survives what Snakemake deletes; the output folder appears once, complete. What a step trains on comes
from `data`, the step itself is `step`'s; here is their order, and when to log, validate, save and stop.
"""

from __future__ import annotations

import contextlib
import math
import sys
import time
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator

from udpdiff.gpu_memory import peak_gpu_gb
from udpdiff.interruption import Interrupted, StopRequest
from udpdiff.model.base_parts import base_folder, load_scheduler
from udpdiff.model.streams import Streams
from udpdiff.progress import progress
from udpdiff.storage.dataset import LatentSource
from udpdiff.training.checkpoint import has_optimizer, keep_result, newest_checkpoint, save_checkpoint
from udpdiff.training.data import SampleDraws, StepBatches, TrainingBatch, prefetched, split_clips
from udpdiff.training.export import export_run
from udpdiff.training.log import LossWindow, append_entry, timestep_bins
from udpdiff.training.network import run_streams, shard_over_processes, starting_transformer
from udpdiff.training.processes import first_does, start_processes
from udpdiff.training.settings import TrainingSettings
from udpdiff.training.state import RunState, exclusive, identify
from udpdiff.training.step import StepLosses, Stepper, TrainingDiverged, check_fit, learning_rate_at
from udpdiff.training.trackers import finish_trackers, start_trackers, track
from udpdiff.training.validation import Validation


def train(
    settings: TrainingSettings,
    source: LatentSource,
    state_dir: str | Path,
    output: str | Path,
    evaluation: LatentSource | None = None,
    cpu: bool = False,
    data: str = "",
) -> None:
    """Train a run, or continue it from `state_dir`, and write its model as the folder `output`.

    A completed run is only exported again. Processes that were started together share each batch.

    Args:
        settings: Of the run.
        source: Training clips.
        state_dir: Checkpoints, log and lock.
        output: A diffusers folder.
        evaluation: Clips for the validation loss; without it a few training clips are held back.
        cpu: Leave GPUs alone.
        data: What the clips are, in words, for the card.

    Raises:
        Interrupted: After SIGTERM, SIGUSR1 or SIGINT or at the job's deadline, with a checkpoint saved (exit code 75).
        FolderLocked: Another process trains in `state_dir`.
        TrainingDiverged: A loss or a gradient is not finite.
        ValueError: The settings do not fit the data.

    Source: UDPDiff, section 4.1; the trainer contract of the project's design.
    """
    accelerator = start_processes(settings.mixed_precision, cpu)
    _check_processes(accelerator, settings)
    state = RunState(Path(state_dir))
    folder = base_folder(settings.base)
    with StopRequest() as stop, contextlib.ExitStack() as held:

        def claim() -> dict[str, Any]:
            held.enter_context(exclusive(state.folder))
            identity = identify(settings, source, evaluation, folder)
            if message := state.claim(identity, settings.steps):
                _say(settings, message)
            return identity

        # One process hashes the data and the base for all.
        identity = first_does(claim)
        _continue(settings, source, evaluation, folder, state, identity, accelerator, stop)
        accelerator.free_memory()  # it holds the network and the optimizer, whose states may lie on the host

        def finish() -> None:
            clips = {task: len(source.clip_ids([task])) for task in settings.tasks} or {"video": len(source.clip_ids())}
            export_run(settings, state.folder, Path(output), settings.steps, clips, data)
            keep_result(state.folder, settings.steps, settings.keep_optimizer)

        # All wait for it: srun ends a step a while after the first of its processes has ended, however that one ended.
        first_does(finish)


def _say(settings: TrainingSettings, message: str) -> None:
    print(f"{settings.run}: {message}", file=sys.stderr, flush=True)


def _check_processes(accelerator: Accelerator, settings: TrainingSettings) -> None:
    processes = accelerator.num_processes
    share = processes * settings.gradient_accumulation_steps
    if settings.batch_size % share:
        raise ValueError(
            f"batch_size: got {settings.batch_size}, expected a multiple of {share}, that is of"
            f" {processes} processes times {settings.gradient_accumulation_steps} accumulation steps."
        )


def _continue(
    settings: TrainingSettings,
    source: LatentSource,
    evaluation: LatentSource | None,
    folder: str,
    state: RunState,
    identity: dict[str, Any],
    accelerator: Accelerator,
    stop: StopRequest,
) -> None:
    """Train from the newest whole checkpoint to the last step; nothing is left to do where that one is the last."""
    checkpoint, faults = newest_checkpoint(state.folder)
    done, first = checkpoint["step"] if checkpoint else 0, accelerator.is_main_process
    if faults and first:
        _say(settings, "; ".join(faults))
    if done == settings.steps:
        return
    if checkpoint and not has_optimizer(checkpoint):
        raise ValueError(
            f"steps: got {settings.steps}, but {state.folder} is complete after {done}, and the optimizer's state that more"
            " steps would need was dropped then. Set the steps back, or remove the folder to train afresh;"
            " training.keep_optimizer keeps that state."
        )
    first_does(lambda: state.open_session(settings, identity, done, stop.deadline))
    if first and (done or faults):
        _say(settings, f"continuing at step {done} of {settings.steps}")
    with state.noted_end() if first else contextlib.nullcontext():
        several = settings.sharding == "full" and accelerator.num_processes > 1
        shard = shard_over_processes(settings.mixed_precision, accelerator.device) if several else None
        transformer = starting_transformer(settings, folder, accelerator.device, shard, skip_trained=bool(checkpoint))
        streams = run_streams(settings, transformer)
        stepper = Stepper(settings, transformer, load_scheduler(folder), streams, accelerator)
        if checkpoint:
            stepper.restore(state.folder, checkpoint)
        batches, validation = _read_data(settings, source, evaluation, stepper, streams)
        start_trackers(accelerator, settings, str(state.folder))
        try:
            _Loop(stepper, batches, validation, state, identity, checkpoint).run(stop)
        finally:
            finish_trackers(accelerator)


def _read_data(
    settings: TrainingSettings,
    source: LatentSource,
    evaluation: LatentSource | None,
    stepper: Stepper,
    streams: Streams,
) -> tuple[StepBatches, Validation]:
    """Return the training batches of this process and the validation batches, which fit the network.

    Raises:
        ValueError: A task has no clips, or latents or prompts do not fit the network.
    """
    accelerator, num_timesteps = stepper.accelerator, stepper.objective.num_timesteps
    frame_multiple = stepper.transformer.config.patch_size_t or 1
    clips, validation_clips = split_clips(source, evaluation, tuple(settings.tasks), settings.validation_clips)
    draws = SampleDraws(
        clips,
        settings.tasks,
        num_streams=len(streams),
        seed=settings.seed,
        batch_size=settings.batch_size,
        num_timesteps=num_timesteps,
        detailed_share=settings.detailed_share,
        caption_dropout=settings.caption_dropout,
    )
    check_fit(TrainingBatch.read(source, draws.of_step(0)[:1], streams, frame_multiple), stepper.transformer)
    process, processes = accelerator.process_index, accelerator.num_processes
    batches = StepBatches(draws, source, streams, process, processes, frame_multiple)
    micro_size = settings.batch_size // processes // settings.gradient_accumulation_steps
    validation = Validation(
        evaluation or source, validation_clips, streams, settings.seed, micro_size, num_timesteps, frame_multiple
    )
    return batches, validation


class _Loop:
    """One training from its newest checkpoint to its last step."""

    def __init__(
        self,
        stepper: Stepper,
        batches: StepBatches,
        validation: Validation,
        state: RunState,
        identity: dict[str, Any],
        checkpoint: dict[str, Any] | None,
    ) -> None:
        self.settings, self.stepper, self.accelerator = stepper.settings, stepper, stepper.accelerator
        self.batches, self.validation, self.state, self.identity = batches, validation, state, identity
        self.window = LossWindow(checkpoint["extra"]["window"] if checkpoint else None)
        self.seconds = self._earlier_seconds = checkpoint["extra"]["seconds"] if checkpoint else 0.0
        self._first_step = stepper.steps_done
        self._started, self._computing = time.monotonic(), 0.0

    def run(self, stop: StopRequest) -> None:
        """Do the remaining steps."""
        settings, first = self.settings, self._first_step
        shown = self.accelerator.is_main_process
        bar = progress(description=settings.run, total=settings.steps, initial=first, unit="step", shown=shown)
        self._started = time.monotonic()
        try:
            with bar, prefetched(self.batches, range(first, settings.steps)) as batches:
                for batch in batches:
                    losses = self._step(batch)
                    self._log(losses)
                    bar.set_postfix(loss=f"{losses.total.mean().item():.4f}", refresh=False)
                    bar.update()
                    self._save_if_due(stop)
        except Interrupted:  # said last, below the progress
            if shown:
                _say(settings, f"asked to stop; saved step {self.stepper.steps_done} of {settings.steps}, goes on")
            raise

    def _step(self, batch: TrainingBatch) -> StepLosses:
        begun, done = time.monotonic(), self.stepper.steps_done
        try:
            losses = self.stepper.step(batch)
        except TrainingDiverged as error:
            raise TrainingDiverged(
                f"{self.settings.run}: training diverged at step {done + 1}: {error}. Its clips were"
                f" {[draw.clip_id for draw in self.batches.draws.of_step(done)]}. The last checkpoint is unharmed; lower"
                " learning_rate or max_grad_norm, or look for such numbers in the latents of these clips."
            ) from None
        now = time.monotonic()
        self._computing += now - begun
        self.seconds = self._earlier_seconds + now - self._started
        return losses

    def _log(self, losses: StepLosses) -> None:
        settings, step = self.settings, self.stepper.steps_done
        names = tuple(settings.tasks)
        tasks = [None] * len(losses.total) if losses.task_ids is None else [names[i] for i in losses.task_ids.tolist()]
        bins = timestep_bins(losses.timesteps, self.stepper.objective.num_timesteps)
        self.window.add_samples(losses, bins, tasks)
        if math.isfinite(self.stepper.grad_norm):  # else the loss scaler left the step out
            self.window.add("grad_norm", torch.tensor([self.stepper.grad_norm]))
        entries = []
        if step % settings.log_every_steps == 0 or step == settings.steps:
            entries.append(self.window.entry() | self._speed())
        if self.validation and (step % settings.validation_every_steps == 0 or step == settings.steps):
            entries.append({"validation": self.validation.measure(self.stepper)})
        if self.accelerator.is_main_process:
            for entry in entries:
                append_entry(self.state.log, {"step": step, "seconds": round(self.seconds, 3), **entry})
                track(self.accelerator, entry, step)

    def _speed(self) -> dict[str, float]:
        step, elapsed = self.stepper.steps_done, time.monotonic() - self._started
        steps_per_second, peak = (step - self._first_step) / elapsed, peak_gpu_gb(self.accelerator.device)
        return {
            "learning_rate": learning_rate_at(self.settings, step - 1),
            "steps_per_second": round(steps_per_second, 4),
            "seconds_left": round((self.settings.steps - step) / steps_per_second, 1),
            "compute_share": round(self._computing / elapsed, 4),
        } | ({} if peak is None else {"peak_gpu_gb": round(peak, 3)})

    def _save_if_due(self, stop: StopRequest) -> None:
        """Save at the chosen steps, at the last one, and when asked to stop; then stop."""
        settings, step = self.settings, self.stepper.steps_done
        last = step == settings.steps
        stopping = self._anyone(stop.requested) and not last
        if not (last or stopping or step % settings.checkpoint_every_steps == 0):
            return
        if self._anyone(not self.stepper.weights_are_finite()):
            raise TrainingDiverged(
                f"{settings.run}: weights are infinite or no numbers after step {step}, expected finite ones. The last"
                " checkpoint is unharmed; lower learning_rate."
            )
        extra = {"window": self.window.sums, "seconds": self.seconds, "scaler": self.stepper.scaler_state()}
        if self.accelerator.is_main_process:
            self.state.note_seconds(self.seconds)
        save_checkpoint(self.state.folder, step, self.identity, self.stepper.parts(), extra)
        if stopping:
            raise Interrupted

    def _anyone(self, flag: bool) -> bool:
        """Return whether the flag is up in any process: all must stop after the same step."""
        if self.accelerator.num_processes == 1:
            return flag
        votes = torch.tensor([float(flag)], device=self.accelerator.device)
        return bool(self.accelerator.reduce(votes, reduction="sum").item())
