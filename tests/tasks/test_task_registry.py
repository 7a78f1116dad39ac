"""The task registry and the task-as-text prompt."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from udpdiff.tasks import TASKS, get_task, labels_control, task_prompt


def test_keys_are_names():
    assert [task.name for task in TASKS.values()] == list(TASKS) == ["seg", "depth", "normals"]
    assert [name for name, task in TASKS.items() if task.derived] == ["normals"]


@pytest.mark.parametrize("name", TASKS)
def test_a_task_says_what_it_needs(name):
    task = TASKS[name]
    options = set(task.Options.model_fields)
    assert {*task.label_options, *(key for keys in task.colormap_options.values() for key in keys)} <= options
    assert set(task.colormap_options) | set(task.random_colormaps) <= set(task.colormaps)
    keys = [figure.key for figure in task.figures["generated"]]
    assert task.main_figure in keys and len(set(keys)) == len(keys)
    main = next(figure for figure in task.figures["generated"] if figure.key == task.main_figure)
    assert main.direction == "higher", "controls and gains are read as for a figure of which more is better"
    assert next(iter(task.ceilings)) == task.main_figure and set(task.ceilings) <= set(keys)
    assert set(task.ceilings.values()) <= {figure.key for figure in task.figures["codec"]}
    controls = [labels_control(key) for key in task.ceilings]
    assert len(set(controls)) == len(controls), "one control for each figure"


@pytest.mark.parametrize("name", TASKS)
def test_predictions_survive_storage_and_colours(name):
    """A prediction comes back from its stored form, and from its colours by the figures it is compared by."""
    task = TASKS[name]
    options = task.Options()
    rng = np.random.default_rng(0)
    ids = np.repeat(np.repeat(rng.integers(0, 5, (3, 4, 4)), 8, 1), 8, 2).astype(np.uint16)
    stored = (
        ids if task.labels == "entities" else (ids * np.uint16(9000) + np.arange(32, dtype=np.uint16) * np.uint16(50))
    )
    prediction = task.from_labels(stored, options)
    back = task.from_storage(task.to_storage(prediction))
    assert np.abs(back.astype(float) - prediction).max() < 0.01
    assert task.to_storage(prediction).dtype in (np.uint16, np.int8)
    colormap = task.encode(prediction, task.colormaps[0], options, rng)
    assert colormap.dtype == np.uint8 and colormap.shape == (*ids.shape, 3)
    assert task.compare(task.decode(colormap), prediction)[task.main_figure] == pytest.approx(1, abs=1e-3)
    assert task.picture(prediction).shape == colormap.shape and task.picture(prediction).dtype == np.uint8


@pytest.mark.parametrize("name", [name for name, task in TASKS.items() if task.has_constant])
def test_the_constant_prediction_is_of_the_mean_label(name):
    task = TASKS[name]
    mean = np.linspace(0, 65535, 12 * 16).reshape(12, 16)
    constant = task.constant(mean, 3, task.Options())
    expected = task.from_labels(np.rint(mean)[None].astype(np.uint16), task.Options())
    assert constant.shape == (3, *expected.shape[1:])
    np.testing.assert_allclose(constant, np.broadcast_to(expected, constant.shape), atol=1e-3)


def test_prompts_tell_tasks_apart_and_keep_the_caption():
    prompts = {task_prompt("a red ball", name) for name in TASKS}
    assert len(prompts) == len(TASKS)
    assert all(prompt.endswith("a red ball") for prompt in prompts)
    assert task_prompt("a red ball", TASKS["depth"]) == task_prompt("a red ball", "depth")


def test_unknown_task_names_the_known_ones():
    with pytest.raises(ValueError, match=r"got 'optical_flow', expected one of .*depth.*seg"):
        get_task("optical_flow")


def test_the_package_and_its_tasks_import_without_torch():
    code = "import sys, udpdiff, udpdiff.tasks; udpdiff.__version__; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
