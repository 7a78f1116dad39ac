"""Train one run: from cached latents to a diffusers folder, interruptible at any moment and exactly resumable.

The state folder survives what Snakemake deletes; the output folder appears once, complete. What a step trains on comes
from `batch`, the step itself is `stepping`'s; here is their order, and when to log, validate, save and stop.
"""

from __future__ import annotations

import contextlib
import sys
import time
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedType

from udpdiff.storage.dataset import LatentSource
from udpdiff.tasks import TASKS
from udpdiff.training.arrangement import arrange
from udpdiff.training.batch import TrainingBatch
from udpdiff.training.checkpointing import load_checkpoint, save_checkpoint
from udpdiff.training.denoiser import base_folder
from udpdiff.training.export import export_run
from udpdiff.training.fingerprint import fingerprint
from udpdiff.training.interruption import StopRequest, TrainingInterrupted
from udpdiff.training.lock import exclusive
from udpdiff.training.log import LossWindow, append_entry, timestep_bins
from udpdiff.training.prefetch import prefetched
from udpdiff.training.progress import Progress
from udpdiff.training.run_state import RunState
from udpdiff.training.settings import TrainingSettings
from udpdiff.training.stepping import StepLosses, Stepper, TrainingDiverged, learning_rate_at


def train(
    settings: TrainingSettings,
    source: LatentSource,
    state_dir: str | Path,
    output: str | Path,
    evaluation: LatentSource | None = None,
) -> None:
    """Train a run, or continue it from `state_dir`, and write its model as the folder `output`.

    source: training clips. evaluation: clips for the validation loss; without it a few training clips are held back.
    A completed run is only exported again. Under `accelerate launch`, processes share each batch.

    Raises TrainingInterrupted (exit code 75) after SIGTERM or SIGUSR1, with a checkpoint saved; FolderLocked when
    another process trains in `state_dir`; TrainingDiverged; ValueError for settings that do not fit the data.

    Source: UDPDiff, section 4.1; the trainer contract of the project's design.
    """
    accelerator = Accelerator(mixed_precision=settings.mixed_precision)
    _check_processes(accelerator, settings)
    state, first = RunState(Path(state_dir)), accelerator.is_main_process
    folder = base_folder(settings.base)
    with StopRequest() as stop, exclusive(state.folder) if first else contextlib.nullcontext():
        identity = fingerprint(settings, source, folder)
        if first and (message := state.claim(identity, settings.steps)):
            _say(f"{settings.run}: {message}")
        accelerator.wait_for_everyone()
        if state.completed_step() is None:
            if first:
                state.open_session(settings, identity)
            accelerator.wait_for_everyone()
            _Loop(settings, source, evaluation, folder, state, identity["fingerprint"], accelerator).run(stop)
        if first:
            export_run(settings, state.folder, Path(output), settings.steps)
        accelerator.wait_for_everyone()


def _say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


def _check_processes(accelerator: Accelerator, settings: TrainingSettings) -> None:
    allowed = (DistributedType.NO, DistributedType.MULTI_GPU, DistributedType.MULTI_CPU)
    if accelerator.distributed_type not in allowed:
        raise ValueError(
            f"Got accelerate's {accelerator.distributed_type.value}, expected one process or plain data parallelism"
            " (MULTI_GPU): checkpoints here hold whole models. For less memory set gradient_checkpointing or lora_rank."
        )
    share = accelerator.num_processes * settings.gradient_accumulation_steps
    if settings.batch_size % share:
        raise ValueError(
            f"batch_size: got {settings.batch_size}, expected a multiple of {share}, that is of"
            f" {accelerator.num_processes} processes times {settings.gradient_accumulation_steps} accumulation steps."
        )


class _Loop:
    """One training from its newest checkpoint to its last step."""

    def __init__(
        self,
        settings: TrainingSettings,
        source: LatentSource,
        evaluation: LatentSource | None,
        folder: str,
        state: RunState,
        identity: str,
        accelerator: Accelerator,
    ) -> None:
        self.settings, self.state, self.identity, self.accelerator = settings, state, identity, accelerator
        checkpoint = load_checkpoint(state.folder, state.last_step()) if state.last_step() else None
        self.stepper = Stepper(settings, folder, accelerator, checkpoint)
        self.num_timesteps = self.stepper.objective.num_timesteps
        self.batches, self.validation = arrange(
            settings, source, evaluation, self.stepper.transformer, self.num_timesteps, accelerator
        )
        self.window = LossWindow(checkpoint.extra["window"] if checkpoint else None)
        self.seconds = self._earlier_seconds = checkpoint.extra["seconds"] if checkpoint else 0.0
        self._started, self._computing = time.monotonic(), 0.0

    def run(self, stop: StopRequest) -> None:
        """Take the remaining steps and mark the training as completed."""
        settings, stepper = self.settings, self.stepper
        progress = Progress(settings.run, stepper.step, settings.steps, shown=self.accelerator.is_main_process)
        if stepper.step:
            progress.say(f"continuing at step {stepper.step} of {settings.steps}")
        steps = range(stepper.step, settings.steps)
        self._started = time.monotonic()
        with contextlib.closing(progress), prefetched(self.batches, steps, settings.num_workers) as batches:
            for batch in batches:
                losses = self._take_step(batch)
                self._log(losses, progress)
                progress.update(stepper.step, losses.total.mean().item())
                self._save_if_due(stop)
        if self.accelerator.is_main_process:
            self.state.complete(stepper.step, self.seconds)
        self.accelerator.wait_for_everyone()

    def _take_step(self, batch: TrainingBatch) -> StepLosses:
        begun = time.monotonic()
        try:
            losses = self.stepper.take(batch)
        except TrainingDiverged as error:
            draws = self.batches.plan.draws(self.stepper.step)
            raise TrainingDiverged(
                f"{self.settings.run}: training diverged at step {self.stepper.step + 1}: {error}. Its clips were"
                f" {[draw.clip_id for draw in draws]}. The last checkpoint is unharmed; lower learning_rate or"
                " max_grad_norm, or look for such numbers in the latents of these clips."
            ) from None
        now = time.monotonic()
        self._computing += now - begun
        self.seconds = self._earlier_seconds + now - self._started
        return losses

    def _log(self, losses: StepLosses, progress: Progress) -> None:
        settings, step = self.settings, self.stepper.step
        names = {task.id: task.name for task in TASKS.values()}
        tasks = [None] * len(losses.total) if losses.task_ids is None else [names[i] for i in losses.task_ids.tolist()]
        self.window.add_samples(losses, timestep_bins(losses.timesteps, self.num_timesteps), tasks)
        self.window.add("grad_norm", torch.tensor([self.stepper.grad_norm]))
        entries = []
        if step % settings.log_every_steps == 0 or step == settings.steps:
            entries.append(
                {
                    **self.window.entry(),
                    "learning_rate": learning_rate_at(settings, step - 1),
                    "steps_per_second": round(progress.steps_per_second(step), 4),
                    "seconds_left": round(progress.seconds_left(step), 1),
                    "compute_share": round(self._computing / (time.monotonic() - self._started), 4),
                }
            )
        if self.validation and (step % settings.validation_every_steps == 0 or step == settings.steps):
            entries.append({"validation": self.validation.measure(self.stepper)})
        if self.accelerator.is_main_process:
            for entry in entries:
                append_entry(self.state.log, {"step": step, "seconds": round(self.seconds, 3), **entry})

    def _save_if_due(self, stop: StopRequest) -> None:
        """Save at the chosen steps, at the last one, and when asked to stop; then stop."""
        settings, step = self.settings, self.stepper.step
        last = step == settings.steps
        stopping = self._anyone(stop.requested) and not last
        if not (last or stopping or step % settings.checkpoint_every_steps == 0):
            return
        if self.accelerator.is_main_process:
            extra = {"window": self.window.sums, "seconds": self.seconds}
            save_checkpoint(self.state.folder, self.stepper.checkpoint(self.identity, extra))
        self.accelerator.wait_for_everyone()
        if stopping:
            if self.accelerator.is_main_process:
                _say(f"{settings.run}: asked to stop; saved step {step} of {settings.steps}")
            raise TrainingInterrupted(step)

    def _anyone(self, flag: bool) -> bool:
        """Return whether the flag is up in any process: all must stop after the same step."""
        if self.accelerator.num_processes == 1:
            return flag
        votes = torch.tensor([float(flag)], device=self.accelerator.device)
        return bool(self.accelerator.reduce(votes, reduction="sum").item())
