"""The memory plan against the tensors that a run allocates, at toy size and, on tensors without data, at full size."""

from __future__ import annotations

import contextlib
import copy

import pytest
import torch
from live_bytes import LiveBytes
from torch._subclasses.fake_tensor import FakeCopyMode, FakeTensorMode

from udpdiff.labelling.memory_plan import PUBLISHED_SIZES, objects_at_once, plan_memory, plan_sizes
from udpdiff.labelling.propagation import (
    MaskTracker,
    _forget,
    _propagate_quietly,
    init_state,
    memory_horizon,
)
from udpdiff.labelling.sam2_checkpoint import build_predictor
from udpdiff.mini.sam2_model import build_model

GIB = 2**30


def measure(predictor, objects: int, num_frames: int, height: int, width: int, fake: bool) -> tuple[int, int]:
    """Peak of the tensors beside weights and waiting frames, and the bytes that outputs of frames hold at the end."""
    predictor = MaskTracker(predictor).predictor
    mode = contextlib.nullcontext()
    if fake:
        mode = FakeTensorMode(allow_non_fake_inputs=True)
        with FakeCopyMode(mode):
            predictor = copy.deepcopy(predictor)
    with mode, torch.inference_mode():
        images = [torch.zeros(3, predictor.image_size, predictor.image_size) for _ in range(num_frames)]
        live = LiveBytes()
        for image in images:
            live._seen.add(image.untyped_storage())
        with live:
            state = init_state(predictor, images, height, width)
            for index in range(objects):
                predictor.add_new_mask(state, 0, index, torch.ones(height, width, dtype=torch.bool))
            for frame_idx, _, _ in _propagate_quietly(predictor, state):
                _forget(state, frame_idx, memory_horizon(predictor))
        outputs = [
            frame.get(name)
            for frames in state["output_dict"].values()
            for frame in frames.values()
            for name in ("maskmem_features", "pred_masks", "obj_ptr", "object_score_logits")
        ]
        storages = {id(held): held for held in (tensor.untyped_storage() for tensor in outputs if tensor is not None)}
        return live.peak, sum(held.nbytes() for held in storages.values())


@pytest.mark.parametrize("objects, num_frames", [(1, 3), (6, 12), (12, 12)])
def test_plan_covers_what_a_run_holds(objects, num_frames):
    predictor = build_model(seed=0)
    plan = plan_memory(predictor, num_frames, 64, 64)
    peak, held = measure(predictor, objects, num_frames, 64, 64, fake=False)
    assert held <= objects * plan.state_bytes <= 1.5 * held
    assert peak <= plan.peak_bytes(objects) - plan.weight_bytes <= 2.5 * peak


def test_memory_is_bounded_in_the_length_of_a_clip():
    predictor = build_model(seed=0)
    peaks = [measure(predictor, 3, num_frames, 64, 64, fake=False)[0] for num_frames in (8, 24)]
    assert peaks[1] <= 1.01 * peaks[0]


def test_fifty_objects_at_full_size_are_planned():
    """1024 pixels and the published memory sizes; nine frames fill the memory attention as 49 do."""
    predictor = build_predictor("configs/sam2.1/sam2.1_hiera_t.yaml", [])
    peak, _ = measure(predictor, 50, 9, 480, 720, fake=True)
    plan = plan_memory(predictor, 49, 480, 720)
    assert 6 * GIB < peak < plan.peak_bytes(50) < 12 * GIB
    assert plan.max_objects(24 * GIB) >= 50
    assert plan.max_objects(4 * GIB) < 20
    assert plan.max_objects(0) == 1
    large = plan_sizes(PUBLISHED_SIZES["facebook/sam2.1-hiera-large"], 49, 480, 720)
    assert 10 * GIB < large.peak_bytes(50) < 11 * GIB, "as docs/data.md says"


def test_a_cpu_takes_a_fixed_number():
    assert objects_at_once(build_model(seed=0), 49, 480, 720) == 16
