"""The task registry and the task-as-text prompt."""

from __future__ import annotations

import subprocess
import sys

import pytest

from udpdiff.tasks import TASKS, get_task, task_prompt


def test_keys_are_names_and_ids_are_consecutive_from_zero():
    assert [task.name for task in TASKS.values()] == list(TASKS)
    assert sorted(task.id for task in TASKS.values()) == list(range(len(TASKS)))
    assert {"seg", "depth"} <= set(TASKS)


def test_prompts_tell_tasks_apart_and_keep_the_caption():
    prompts = {task_prompt("a red ball", name) for name in TASKS}
    assert len(prompts) == len(TASKS)
    assert all(prompt.endswith("a red ball") for prompt in prompts)
    assert task_prompt("a red ball", TASKS["depth"]) == task_prompt("a red ball", "depth")


def test_unknown_task_names_the_known_ones():
    with pytest.raises(ValueError, match=r"got 'normals', expected one of .*depth.*seg"):
        get_task("normals")


def test_the_package_and_its_tasks_import_without_torch():
    code = "import sys, udpdiff, udpdiff.tasks; udpdiff.__version__; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
