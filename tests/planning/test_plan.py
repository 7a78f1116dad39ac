"""The plan's arithmetic: measured before cited, cited only where the source speaks of the same, else not known."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from udpdiff.config import DepthCrafterEstimator
from udpdiff.planning import counted_encoding
from udpdiff.planning.cited_speeds import cited_speed
from udpdiff.planning.counted_encoding import encoding_speed, latent_bytes, prompt_bytes, prompt_speed
from udpdiff.planning.counted_work import counted_speed, read_shape
from udpdiff.planning.plan import Speed, StagePlan, labeller_speed, plan_table, raw_label_bytes
from udpdiff.throughput import Throughput, combined, read_throughputs, write_throughput

ROOT = Path(__file__).parents[2]
SIZE = {"num_frames": 49, "height": 480, "width": 720}
CRAFTER = {
    "model": "depthcrafter",
    "checkpoint": "tencent/DepthCrafter",
    "num_inference_steps": 5,
    "guidance_scale": 1.0,
    "max_side": 1024,
}
RECORD = Throughput("depth", CRAFTER, SIZE, 100, 300.0, 340.0, 360.0, "A GPU", 8.0, 2.0)


@pytest.mark.parametrize(("height", "width", "milliseconds"), [(576, 1024, 465.84), (256, 512, 1000 / 8.6)])
def test_depthcrafter_at_the_sizes_that_its_readme_names(height, width, milliseconds):
    cited = cited_speed("depth", CRAFTER, {"height": height, "width": width})
    assert cited.seconds_per_frame == pytest.approx(milliseconds / 1000)
    assert "A100" in cited.source


def test_depthcrafter_between_them_at_the_size_that_the_network_sees():
    slow, fast = (cited_speed("depth", CRAFTER, size).seconds_per_frame for size in (SIZE, SIZE | {"height": 300}))
    assert 1 / 8.6 < fast < slow < 0.46584
    shrunk = cited_speed("depth", CRAFTER | {"max_side": 512}, SIZE | {"height": 288, "width": 512})
    assert shrunk == cited_speed("depth", CRAFTER, SIZE | {"height": 288, "width": 512})


@pytest.mark.parametrize(
    "settings", [CRAFTER | {"num_inference_steps": 25}, CRAFTER | {"guidance_scale": 1.2}, CRAFTER | {"checkpoint": "mini:depthcrafter"}, {"model": "depth_anything", "checkpoint": "mini:depth_anything"}]
)  # fmt: skip
def test_no_number_where_no_source_speaks_of_it(settings):
    assert cited_speed("depth", settings, SIZE) is None
    assert labeller_speed("depth", settings, SIZE, []) is None


def test_the_papers_scale_takes_hours_from_sources():
    labels = yaml.safe_load((ROOT / "slurm/paper.yaml").read_text())["labels"]
    tracker = cited_speed("entities", {"tracker": labels["tracker"]}, SIZE)
    assert tracker.bound and 1 / tracker.seconds_per_frame == pytest.approx(24.2)
    crafter = labeller_speed("depth", DepthCrafterEstimator(**labels["depth"]["depthcrafter"]).model_dump(), SIZE, [])
    # 300,000 clips of 49 frames at 512 x 704: between the 475 hours of 512 x 256 and the 1,902 of 1024 x 576.
    assert 475 < 300_000 / crafter.clips_per_hour < 1902
    assert crafter.origin == "cited"


def test_measured_comes_before_cited_for_the_same_settings_and_size_alone():
    measured = labeller_speed("depth", CRAFTER, SIZE, [RECORD])
    assert (measured.origin, measured.clips_per_hour) == ("measured", 1000.0)
    assert "100 clips on A GPU, 83% of the time in the model" in measured.basis
    for other in ({"size": SIZE | {"width": 64}}, {"settings": CRAFTER | {"max_side": 512}}, {"stage": "entities"}):
        assert labeller_speed("depth", CRAFTER, SIZE, [replace(RECORD, **other)]).origin == "cited"


def test_records_of_one_device_add_up():
    other = replace(RECORD, clips=150, device="a CPU", total_seconds=9000.0, peak_gpu_gb=None)
    summed = combined([RECORD, other, replace(RECORD, peak_gpu_gb=9.0)])
    assert (summed.device, summed.clips, summed.total_seconds, summed.peak_gpu_gb) == ("A GPU", 200, 720.0, 9.0)
    assert combined([other]).peak_gpu_gb is None and combined([]) is None


def test_records_are_read_from_jobs_and_from_the_benchmark(tmp_path):
    write_throughput(tmp_path / "benchmarks/estimate_depth/depthcrafter-train-0.json", RECORD)
    (tmp_path / "throughput.json").write_text(json.dumps({"versions": {}, "labellers": [asdict(RECORD)]}))
    assert read_throughputs(tmp_path / "benchmarks", tmp_path / "throughput.json") == [RECORD, RECORD]
    assert read_throughputs(tmp_path / "none", tmp_path / "none.json") == []


def test_table_says_of_each_figure_where_it_is_from():
    stages = [
        StagePlan("depth/one", 3, 300_000, Speed(1000.0, "measured", "here"), 2e6, True),
        StagePlan("depth/two", 3, 300_000, Speed(500.0, "cited", "there", bound=True), raw_label_bytes(SIZE)),
        StagePlan("captions", 3, 300_000),
    ]
    lines = plan_table(stages).splitlines()
    rows = {line.split("  ")[0]: " ".join(line.split()) for line in lines}
    assert rows["depth/one"] == "depth/one 3 300,000 1,000 300 600 measured [1]"
    assert rows["depth/two"] == "depth/two 3 300,000 < 500 > 600 < 10,161 cited [2]"
    assert rows["captions"] == "captions 3 300,000 - - - not known"
    assert lines[-2:] == ["[1] measured: here.", "[2] cited: there."]


def test_counted_work_is_what_a_flop_counter_sees():
    """On the mini transformer itself, without data; what the count leaves out is small even at that size."""
    import torch
    from diffusers import CogVideoXTransformer3DModel
    from torch.utils.flop_counter import FlopCounterMode

    from udpdiff import checkpoints

    folder = f"{checkpoints.resolve('mini:cogvideox')}/transformer"
    with torch.device("meta"):
        model = CogVideoXTransformer3DModel.from_config(CogVideoXTransformer3DModel.load_config(folder))
        latents, prompt = torch.empty(1, 3, 16, 16, 16), torch.empty(1, 48, 128)
        with FlopCounterMode(display=False) as counter:
            model(latents, prompt, torch.empty(1))
    shape = read_shape("mini:cogvideox")
    size = {"num_frames": 9, "height": 64, "width": 64}
    assert shape.tokens(size) == 48 + 3 * 64
    assert shape.forward_flops(size) == pytest.approx(counter.get_total_flops(), rel=0.05)


def test_the_papers_training_and_sampling_are_counted():
    shape = read_shape("THUDM/CogVideoX-5b")
    assert (shape.width, shape.blocks, shape.tokens(SIZE)) == (3072, 42, 226 + 13 * 30 * 45)
    training = counted_speed("THUDM/CogVideoX-5b", SIZE, 4, "4 passes")
    sampling = counted_speed("THUDM/CogVideoX-5b", SIZE, 100, "100 passes")
    assert training.origin == "counted" and "H100" in training.basis
    assert training.clips_per_hour == pytest.approx(25 * sampling.clips_per_hour)
    assert counted_speed("someone/another-base", SIZE, 4, "4 passes") is None
    small = {"num_frames": 9, "height": 64, "width": 64}
    assert counted_speed("mini:cogvideox", small, 4, "4 passes") is None, "too little work for the share assumed"


def test_the_papers_encoding_is_counted():
    base, gated_layer = "THUDM/CogVideoX-5b", 4 * 4096 * 4096 + 3 * 4096 * 10240  # weights of a layer of T5-XXL
    once, thrice = (encoding_speed(base, SIZE, maps) for maps in (1, 3))
    assert once.clips_per_hour == pytest.approx(3 * thrice.clips_per_hour)
    assert "TFLOP" in once.basis and "3 passes of the VAE" in thrice.basis
    prompts = prompt_speed(base, 2)
    hours = 2 * 226 * 24 * 2 * gated_layer / (0.4 * 989e12) / 3600
    assert 1 / prompts.clips_per_hour == pytest.approx(hours, rel=0.02)  # attention itself is the rest
    assert encoding_speed("someone/another-base", SIZE, 1) is None and prompt_speed("someone/another-base", 2) is None
    assert encoding_speed("mini:cogvideox", {"num_frames": 9, "height": 64, "width": 64}, 1) is None, "too little work"


def test_encoding_is_counted_as_the_real_vae_does_it():
    from torch.utils.flop_counter import FlopCounterMode

    from udpdiff import checkpoints
    from udpdiff.model.latents import encode_videos, load_vae

    vae = load_vae(checkpoints.resolve("mini:cogvideox"), "cpu")
    with FlopCounterMode(display=False) as counter:
        latents = encode_videos(vae, np.zeros((1, 9, 64, 64, 3), np.uint8))
    assert counted_encoding._vae_flops("mini:cogvideox", 9, 64, 64) == counter.get_total_flops()
    assert latent_bytes("mini:cogvideox", {"num_frames": 9, "height": 64, "width": 64}, 1) == latents.size * 2


def test_the_papers_cache_is_counted():
    base = "THUDM/CogVideoX-5b"
    assert latent_bytes(base, SIZE, 3) == 3 * 13 * 16 * 60 * 90 * 2
    assert prompt_bytes(base, 2) == 2 * 226 * 4096 * 2
