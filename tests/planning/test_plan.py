"""The plan's arithmetic: measured before cited, cited only where the source speaks of the same, else not known."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from udpdiff import config_parsing, workflow_jobs
from udpdiff.checkpoints import resolve
from udpdiff.planning import counted_work
from udpdiff.planning.counted_work import encoding_speed, latent_bytes, prompt_bytes, prompt_speed, transformer_speed
from udpdiff.planning.plan import Plan, StagePlan, labelled_splits, plan_table, raw_label_bytes
from udpdiff.planning.speeds import Speed, cited_speed, labeller_speed
from udpdiff.storage.shards import ShardWriter
from udpdiff.timing import Throughput, write_throughput
from udpdiff.workflow import Workflow

ROOT = Path(__file__).parents[2]
SIZE = {"num_frames": 49, "height": 480, "width": 720}
SMALL = {"num_frames": 9, "height": 64, "width": 64}
LABELLER = {
    "model": "depthcrafter",
    "checkpoint": "tencent/DepthCrafter",
    "num_inference_steps": 5,
    "guidance_scale": 1.0,
    "max_side": 1024,
}
CRAFTER = {"labeller": LABELLER}
RECORD = Throughput("depth", CRAFTER, SIZE, 100, 300.0, 340.0, 360.0, "A GPU", 8.0, 2.0)


def crafter(**changed) -> dict:
    return {"labeller": LABELLER | changed}


def workflow(*files: str, missing: str | None = None, **sections) -> Workflow:
    """The default configuration with files and sections merged over it."""
    raw = yaml.safe_load((ROOT / "config.yaml").read_text())
    for over in (*(yaml.safe_load((ROOT / file).read_text()) for file in files), sections):
        merge(raw, over)
    return Workflow(config_parsing.parse(raw), missing)


def merge(raw: dict, over: dict) -> None:
    for key, value in over.items():
        if isinstance(value, dict) and isinstance(raw.get(key), dict):
            merge(raw[key], value)
        else:
            raw[key] = value


def seconds_per_frame(job: dict, size: dict) -> float:
    return 3600 / cited_speed("depth", job, size).clips_per_hour / size["num_frames"]


@pytest.mark.parametrize(("height", "width", "milliseconds"), [(576, 1024, 465.84), (256, 512, 1000 / 8.6)])
def test_depthcrafter_at_the_sizes_that_its_readme_names(height, width, milliseconds):
    size = SIZE | {"height": height, "width": width}
    assert seconds_per_frame(CRAFTER, size) == pytest.approx(milliseconds / 1000)
    assert "A100" in cited_speed("depth", CRAFTER, size).basis


def test_depthcrafter_between_them_at_the_size_that_the_network_sees():
    slow, fast = (seconds_per_frame(CRAFTER, size) for size in (SIZE, SIZE | {"height": 300}))
    assert 1 / 8.6 < fast < slow < 0.46584
    shrunk = cited_speed("depth", crafter(max_side=512), SIZE | {"height": 288, "width": 512})
    assert shrunk == cited_speed("depth", CRAFTER, SIZE | {"height": 288, "width": 512})


@pytest.mark.parametrize(
    "job", [crafter(num_inference_steps=25), crafter(guidance_scale=1.2), crafter(checkpoint="mini:depthcrafter"), {"labeller": {"model": "depth_anything", "checkpoint": "mini:depth_anything"}}]
)  # fmt: skip
def test_no_number_where_no_source_speaks_of_it(job):
    assert cited_speed("depth", job, SIZE) is None
    assert labeller_speed("depth", job, SIZE, []) is None


def test_the_papers_scale_takes_hours_from_sources(tmp_path):
    paper = workflow("presets/paper.yaml", missing="not named yet")
    stages = {stage.stage: stage for stage in Plan(paper, tmp_path, tmp_path).stages()}
    tracked = stages["entities/entityseg"]
    assert tracked.speed.bound and tracked.hours == pytest.approx(tracked.clips * 49 / 24.2 / 3600)
    crafted = stages["depth/depthcrafter"]
    # 301,024 clips of 49 frames at 512 x 704: between the 476 hours of 512 x 256 and the 1,909 of 1024 x 576.
    assert crafted.speed.origin == "cited" and 476 < crafted.hours < 1909
    # Judges label generated videos as they do others.
    assert stages["samples/depth/depthcrafter"].speed == crafted.speed
    assert stages["captions"].speed is None
    # Forward, twice that backward, once more for checkpointed gradients; 50 steps with and without the prompt.
    assert stages["train"].speed.basis.startswith("4 forward passes' work a step and clip, ")
    assert stages["sample"].speed.basis.startswith("100 forward passes a clip, ")


def test_measured_comes_before_cited_for_the_same_settings_and_size_alone():
    measured = labeller_speed("depth", CRAFTER, SIZE, [RECORD])
    assert (measured.origin, measured.clips_per_hour) == ("measured", 1000.0)
    assert "100 clips on A GPU, 83% of the time in the model" in measured.basis
    for other in ({"size": SIZE | {"width": 64}}, {"job": crafter(max_side=512)}, {"stage": "entities"}):
        assert labeller_speed("depth", CRAFTER, SIZE, [replace(RECORD, **other)]).origin == "cited"


def test_stages_and_their_jobs_are_those_of_the_workflow(tmp_path):
    smoke = workflow("tests/smoke.yaml")
    stages = {stage.stage: (stage.jobs, stage.clips) for stage in Plan(smoke, tmp_path, tmp_path).stages()}
    assert stages["render_scenes"] == stages["captions"] == (3, 18), "two shards of training clips, one for evaluation"
    assert stages["entities/entityseg"] == (3, 18) and stages["entities/grid8_unfiltered"] == (1, 6)
    assert (
        stages["latents/video"] == stages["latents/seg-location-entityseg"] == stages["latents/text-depth"] == (2, 12)
    )
    assert stages["train"] == (12, 12 * 6 * 4) and stages["sample"] == (13, 52)
    assert stages["features"] == (14, 58) and stages["comparisons"] == (8, 32)
    assert stages["samples/entities/entityseg"] == (1, 4), "of the runs that are judged"
    assert stages["samples/depth/depth_anything"] == (1, 4), "a table sets it beside the predictions"


def test_a_plan_needs_no_source(tmp_path):
    videos = workflow(missing="not named yet", source={"kind": "videos"}, sampling={"shard_prompts": 10})
    stages = {stage.stage: (stage.jobs, stage.clips) for stage in Plan(videos, tmp_path, tmp_path).stages()}
    assert stages["cut_videos"] == (2, 184) and stages["sample"] == (12 * 3, 12 * 24)


@pytest.mark.parametrize(
    "kind, name, source, splits",
    [
        ("entities", "entityseg", "scenes", ["train", "evaluation"]),
        ("entities", "grid8", "scenes", ["train", "evaluation"]),
        ("entities", "grid8", "videos", ["train"]),
        ("entities", "grid8_unfiltered", "videos", ["evaluation"]),
        ("depth", "depthcrafter", "videos", ["train", "evaluation"]),
    ],
)
def test_labellers_run_where_their_labels_are_wanted(kind, name, source, splits):
    config = workflow(missing="not named yet", source={"kind": source}).config
    assert labelled_splits(config, kind, name) == splits


def test_what_finished_shards_and_jobs_took_is_measured(tmp_path):
    mini = workflow()
    results, benchmarks = tmp_path / "results", tmp_path / "benchmarks"
    job = json.loads(workflow_jobs.estimate_depth(mini, "depthcrafter").dump())
    write_throughput(benchmarks / "estimate_depth/depthcrafter-train-0.json", replace(RECORD, job=job, size=SMALL))
    other = json.loads(workflow_jobs.estimate_depth(mini, "depth_anything").dump())
    for split, made_by, clips in (("train", job, 1), ("evaluation", other, 50)):
        with ShardWriter(results / f"depth/depthcrafter/{split}/0.h5", "depth", {"job": made_by}) as shard:
            for index in range(clips):
                shard.add(f"clip {index}", {"depth": np.zeros((9, 64, 64), np.uint16)})
    stages = {stage.stage: stage for stage in Plan(mini, results, benchmarks).stages()}
    found = stages["depth/depthcrafter"]
    assert found.speed.origin == "measured" and found.speed.clips_per_hour == 1000
    assert found.bytes_measured, "of the shard that was made as it is configured now"
    assert found.bytes_per_clip == (results / "depth/depthcrafter/train/0.h5").stat().st_size
    assert stages["depth/depth_anything"].speed is None and not stages["depth/depth_anything"].bytes_measured


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


@pytest.mark.parametrize(
    "base, size, width, blocks, tokens",
    [
        ("THUDM/CogVideoX-2b", SIZE, 1920, 30, 226 + 13 * 30 * 45),
        ("THUDM/CogVideoX-5b", SIZE, 3072, 42, 226 + 13 * 30 * 45),
        ("mini:cogvideox", SMALL, 256, 4, 48 + 3 * 8 * 8),
    ],
)
def test_counted_work_is_the_arithmetic_of_the_blocks(base, size, width, blocks, tokens):
    """A block has 12 width^2 weights and compares all tokens with all; what is beside the blocks is little."""
    expected = blocks * tokens * (2 * 12 * width**2 + 4 * tokens * width)
    assert counted_work.transformer_flops(base, *size.values()) == pytest.approx(expected, rel=0.05)


def test_the_papers_training_and_sampling_are_counted():
    training = transformer_speed("THUDM/CogVideoX-5b", SIZE, 4, "4 passes")
    sampling = transformer_speed("THUDM/CogVideoX-5b", SIZE, 100, "100 passes")
    assert training.origin == "counted" and "H100" in training.basis and "over 17,776 tokens" in training.basis
    assert training.clips_per_hour == pytest.approx(25 * sampling.clips_per_hour)
    assert transformer_speed("someone/another-base", SIZE, 4, "4 passes") is None
    assert transformer_speed("mini:cogvideox", SMALL, 4, "4 passes") is None, "too little work for the share assumed"


def test_the_papers_encoding_is_counted():
    base, gated_layer = "THUDM/CogVideoX-5b", 4 * 4096 * 4096 + 3 * 4096 * 10240  # weights of a layer of T5-XXL
    once, thrice = (encoding_speed(base, SIZE, maps) for maps in (1, 3))
    assert once.clips_per_hour == pytest.approx(3 * thrice.clips_per_hour)
    assert "TFLOP" in once.basis and "3 passes of the VAE" in thrice.basis
    prompts = prompt_speed(base, 2)
    hours = 2 * 226 * 24 * 2 * gated_layer / (0.4 * 989e12) / 3600
    assert 1 / prompts.clips_per_hour == pytest.approx(hours, rel=0.02)  # attention itself is the rest
    assert encoding_speed("someone/another-base", SIZE, 1) is None and prompt_speed("someone/another-base", 2) is None
    assert encoding_speed("mini:cogvideox", SMALL, 1) is None, "too little work"


def test_encoding_is_counted_as_the_real_vae_does_it():
    import torch
    from diffusers import AutoencoderKLCogVideoX
    from torch.utils.flop_counter import FlopCounterMode

    vae = AutoencoderKLCogVideoX.from_pretrained(resolve("mini:cogvideox"), subfolder="vae").float()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        latents = vae.encode(torch.zeros(1, 3, 9, 64, 64)).latent_dist.mode()
    assert counted_work.vae_flops("mini:cogvideox", 9, 64, 64) == counter.get_total_flops()
    assert latent_bytes("mini:cogvideox", SMALL, 1) == latents.numel() * 2


def test_the_papers_cache_is_counted():
    base = "THUDM/CogVideoX-5b"
    assert latent_bytes(base, SIZE, 3) == 3 * 13 * 16 * 60 * 90 * 2
    assert prompt_bytes(base, 2) == 2 * 226 * 4096 * 2
