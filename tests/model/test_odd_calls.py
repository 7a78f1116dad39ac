"""Numbers, lists and parts that no call means: each is refused in a sentence, before any model runs."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from pipeline_calls import quiet, seeded

from udpdiff import UDPDiffPipeline
from udpdiff.model.expansion import expand_transformer

TASKS = {"seg": "pixelplanes", "depth": "spectral"}
CALL = {"task": "depth", "num_inference_steps": 2, "guidance_scale": 3.0, "output_type": "latent"}
ODD = {
    "guidance_scale": [float("nan"), float("inf"), -3.0, "3", None, [3.0]],
    "num_inference_steps": [2.0, 2.5, "2", None, [2], True],
    "num_frames": [0, -7, 9.0, "9", True],
    "height": [0, -64, 64.0, "64"],
    "width": [0, -64],
    "num_videos_per_prompt": [1.5, 2.0, "2", None],
    "max_sequence_length": [0, -1, 10, 49, "48"],
    "prompt": [3, [3], ["a ball", None], [["a ball"]], b"a ball", {"a": 1}, np.array(["a ball"])],
    "task": [3, True, [3]],
    "generator": [3, "x", [3], [None], tuple(seeded(1)), torch.Generator],
}
E32 = torch.zeros(1, 48, 32)


@pytest.fixture
def pipeline(tiny_components, tiny_transformer):
    widened = expand_transformer(tiny_transformer, num_tasks=2, init_in="copy")
    return quiet(UDPDiffPipeline(**tiny_components, transformer=widened, tasks=TASKS))


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in ODD.items() for value in values])
def test_odd_values_are_refused_by_name(pipeline, name, value):
    with pytest.raises(ValueError, match=f"Got .*{name if name != 'width' else 'height'}.*expected"):
        pipeline(**{"prompt": "a ball"} | CALL | {name: value})


@pytest.mark.parametrize("embeds", [E32[:, :10], E32.repeat(1, 2, 1), E32.numpy(), [0.0]])
def test_embeddings_that_the_transformer_does_not_read_are_refused(pipeline, embeds):
    for name in ("prompt_embeds", "negative_prompt_embeds"):
        given = {"prompt_embeds": E32, "negative_prompt_embeds": E32} | {name: embeds}
        with pytest.raises(ValueError, match=f"Got {name} .*expected"):
            pipeline(**CALL, **given)


def test_embeddings_of_any_length_serve_a_transformer_without_a_table_of_positions(
    tiny_components, make_tiny_transformer
):
    widened = expand_transformer(make_tiny_transformer("5b_rope"), num_tasks=2, init_in="copy")
    pipeline = quiet(UDPDiffPipeline(**tiny_components, transformer=widened, tasks=TASKS))
    short = E32[:, :10]
    assert pipeline(**CALL, prompt_embeds=short, negative_prompt_embeds=short).frames.shape[1] == 3
    assert pipeline("a ball", **CALL, max_sequence_length=20).frames.shape[1] == 3


@pytest.mark.parametrize(
    "change",
    [
        lambda latents: {"latents": latents[:, :1]},
        lambda latents: {"latents": latents[:, :, :16]},
        lambda latents: {"latents": latents.repeat(2, 1, 1, 1, 1)},
        lambda latents: {"latents": latents.double()},
        lambda latents: {"latents": latents.numpy()},
        lambda latents: None,
        lambda latents: latents,
    ],
)
def test_a_callback_that_returns_other_latents_is_refused(pipeline, change):
    with pytest.raises(ValueError, match=r"Got .*from callback_on_step_end.*expected"):
        pipeline("a ball", **CALL, callback_on_step_end=lambda p, i, t, tensors: change(tensors["latents"]))
    assert pipeline("a ball", **CALL).frames.isfinite().all()  # the next call is as any


@pytest.mark.parametrize("part", ["scheduler", "transformer", "vae"])
def test_a_call_without_a_part_names_it(pipeline, part):
    setattr(pipeline, part, None)
    with pytest.raises(ValueError, match=f"Got no {part}.*expected"):
        pipeline("a ball", **CALL)
