"""Prompts and sampling as jobs, with a stub network that shows which prompt and noise made what."""

from __future__ import annotations

import errno
import json
import os
import sys
from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from diffusers import CogVideoXPipeline
from safetensors.torch import load_file, save_file

from scripts import encode_text, sample
from udpdiff import UDPDiffPipeline, jobs
from udpdiff.config.data import ClipSize
from udpdiff.model import sampling
from udpdiff.model.expansion import expand_transformer
from udpdiff.model.output import DenseOutput, UDPDiffPipelineOutput
from udpdiff.model.text import PromptEncoder
from udpdiff.storage.captions import Caption, CaptionWriter
from udpdiff.storage.coarse_values import on_grid
from udpdiff.storage.errors import StorageError
from udpdiff.storage.sealed import seal_folder
from udpdiff.storage.shards import ShardReader
from udpdiff.tasks import task_prompt
from udpdiff.video_io import decode_mp4

EXECUTION = jobs.Execution(device="cpu")
SIZE = ClipSize(height=64, width=64, num_frames=5, fps=8)
SAMPLE = jobs.Sample(
    run="multi",
    task="depth",
    first=0,
    count=5,
    caption="detailed",
    num_inference_steps=10,
    guidance_scale=3.0,
    seed=1234,
    batch_size=2,
    dtype="float32",
    codec="lossless",
    size=SIZE,
)
CONFIG = SimpleNamespace(max_text_seq_length=48)


@pytest.fixture
def tables(tmp_path) -> list[str]:
    """Five captions in two tables; a clip between them was rejected."""
    paths = [tmp_path / f"{number}.parquet" for number in (0, 1)]
    for path, names in zip(paths, (("e", "d", "c"), ("b", "a")), strict=True):
        with CaptionWriter(path, {}) as table:
            if path is paths[1]:
                table.reject("x", "too dark")
            for name in names:
                table.add(name, Caption(f"a red ball {name}", "s", 5), Caption(f"a large blue box {name}", "s", 6))
    return [str(path) for path in paths]


def run_script(monkeypatch, script, job, *arguments) -> None:
    words = ["--job", job.dump(), "--execution", EXECUTION.dump(), *map(str, arguments)]
    monkeypatch.setattr(sys, "argv", [script.__name__, *words])
    script.main()


@dataclass
class NoisePipeline:
    """Its video is the first noise of each generator, its colormap the negative, its prediction the red channel."""

    calls: list[dict] = field(default_factory=list)
    die_at: int | None = None
    transformer = SimpleNamespace(config=CONFIG)

    def set_progress_bar_config(self, disable: bool) -> None: ...

    def __call__(self, prompt, generator, height, width, num_frames, task=None, **others):
        self.calls.append({"prompt": prompt, "task": task, **others})
        if len(self.calls) == self.die_at:
            raise KeyboardInterrupt
        frames = np.stack([torch.rand(num_frames, height, width, 3, generator=own).numpy() for own in generator])
        if task is None:
            return SimpleNamespace(frames=frames)
        return UDPDiffPipelineOutput(frames, {"dense": DenseOutput(1 - frames, frames[..., 0], task)})


@pytest.fixture
def pipeline(monkeypatch, tmp_path) -> NoisePipeline:
    stub = NoisePipeline()
    monkeypatch.setattr(sampling, "load_run", lambda *_: stub)
    (tmp_path / "multi" / "transformer").mkdir(parents=True)
    (tmp_path / "multi" / "transformer" / "model.safetensors").write_bytes(b"weights")
    seal_folder(tmp_path / "multi")
    return stub


def sampled(monkeypatch, tmp_path, tables, name: str = "0", **changes) -> list[ShardReader]:
    """The shards that the script writes for a job."""
    job = SAMPLE.model_copy(update=changes)
    outputs = {"--clips": tmp_path / f"{name}.clips.h5", "--predictions": tmp_path / f"{name}.dense.h5"}
    if job.task == "video":
        del outputs["--predictions"]
    words = [word for pair in outputs.items() for word in pair]
    run_script(monkeypatch, sample, job, "--run", tmp_path / "multi", "--captions", *tables, *words)
    return [ShardReader(path) for path in outputs.values()]


def noise(number: int) -> np.ndarray:
    return torch.rand(5, 64, 64, 3, generator=torch.Generator().manual_seed(1234 + number)).numpy()


def test_every_prompt_gets_its_own_noise_and_becomes_a_clip(monkeypatch, tmp_path, tables, pipeline):
    clips, predictions = sampled(monkeypatch, tmp_path, tables)
    prompts = [f"a large blue box {name}" for name in "edcba"]
    assert clips.clip_ids == predictions.clip_ids == list("edcba")
    assert [call["prompt"] for call in pipeline.calls] == [prompts[:2], prompts[2:4], prompts[4:]]
    assert all(call["task"] == "depth" and call["num_inference_steps"] == 10 for call in pipeline.calls)
    assert all(call["guidance_scale"] == 3.0 and call["max_sequence_length"] == 48 for call in pipeline.calls)
    for number, name in enumerate("edcba"):
        video, dense = np.rint(noise(number) * 255), np.rint((1 - noise(number)) * 255)
        np.testing.assert_array_equal(decode_mp4(clips.read(name, "video_mp4")), video)
        np.testing.assert_array_equal(decode_mp4(predictions.read(name, "dense_mp4")), dense)
        stored = predictions.read(name, "prediction")
        assert stored.dtype == np.uint16
        np.testing.assert_array_equal(stored, np.rint(noise(number)[..., 0] * 65535))
        assert predictions.read(name, "prompt") == clips.read(name, "brief") == clips.read(name, "detailed")
        assert clips.read(name, "detailed") == prompts[number] and clips.read(name, "source_id") == "multi"
    assert clips.attrs["source"] == "samples" and clips.attrs["job"] == SAMPLE.model_dump(mode="json")
    assert {name: clips.attrs[name] for name in ("height", "width", "num_frames", "fps")} == SIZE.model_dump()
    assert (predictions.attrs["run"], predictions.attrs["task"], predictions.attrs["fps"]) == ("multi", "depth", 8)


def test_predictions_in_few_bits_are_the_same_rounded(monkeypatch, tmp_path, tables, pipeline):
    _, exact = sampled(monkeypatch, tmp_path, tables)
    _, small = sampled(monkeypatch, tmp_path, tables, "small", prediction_bits=8)
    assert small.attrs["coarse_bits"] == 8 and "coarse_bits" not in exact.attrs
    for clip_id in exact.clip_ids:
        values = exact.read(clip_id, "prediction")
        np.testing.assert_array_equal(small.read(clip_id, "prediction"), on_grid(values, 8))


def test_brief_captions_are_prompts_where_the_job_says_so(monkeypatch, tmp_path, tables, pipeline):
    sampled(monkeypatch, tmp_path, tables, caption="brief")
    assert pipeline.calls[0]["prompt"] == ["a red ball e", "a red ball d"]


def test_prompts_are_the_sources_words_beside_a_captioners(monkeypatch, tmp_path, tables, pipeline):
    with CaptionWriter(tmp_path / "0.parquet", {}) as table:
        table.add("e", Caption("A ball.", "s", 3), Caption("It rolls.", "captioner", 3), "A red ball rolls.")
    sampled(monkeypatch, tmp_path, [str(tmp_path / "0.parquet")])
    assert pipeline.calls[0]["prompt"] == ["A red ball rolls."]


def test_shards_and_batches_do_not_show(monkeypatch, tmp_path, tables, pipeline):
    whole = sampled(monkeypatch, tmp_path, tables, "whole")
    parts = [
        sampled(monkeypatch, tmp_path, tables, f"part{first}", first=first, count=3, batch_size=3) for first in (0, 3)
    ]
    for kind, reader in enumerate(whole):
        rows = {name: row for part in parts for name, row in part[kind].items()}
        assert list(rows) == reader.clip_ids
        for name, row in reader.items():
            assert all(np.array_equal(value, rows[name][key]) for key, value in row.items())


def test_a_shard_beyond_the_captions_is_empty(monkeypatch, tmp_path, tables, pipeline):
    clips, predictions = sampled(monkeypatch, tmp_path, tables, first=5)
    assert len(clips) == len(predictions) == 0 and not pipeline.calls


def test_a_model_without_dense_streams_makes_clips_alone(monkeypatch, tmp_path, tables, pipeline):
    [clips] = sampled(monkeypatch, tmp_path, tables, task="video", codec="h264")
    assert pipeline.calls[0]["task"] is None and clips.attrs["task"] == "video"
    video = decode_mp4(clips.read("e", "video_mp4"))
    assert not np.array_equal(video, np.rint(noise(0) * 255))  # H.264 blurs noise
    assert np.corrcoef(video.ravel(), noise(0).ravel())[0, 1] > 0.5


@pytest.mark.parametrize("half_written", [False, True])
def test_a_killed_job_goes_on_inside_the_shard(monkeypatch, tmp_path, tables, pipeline, half_written):
    whole = [reader.sha256 for reader in sampled(monkeypatch, tmp_path, tables, "whole")]
    pipeline.calls.clear()
    if half_written:  # the last clip of the first batch is in one of the two shards alone
        add = sampling.ShardWriter.add
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(
                sampling.ShardWriter,
                "add",
                lambda *row: _die() if row[1] == "d" and "prompt" in row[2] else add(*row),
            )
            sampled(patch, tmp_path, tables)
    else:
        pipeline.die_at = 2
        with pytest.raises(KeyboardInterrupt):
            sampled(monkeypatch, tmp_path, tables)
    assert not (tmp_path / "0.clips.h5").exists()
    done = len(pipeline.calls)
    again = sampled(monkeypatch, tmp_path, tables)
    assert [reader.sha256 for reader in again] == whole
    assert len(pipeline.calls) - done == (3 if half_written else 2)


def _die():
    raise KeyboardInterrupt


def test_a_disk_that_refuses_the_clips_at_the_end_costs_no_sample(monkeypatch, tmp_path, tables, pipeline):
    """Space is promised and then refused, as on file systems with quotas; Snakemake removes a failed job's outputs."""

    def refuse(descriptor):
        if os.readlink(f"/proc/self/fd/{descriptor}").endswith("clips.h5.partial"):
            raise OSError(errno.EDQUOT, "Disk quota exceeded")

    with monkeypatch.context() as patch, pytest.raises(StorageError, match="quota"):
        patch.setattr(os, "fsync", refuse)
        sampled(patch, tmp_path, tables)
    for name in ("0.clips.h5", "0.dense.h5"):
        (tmp_path / name).unlink(missing_ok=True)
    made = len(pipeline.calls)
    sampled(monkeypatch, tmp_path, tables)
    assert len(pipeline.calls) == made == 3


def test_samples_of_other_weights_are_not_taken_over(monkeypatch, tmp_path, tables, pipeline):
    pipeline.die_at = 2
    with pytest.raises(KeyboardInterrupt):
        sampled(monkeypatch, tmp_path, tables)
    (tmp_path / "multi" / "transformer" / "model.safetensors").write_bytes(b"trained anew")
    seal_folder(tmp_path / "multi")
    with pytest.warns(UserWarning, match="other attributes"):
        sampled(monkeypatch, tmp_path, tables)
    assert len(pipeline.calls) == 2 + 3


def test_frames_that_are_not_finite_stop_the_job(monkeypatch, tmp_path, tables, pipeline):
    monkeypatch.setattr(torch, "rand", lambda *shape, generator: torch.full(shape, torch.nan))
    with pytest.raises(ValueError, match=r"sampling\.dtype: got 'float16', in which the frames are not finite"):
        sampled(monkeypatch, tmp_path, tables, dtype="float16")
    assert not (tmp_path / "0.clips.h5").exists()


@pytest.mark.parametrize("task", ["video", "depth"])
@pytest.mark.parametrize(
    ("part", "what"), [("transformer", "latents after step 1 of 2"), ("vae", "frames that the VAE")]
)
def test_an_exported_run_that_overflows_stops_the_job(
    monkeypatch, tmp_path, tables, tiny_components, tiny_transformer, task, part, what
):
    """The base's too, which diffusers' own pipeline samples: infinite frames are clamped to white ones there."""
    exported = exported_run(tmp_path / "multi", tiny_components, tiny_transformer)
    if task == "video":
        exported = CogVideoXPipeline(**tiny_components, transformer=tiny_transformer)
        exported.save_pretrained(tmp_path / "multi")
        recipe = {"run": "base", "base": "none", "export": "pipeline", "tasks": {}}
        (tmp_path / "multi" / "run.json").write_text(json.dumps(recipe))
    weights = {"transformer": "proj_out.bias", "vae": "decoder.conv_out.conv.bias"}[part]
    file = tmp_path / "multi" / part / "diffusion_pytorch_model.safetensors"
    save_file(load_file(file) | {weights: torch.full_like(load_file(file)[weights], 1e30)}, file)
    seal_folder(tmp_path / "multi")
    changes = {"count": 1, "num_inference_steps": 2, "dtype": "float16", "task": task}
    changes["size"] = ClipSize(height=64, width=64, num_frames=9, fps=8)
    with pytest.raises(ValueError, match=rf"sampling\.dtype: got 'float16', in which the {what}.*bfloat16"):
        sampled(monkeypatch, tmp_path, tables, **changes)
    assert not (tmp_path / "0.clips.h5").exists()


def exported_run(folder, components, transformer) -> UDPDiffPipeline:
    """A pipeline that lies in the folder as a run's export."""
    tasks = {"depth": "spectral", "seg": "pixelplanes"}
    exported = UDPDiffPipeline(**components, transformer=expand_transformer(transformer, 2), tasks=tasks)
    exported.save_pretrained(folder)
    recipe = {"run": "multi", "base": "none", "export": "pipeline", "task_condition": "embedding", "tasks": tasks}
    (folder / "run.json").write_text(json.dumps(recipe))
    seal_folder(folder)
    return exported


def test_an_exported_run_is_sampled(monkeypatch, tmp_path, tables, tiny_components, tiny_transformer):
    """The real pipeline, loaded from its folder."""
    exported = exported_run(tmp_path / "multi", tiny_components, tiny_transformer)
    size = ClipSize(height=64, width=64, num_frames=9, fps=8)
    changes = {"first": 1, "count": 2, "num_inference_steps": 2, "size": size}
    for task, dtype in (("seg", np.uint16), ("depth", np.uint16)):
        clips, predictions = sampled(monkeypatch, tmp_path, tables, task, **changes, task=task)
        assert clips.clip_ids == ["d", "c"]
        assert predictions.read("d", "prediction").shape == (9, 64, 64)
        assert predictions.read("d", "prediction").dtype == dtype
        exported.set_progress_bar_config(disable=True)
        options = {"num_inference_steps": 2, "guidance_scale": 3.0, "output_type": "np", "task": task}
        alone = exported("a large blue box c", generator=torch.Generator().manual_seed(1234 + 2), **options)
        video = decode_mp4(clips.read("c", "video_mp4")).astype(int)
        assert np.abs(video - alone.frames[0] * 255).max() <= 1


@pytest.mark.parametrize("acceleration, threshold", [("mag_cache", 9.0), ("faster_cache", None)])
def test_an_accelerated_job_has_other_samples_and_the_same_each_time(
    monkeypatch, tmp_path, tables, tiny_components, tiny_transformer, acceleration, threshold
):
    exported_run(tmp_path / "multi", tiny_components, tiny_transformer)
    size = ClipSize(height=64, width=64, num_frames=9, fps=8)
    changes = {"count": 1, "size": size}
    plain, _ = sampled(monkeypatch, tmp_path, tables, "plain", **changes)
    changes |= {"acceleration": acceleration, "acceleration_threshold": threshold}
    first, dense = sampled(monkeypatch, tmp_path, tables, "first", **changes)
    again, _ = sampled(monkeypatch, tmp_path, tables, "again", **changes)
    assert plain.read("e", "video_mp4") != first.read("e", "video_mp4") == again.read("e", "video_mp4")
    assert dense.attrs["job"]["acceleration"] == acceleration


@pytest.mark.parametrize("task", [None, "depth"])
def test_captions_are_encoded_in_the_style_of_their_prompts(monkeypatch, tmp_path, tables, task):
    output = tmp_path / "text.h5"
    job = jobs.EncodeText(base="mini:cogvideox", dtype="float32", task=task)
    run_script(monkeypatch, encode_text, job, "--captions", tables[1], "--text", output)
    shard = ShardReader(output)
    assert shard.attrs["text_style"] == (task or "plain") and shard.attrs["job"] == job.model_dump()
    assert shard.clip_ids == ["", "b", "a"] and [entry["clip_id"] for entry in shard.rejected] == ["x"]
    encoder = PromptEncoder.from_pretrained("mini:cogvideox", "cpu")
    texts = {"brief": "a red ball b", "detailed": "a large blue box b"}
    for kind, text in texts.items():
        [expected] = encoder.encode([task_prompt(text, task) if task else text])
        np.testing.assert_allclose(shard.read("b", kind), expected, atol=2e-3)
        assert not np.allclose(shard.read("a", kind), expected, atol=2e-3)
    [empty] = encoder.encode([""])
    np.testing.assert_allclose(shard.read("", "brief"), empty, atol=2e-3)


def test_captions_that_are_all_rejected_stop_before_a_model_is_loaded(tmp_path):
    with CaptionWriter(tmp_path / "0.parquet", {}) as table:
        table.reject("x", "looping caption")
    with pytest.raises(ValueError, match="got no caption of the evaluation split"):
        sampling.sample_shard(SAMPLE, EXECUTION, tmp_path / "no run", [tmp_path / "0.parquet"], tmp_path / "0.h5")
    assert not (tmp_path / "0.h5").exists()
