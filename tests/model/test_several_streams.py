"""Models beyond the paper's: all tasks at once, and streams that are given instead of generated."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from pipeline_calls import quiet, seeded

from udpdiff import UDPDiffPipeline
from udpdiff.model.expansion import expand_transformer
from udpdiff.model.noise import paired_latents
from udpdiff.model.transformer import UDPDiffTransformer3DModel

CALL = {"num_inference_steps": 2, "guidance_scale": 3.0, "output_type": "latent"}
TASKS = {"seg": "pixelplanes", "depth": "spectral"}
STREAMS = {"seg": ["seg"], "depth": ["depth"]}
ROLES = {"task_condition": "embedding", "tasks": TASKS, "streams": STREAMS}


@pytest.fixture
def all_at_once(make_tiny_transformer):
    """A transformer over video, seg and depth."""
    base = make_tiny_transformer("5b_rope", num_attention_heads=10)
    generator = torch.Generator().manual_seed(0)
    return expand_transformer(base, 0, "resample", "resample", generator, num_streams=3, independent_timesteps=True)


@pytest.fixture
def make_conditional(tiny_components, make_tiny_transformer):
    """A pipeline whose streams have noise levels of their own, with a projection that is not zero."""

    def make(family: str = "2b_sincos") -> UDPDiffPipeline:
        transformer = expand_transformer(make_tiny_transformer(family), 2, "copy", independent_timesteps=True)
        torch.manual_seed(3)
        torch.nn.init.normal_(transformer.time_embedding.stream_projections[0].weight)
        return quiet(UDPDiffPipeline(**tiny_components, transformer=transformer, tasks=TASKS))

    return make


def test_three_streams_train_save_load_and_sample(tiny_components, all_at_once, tmp_path):
    assert (all_at_once.config.in_channels, all_at_once.config.out_channels) == (48, 48)
    pipeline = quiet(UDPDiffPipeline(**tiny_components, transformer=all_at_once, **ROLES))
    optimizer = torch.optim.SGD(all_at_once.parameters(), lr=0.1)
    latents = paired_latents([1, 2], (3, 16, 16, 16), num_streams=3)
    rotary = pipeline._prepare_rotary_positional_embeddings(64, 64, 3, torch.device("cpu"))
    timesteps = torch.tensor([[999, 10, 500], [3, 700, 700]])
    losses = []
    for _ in range(2):
        output = all_at_once(latents, torch.zeros(2, 48, 32), timesteps, image_rotary_emb=rotary).sample
        losses.append(sum(part.square().mean() for part in pipeline.streams.split(output).values()))
        optimizer.zero_grad()
        losses[-1].backward()
        optimizer.step()
    assert losses[1] < losses[0]
    assert all(weight.grad is not None and torch.isfinite(weight.grad).all() for weight in all_at_once.parameters())

    pipeline.save_pretrained(tmp_path)
    loaded = quiet(UDPDiffPipeline.from_pretrained(tmp_path))
    assert type(loaded.transformer) is UDPDiffTransformer3DModel
    assert loaded.streams == pipeline.streams and loaded.streams.names == ("video", "seg", "depth")
    expected = pipeline("a ball", generator=seeded(1), **CALL)
    output = loaded("a ball", generator=seeded(1), **CALL)
    assert torch.equal(output.frames, expected.frames) and set(output.dense) == {"seg", "depth"}
    for name in output.dense:
        assert torch.equal(output.dense[name].frames, expected.dense[name].frames)
    assert not torch.equal(output.dense["seg"].frames, output.dense["depth"].frames)


def test_each_stream_is_decoded_by_its_own_task(tiny_components, all_at_once):
    pipeline = quiet(UDPDiffPipeline(**tiny_components, transformer=all_at_once, **ROLES))
    output = pipeline("a ball", generator=seeded(1), **CALL | {"output_type": "np"})
    assert {name: dense.task for name, dense in output.dense.items()} == {"seg": "seg", "depth": "depth"}
    assert output.dense["seg"].prediction.dtype == np.uint16 and output.dense["depth"].prediction.dtype == np.float32
    assert output.dense["depth"].frames.shape == output.frames.shape == (1, 9, 64, 64, 3)
    for name in ("dense_frames", "prediction"):
        with pytest.raises(ValueError, match=r"\['seg', 'depth'\], expected one"):
            getattr(output, name)
    with pytest.raises(ValueError, match="expected None: this model makes"):
        pipeline("a ball", task="seg", **CALL)


def test_a_further_stream_leaves_the_videos_noise(tiny_components, tiny_transformer):
    """With nothing read from the dense streams, the video is the base's whatever their number."""
    frames = []
    for num_streams, streams in ((2, None), (3, STREAMS)):
        transformer = expand_transformer(tiny_transformer, 0, "zero", num_streams=num_streams)
        pipeline = quiet(UDPDiffPipeline(**tiny_components, transformer=transformer, tasks=TASKS, streams=streams))
        task = {} if streams else {"task": "seg"}
        frames.append(pipeline(["a ball", "a box"], generator=seeded(1, 2), **task, **CALL).frames)
    assert torch.equal(*frames)


def test_the_order_of_tasks_and_streams_survives_a_file(tiny_components, all_at_once, tmp_path):
    """Rows and channels follow it, and diffusers sorts what it writes."""
    UDPDiffPipeline(**tiny_components, transformer=all_at_once, **ROLES).save_pretrained(tmp_path)
    index = json.loads((tmp_path / "model_index.json").read_text())
    assert list(index["tasks"]) == list(index["streams"]) == ["seg", "depth"]
    assert list(UDPDiffPipeline.from_pretrained(tmp_path).config.tasks) == ["seg", "depth"]


@pytest.mark.parametrize("family", ["2b_sincos", "1.5_rope"])
@pytest.mark.parametrize("name", ["dense", "video"])
def test_a_stream_given_clean_stays_what_was_given(make_conditional, family, name):
    pipeline = make_conditional(family)
    clean = torch.randn(2, 3, 16, 16, 16, generator=torch.Generator().manual_seed(5))
    call = {"generator": seeded(1, 2), "task": "seg", **CALL}
    output = pipeline(["a ball", "a box"], conditions={name: clean}, **call)
    parts = {"video": output.frames, "dense": output.dense_frames}
    assert torch.equal(parts.pop(name), clean)
    other = parts.popitem()[1]
    assert torch.isfinite(other).all()

    alone = pipeline("a box", conditions={name: clean[1:]}, **call | {"generator": seeded(2)})
    torch.testing.assert_close({"video": alone.dense_frames, "dense": alone.frames}[name], other[1:], atol=1e-4, rtol=0)


def test_what_is_generated_depends_on_what_is_given_and_on_its_being_clean(make_conditional):
    pipeline = make_conditional()
    first, second = torch.randn(2, 1, 3, 16, 16, 16, generator=torch.Generator().manual_seed(5))

    def video(**conditions):
        return pipeline("a ball", generator=seeded(1), task="seg", conditions=conditions, **CALL).frames

    given = video(dense=first)
    assert (given - video(dense=second)).abs().max() > 1e-3
    torch.nn.init.zeros_(pipeline.transformer.time_embedding.stream_projections[0].weight)
    assert (given - video(dense=first)).abs().max() > 1e-3


def test_conditions_that_cannot_be_right_are_refused(make_conditional, tiny_components, tiny_transformer):
    pipeline, clean = make_conditional(), torch.zeros(1, 3, 16, 16, 16)
    for conditions, message in (
        ({"depth": clean}, "expected some of .'video', 'dense'."),
        ({"video": clean, "dense": clean}, "but not all"),
        ({"dense": clean[:, :2]}, r"shape \(1, 2, 16, 16, 16\), expected \(1, 3, 16, 16, 16\)"),
        ({"dense": torch.cat((clean, clean))}, r"shape \(2, .*, expected \(1, "),
    ):
        with pytest.raises(ValueError, match=message):
            pipeline("a ball", task="seg", conditions=conditions, **CALL)
    plain = UDPDiffPipeline(**tiny_components, transformer=expand_transformer(tiny_transformer, 2), tasks=TASKS)
    with pytest.raises(ValueError, match="independent_timesteps=True"):
        plain("a ball", task="seg", conditions={"dense": clean}, **CALL)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"streams": {"seg": ["seg"]}}, "one stream for all of them or one for each"),
        ({"streams": {"all": ["seg", "depth"], "none": []}}, "one stream for all of them or one for each"),
        ({"streams": {"video": ["seg"], "depth": ["depth"]}}, "every name once"),
        ({"streams": None}, r"48 input and 48 output channels for 3 stream.*expected 32"),
        ({"task_condition": "text"}, "a prompt names one task"),
    ],
)
def test_streams_that_cannot_be_right_are_refused(tiny_components, all_at_once, change, message):
    with pytest.raises(ValueError, match=message):
        UDPDiffPipeline(**tiny_components, transformer=all_at_once, **ROLES | change)
