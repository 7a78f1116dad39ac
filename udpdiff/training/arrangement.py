"""Which clips a run trains on and which it validates on, checked against its model before the first step."""

from __future__ import annotations

from collections.abc import Sequence

from accelerate import Accelerator
from diffusers import CogVideoXTransformer3DModel

from udpdiff.storage.dataset import LatentSource
from udpdiff.storage.shards import digest
from udpdiff.training.batch import BatchPlan, TrainingBatch
from udpdiff.training.prefetch import StepBatches
from udpdiff.training.settings import TrainingSettings
from udpdiff.training.validation import Validation

# Never more than this share of the training clips is held back for validation.
_HELD_BACK_SHARE = 0.1


def arrange(
    settings: TrainingSettings,
    source: LatentSource,
    evaluation: LatentSource | None,
    transformer: CogVideoXTransformer3DModel,
    num_timesteps: int,
    accelerator: Accelerator,
) -> tuple[StepBatches, Validation]:
    """Return the training batches of this process and the validation batches.

    Raises ValueError when a task has no clips or when latents or prompts do not fit the transformer.
    """
    tasks: Sequence[str | None] = list(settings.tasks) or [None]
    clips = {task: source.clip_ids(task) for task in tasks}
    if evaluation is None:
        aside = held_back({clip_id for ids in clips.values() for clip_id in ids}, settings.validation_clips)
        fixed = {task: [clip_id for clip_id in ids if clip_id in aside] for task, ids in clips.items()}
        clips = {task: [clip_id for clip_id in ids if clip_id not in aside] for task, ids in clips.items()}
    else:
        fixed = {task: evaluation.clip_ids(task)[: settings.validation_clips] for task in tasks}
    plan = BatchPlan(
        clips,
        settings.tasks,
        seed=settings.seed,
        batch_size=settings.batch_size,
        num_timesteps=num_timesteps,
        detailed_share=settings.detailed_share,
        caption_dropout=settings.caption_dropout,
    )
    frame_multiple = transformer.config.patch_size_t or 1
    batches = StepBatches(plan, source, accelerator.process_index, accelerator.num_processes, frame_multiple)
    _check_fit(TrainingBatch.read(source, plan.draws(0)[:1], frame_multiple), transformer)
    micro_size = settings.batch_size // accelerator.num_processes // settings.gradient_accumulation_steps
    validation = Validation(evaluation or source, fixed, settings.seed, micro_size, num_timesteps, frame_multiple)
    return batches, validation


def held_back(clip_ids: set[str], count: int) -> set[str]:
    """Choose clips to keep out of training, by their ids alone, so that all runs hold back the same."""
    return set(sorted(clip_ids, key=digest)[: min(count, int(_HELD_BACK_SHARE * len(clip_ids)))])


def _check_fit(batch: TrainingBatch, transformer: CogVideoXTransformer3DModel) -> None:
    config = transformer.config
    _, _, channels, height, width = batch.latents.shape
    length, width_text = batch.prompt_embeds.shape[1:]
    if channels != config.in_channels:
        raise ValueError(
            f"Got latents of {batch.video_channels} channels per stream, {channels} in all, expected"
            f" {config.in_channels} in all. Encode the clips with the VAE of the run's own base checkpoint."
        )
    if height % config.patch_size or width % config.patch_size:
        raise ValueError(
            f"Got latents of {height} x {width}, expected multiples of the transformer's patch size"
            f" {config.patch_size}. Choose another clip height and width."
        )
    if (length, width_text) != (config.max_text_seq_length, config.text_embed_dim):
        raise ValueError(
            f"Got prompt embeddings ({length}, {width_text}), expected ({config.max_text_seq_length},"
            f" {config.text_embed_dim}). Encode the captions with the text encoder of the run's own base checkpoint."
        )
