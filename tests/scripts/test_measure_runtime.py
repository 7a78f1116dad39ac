"""Sampling of several runs is timed in turns; stubs say how long a call takes."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from figure_files import check_record

from scripts import measure_runtime
from udpdiff import jobs
from udpdiff.config.data import ClipSize
from udpdiff.files import file_sha256
from udpdiff.model import runtime


class Clock:
    """Seconds that pass only when a stub says so."""

    now = 0.0

    def pass_by(self, seconds: float) -> None:
        self.now += seconds


class TimedPipeline:
    """Takes 1 s for text, 2 s for the decoder, `seconds` between, 50 s for a prediction; 10 times as long at first."""

    transformer = SimpleNamespace(config=SimpleNamespace(max_text_seq_length=48))
    _execution_device = torch.device("cpu")

    def __init__(self, clock: Clock, seconds: float, calls: list) -> None:
        self.clock, self.seconds, self.calls, self.slowness = clock, seconds, calls, 10

    def set_progress_bar_config(self, disable: bool) -> None: ...

    def encode_prompt(self) -> None:
        self.clock.pass_by(self.slowness)

    def decode_latents(self) -> None:
        self.clock.pass_by(2 * self.slowness)

    def __call__(self, prompt, task=None, generator=None, decode_prediction=True, **others) -> None:
        self.calls.append((self.seconds, task, generator.initial_seed(), others["num_inference_steps"]))
        self.encode_prompt()
        self.clock.pass_by(self.slowness * self.seconds)
        self.decode_latents()
        self.clock.pass_by(50 if decode_prediction and task else 0)
        self.slowness = 1


class Card:
    """A device that says which transformers are on it."""

    def __init__(self) -> None:
        self.held, self.log = set(), []

    def put(self, name: str, device: str) -> None:
        (self.held.discard if device == "cpu" else self.held.add)(name)
        self.log.append((name, device))


def test_on_a_gpu_one_transformer_is_there_at_a_time(monkeypatch):
    """And each call begins with the weights just come."""
    clock, card, calls = Clock(), Card(), []

    class Placed(TimedPipeline):
        def __init__(self, name: str) -> None:
            super().__init__(clock, 3.0, calls)
            config = SimpleNamespace(max_text_seq_length=48)
            self.name, self.transformer = name, SimpleNamespace(config=config, to=lambda place: card.put(name, place))

        def to(self, device: str) -> None:
            card.put(self.name, device)

        def __call__(self, *values, **named) -> None:
            assert card.held == {self.name} and card.log[-1] == (self.name, "cuda")
            super().__call__(*values, **named)

    places = []
    monkeypatch.setattr(
        runtime, "load_run", lambda folder, dtype, place, *_: places.append(place) or Placed(str(folder))
    )
    runs = (("base", "video"), ("depth", "depth"), ("multi", "depth"))
    size = ClipSize(height=64, width=64, num_frames=5, fps=8)
    job = jobs.MeasureRuntime(
        runs=runs, seed=7, repeats=2, num_inference_steps=10, guidance_scale=3.0, dtype="bfloat16", size=size
    )
    found = runtime.time_runs(job, jobs.Execution(device="cuda"), [run for run, _ in runs])
    assert [len(own) for own in found] == [2, 2, 2] and places == ["cpu"] * 3 and not card.held
    turns = [name for name, device in card.log if device == "cuda"]
    assert turns == ["base", "depth", "multi"] * 3, "turns, call by call"


def test_runs_are_timed_in_turns_without_the_first_round_and_without_decoding(monkeypatch, tmp_path):
    clock, calls = Clock(), []
    seconds = {"base": 3.0, "multi": 5.0}
    monkeypatch.setattr(time, "perf_counter", lambda: clock.now)
    monkeypatch.setattr(runtime, "load_run", lambda folder, *_: TimedPipeline(clock, seconds[Path(folder).name], calls))
    job = jobs.MeasureRuntime(
        runs=(("base", "video"), ("multi", "depth")),
        seed=7,
        repeats=2,
        num_inference_steps=10,
        guidance_scale=3.0,
        dtype="float32",
        size=ClipSize(height=64, width=64, num_frames=5, fps=8),
    )
    outputs = [tmp_path / "base.json", tmp_path / "multi.json"]
    words = ["--job", job.dump(), "--execution", jobs.Execution(device="cpu").dump()]
    runs = [tmp_path / "runs" / name for name in seconds]
    for number, folder in enumerate(runs):
        (folder / "transformer").mkdir(parents=True)
        (folder / "transformer/model.safetensors").write_bytes(bytes([number]))
        (folder / "run.json").write_text(json.dumps({"base": "mini:cogvideox"}))
    words += ["--runs", *map(str, runs), "--runtimes", *map(str, outputs)]
    monkeypatch.setattr(sys, "argv", ["measure_runtime", *words])
    measure_runtime.main()
    assert calls == [(s, t, number, 10) for number in range(3) for s, t in ((3.0, None), (5.0, "depth"))]
    for path, (run, task), own in zip(outputs, job.runs, seconds.values(), strict=True):
        document = json.loads(path.read_text())
        assert (document["run"], document["task"], document["seed"], document["n"]) == (run, task, 7, 2)
        measured = {name: entry["value"] for name, entry in document["metrics"].items()}
        assert measured["runtime_seconds"] == pytest.approx(own + 3)
        assert measured["runtime_transformer_seconds"] == pytest.approx(own)
        assert measured["runtime_text_encoder_seconds"] == pytest.approx(1)
        assert measured["runtime_vae_seconds"] == pytest.approx(2)
        assert "CPU" in document["metrics"]["runtime_seconds"]["extractor"]
        told = check_record(path)
        assert {role: network.name for role, [network] in told.networks.items()} == {
            "transformer": run, "text_encoder": "mini:cogvideox", "vae": "mini:cogvideox",
        }  # fmt: skip
        assert told.networks["transformer"][0].sha256 == file_sha256(
            tmp_path / f"runs/{run}/transformer/model.safetensors"
        )
        assert told.seeds == {"noise of each round": [1, 2]} and told.clip_ids == document["clips"]
