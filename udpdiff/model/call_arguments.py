"""What a sampling call asks for, spelt out: a task for each video, and everything as often as there are videos."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch

from udpdiff.model.call_numbers import check_whole
from udpdiff.model.streams import Streams
from udpdiff.tasks import Task, get_task


def count_prompts(prompt: list[str] | None, prompt_embeds: torch.Tensor | None, num_videos_per_prompt: int) -> int:
    """Return how many prompts a call has; ValueError without any, for what is no text, or where each is to give no video."""
    check_whole(num_videos_per_prompt=num_videos_per_prompt)
    if prompt is not None and not (isinstance(prompt, list) and all(isinstance(each, str) for each in prompt)):
        raise ValueError(f"Got prompt {str(prompt)[:200]}, expected a text or a list of texts, of type str.")
    given = prompt if prompt_embeds is None else prompt_embeds
    if given is None or not len(given):
        raise ValueError("Got no prompt, expected at least one. Pass either prompt or prompt_embeds.")
    if num_videos_per_prompt < 1:
        raise ValueError(f"Got num_videos_per_prompt={num_videos_per_prompt}, expected at least 1.")
    return len(given)


def asked_size(height: int | None, width: int | None, num_frames: int | None, config: Any, scale: int) -> tuple:
    """Return height, width and num_frames, those of the training, as its transformer's config says, for None."""
    own = (config.sample_height * scale, config.sample_width * scale, config.sample_frames)
    return tuple(
        usual if value is None else value for value, usual in zip((height, width, num_frames), own, strict=True)
    )


def choose_tasks(
    streams: Streams,
    trained: Sequence[str],
    task: str | Sequence[str] | None,
    task_ids: torch.Tensor | Sequence[int] | None,
    prompts: int,
) -> dict[str, tuple[Task, ...]]:
    """Return the task that each dense stream makes for each prompt, by name of the stream.

    Args:
        streams: Of the model.
        trained: Its tasks, in the order of the rows of its task embedding.
        task: One for all prompts, one for each, or None.
        task_ids: The same as row numbers.
        prompts: How many.

    Raises:
        ValueError: The model makes other tasks, or both say different ones.
    """
    if len(streams.dense) > 1:
        if task is not None or task_ids is not None:
            got = f"task={task!r}" if task_ids is None else f"task_ids {_rows(task_ids)}"
            raise ValueError(f"Got {got}, expected None: this model makes {list(trained)} at once.")
        return {stream.name: (get_task(*stream.tasks),) * prompts for stream in streams.dense}
    if task_ids is not None:
        named = _named(_rows(task_ids), trained, prompts)
        if task is not None and named != _spread(task, prompts):
            raise ValueError(
                f"Got task={task!r} beside task_ids {_rows(task_ids)}, expected one of the two. Drop either."
            )
        task = named
    if task is None and len(trained) == 1:
        task = trained[0]
    names = _spread(task, prompts)
    for name in names:
        if name not in trained:
            raise ValueError(
                f"Got task={task!r}, expected one of {list(trained)}, the tasks of this model, or a list of them with"
                " one for each prompt. Pass such a task, or load a model trained on it."
            )
    if len(names) != prompts:
        raise ValueError(
            f"Got {len(names)} tasks, {names}, for {prompts} prompts, expected one for each. Pass as many, or one name for all."
        )
    return {streams.dense[0].name: tuple(map(get_task, names))}


def task_rows(tasks: Sequence[Task], trained: Sequence[str], device: torch.device) -> torch.Tensor:
    """Return the rows of the task embedding, long (B,); (1,) where all are the same."""
    rows = [list(trained).index(task.name) for task in tasks]
    return torch.tensor(rows[:1] if len(set(rows)) == 1 else rows, device=device)


def repeated(value: Any, times: int) -> Any:
    """Return a list or tensor with each of its rows so many times in a row; strings and None, which stand for all, as they are."""
    if times == 1 or value is None or isinstance(value, str):
        return value
    if torch.is_tensor(value):
        return value.repeat_interleave(times, dim=0)
    return type(value)(each for each in value for _ in range(times))


def padded_frames(latents: torch.Tensor, config: Any) -> torch.Tensor:
    """Return latents (B, F, C, h, w) with the first frame repeated where CogVideoX 1.5 patches several, as the stock noise is."""
    missing = -latents.shape[1] % (config.patch_size_t or 1)
    return torch.cat((latents[:, :1].expand(-1, missing, -1, -1, -1), latents), dim=1)


def _spread(task: str | Sequence[str] | None, prompts: int) -> tuple[str | None, ...]:
    if task is None or isinstance(task, str) or not isinstance(task, Iterable):
        return (task,) * prompts
    return tuple(task)


def _rows(task_ids: torch.Tensor | Sequence[int]) -> list:
    return torch.as_tensor(task_ids).flatten().tolist()


def _named(rows: list, trained: Sequence[str], prompts: int) -> tuple[str, ...]:
    """Return the names of rows of the task embedding, one row for all prompts or one for each."""
    if len(rows) not in (1, prompts) or not all(type(row) is int and 0 <= row < len(trained) for row in rows):
        raise ValueError(
            f"Got task_ids {rows} for {prompts} prompts, expected one for each, or one for all, of 0 to"
            f" {len(trained) - 1}: rows of {list(trained)}."
        )
    return tuple(trained[row] for row in rows) * (prompts // len(rows))
