"""The dense prediction tasks of UDPDiff: a task is a value, one module and one line below.

Nothing outside this room names a task, but for configurations, the paper's tables and the labellers themselves.

Source: UDPDiff, sections 3.2 and 3.4.
"""

from __future__ import annotations

from udpdiff.tasks.depth import Depth
from udpdiff.tasks.entities import Entities
from udpdiff.tasks.normals import Normals
from udpdiff.tasks.task import Task, TaskOptions, labels_control

__all__ = ["TASKS", "Task", "TaskOptions", "get_task", "labels_control", "task_prompt"]

TASKS: dict[str, Task] = {task.name: task for task in (Entities(), Depth(), Normals())}


def get_task(name: str) -> Task:
    """Return the task of that name.

    Raises:
        ValueError: There is none.
    """
    if name not in TASKS:
        raise ValueError(f"Unknown task: got {name!r}, expected one of {sorted(TASKS)}. Register it in udpdiff.tasks.")
    return TASKS[name]


def task_prompt(caption: str, task: str | Task) -> str:
    """Return the caption with the task named in it, for the task-as-text variant.

    The task comes first, so that truncation to the text encoder's length can only ever cut the caption.

    Source: UDPDiff, table 5 ("Text prompt"); the paper does not give the wording.
    """
    task = get_task(task) if isinstance(task, str) else task
    return f"{task.phrase}: {caption}"
