"""Benchmark (b) at tiny size: the forced schedule, what is counted, what is recommended, the command."""

from __future__ import annotations

import argparse
import functools
import json
import sys
import time

import pytest
import torch

from benchmarks import acceleration, clock, shapes
from benchmarks.caches import Passes, compile_blocks, force, shared_copy, spread, to_fp8
from benchmarks.counted import work_ratio
from benchmarks.deviation import HIT_RATE, VIDEO_FIGURE, Deviation, Variant, no_farther, recommended
from udpdiff import UDPDiffPipeline
from udpdiff.model.expansion import expand_transformer
from udpdiff.storage.sealed import seal_folder
from udpdiff.timing import timed

OPTIONS = {"height": 64, "width": 64, "num_frames": 9, "guidance_scale": 3.0, "output_type": "latent", "task": "depth"}


@pytest.fixture
def pipeline(tiny_components, make_tiny_transformer) -> UDPDiffPipeline:
    return shapes.our_pipeline(tiny_components, expand_transformer(make_tiny_transformer(), 2))


def sampled(pipeline, steps: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return pipeline("a red ball", generator=generator, num_inference_steps=steps, **OPTIONS).frames


@pytest.mark.parametrize("steps, hit_rate, answered", [(50, 0.5, 25), (50, 0.0, 0), (10, 1.0, 9), (10, 0.34, 3)])
def test_a_schedule_answers_as_many_steps_as_asked_and_never_the_first(steps, hit_rate, answered):
    schedule = spread(steps, hit_rate)
    assert len(schedule) == steps and sum(schedule) == answered and not schedule[0]


@pytest.mark.parametrize("method", ["first_block_cache", "mag_cache"])
@pytest.mark.parametrize("hit_rate", [0.0, 0.3, 0.7])
def test_the_schedule_is_obeyed_in_every_call(pipeline, method, hit_rate):
    schedule = spread(10, hit_rate)
    force(pipeline, method, schedule)
    for _ in range(2):
        with Passes(pipeline.transformer) as passes:
            sampled(pipeline, 10)
        assert [not computed for computed in passes.steps] == schedule
        assert passes.hit_rate == pytest.approx(sum(schedule) / 10)


def test_a_shared_copy_has_the_weights_and_its_own_hooks(pipeline):
    own = shared_copy(pipeline.transformer)
    pairs = zip(own.parameters(), pipeline.transformer.parameters(), strict=True)
    assert all(first is second for first, second in pairs)
    plain = sampled(pipeline, 5)
    force(pipeline, "mag_cache", spread(5, 0.5))
    assert not torch.equal(sampled(pipeline, 5), plain)
    assert not own.is_cache_enabled
    pipeline.transformer.disable_cache()
    assert torch.equal(sampled(pipeline, 5), plain)


def deviation(hits: float, psnr: float, iou: tuple[float, ...] = (0.9, 0.5, 0.7)) -> Deviation:
    figures = {VIDEO_FIGURE: [psnr - 1, psnr, psnr + 1], "entity IoU": [*iou], "depth delta-1": [0.9, 0.8, 0.9]}
    return Deviation({HIT_RATE: [hits]} | figures)


def test_the_variant_with_the_most_hits_that_leads_no_farther_off_is_recommended():
    chosen = [Variant(name, "mag_cache", threshold) for name, threshold in (("a", 0.1), ("b", 0.2), ("c", 0.3))]
    found = {"a": deviation(0.2, 40), "b": deviation(0.4, 31), "c": deviation(0.6, 20), "half": deviation(0, 30)}
    assert recommended("mag_cache", chosen, found, "half").name == "b"
    assert recommended("mag_cache", chosen, found | {"half": deviation(0, 50)}, "half").name == "a"
    assert no_farther(deviation(0.5, 31, (0.9, 0.4, 0.8)), found["half"]), "within chance, prompt by prompt"
    assert no_farther(found["b"], found["half"]) and not no_farther(found["c"], found["half"])


def test_work_is_counted_on_the_networks():
    shape = shapes.SHAPES["mini"]
    decoded = work_ratio(shape, 50, 1.0, 0.0, 50) - 1
    assert 0 < decoded < 1, "a second stream to decode"
    half = work_ratio(shape, 25, 1.0, 0.0, 50)
    assert half == pytest.approx(work_ratio(shape, 50, 0.5, 0.0, 50)) and half < work_ratio(shape, 50, 0.5, 0.1, 50)


def test_processor_time_counts_for_all_timings(monkeypatch):
    monkeypatch.setattr(time, "perf_counter", time.perf_counter)
    parser = argparse.ArgumentParser()
    clock.add_option(parser)
    assert parser.parse_args([]).processor_time is False and time.perf_counter is not time.process_time
    assert parser.parse_args(["--processor-time"]).processor_time is True
    seconds = {}
    with timed(seconds, "asleep"):
        time.sleep(0.2)
    assert seconds["asleep"] < 0.1


def test_compiled_blocks_say_the_same(pipeline, monkeypatch):
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend="eager"))
    for method in (None, "mag_cache", "faster_cache"):
        transformer = shared_copy(pipeline.transformer)
        compile_blocks(transformer, method)
        plain = sampled(pipeline, 4)
        parts = {name: part for name, part in pipeline.components.items() if name != "transformer"}
        compiled = shapes.our_pipeline(parts, transformer)
        if method == "mag_cache":
            force(compiled, method, [False] * 4)
        torch.testing.assert_close(sampled(compiled, 4), plain)


def test_float8_without_torchao_is_one_clear_error(pipeline, monkeypatch):
    monkeypatch.setitem(sys.modules, "torchao.quantization", None)
    with pytest.raises(ValueError, match="torchao"):
        to_fp8(pipeline.transformer)


def test_the_command_says_which_number_comes_from_where(tmp_path, pipeline, monkeypatch):
    monkeypatch.setattr(shapes, "SHAPES", {"mini": shapes.SHAPES["mini"]})  # counting at the large ones takes long
    pipeline.save_pretrained(tmp_path / "multi")
    recipe = {
        "run": "multi",
        "base": "none",
        "export": "pipeline",
        "task_condition": "embedding",
        "tasks": shapes.TASKS,
    }
    (tmp_path / "multi" / "run.json").write_text(json.dumps(recipe))
    seal_folder(tmp_path / "multi")
    words = f"--run {tmp_path}/multi --prompts 2 --batch-size 1 --steps 4 --repeats 1 --device cpu --dtype float32"
    words += f" --modes eager --precisions bf16 --output {tmp_path}/results.md"
    acceleration.main(words.split())
    text = (tmp_path / "results.md").read_text()
    assert "From the trained run `multi`" in text and "From random weights of shape mini" in text
    assert ", forced |" in text and "A projection" in text
    assert len([line for line in text.splitlines() if line.startswith("| video + dense, ")]) == 5
    assert len([line for line in text.splitlines() if line.startswith("| MagCache ")]) == 4 + 1
    assert "work at mini" in text
