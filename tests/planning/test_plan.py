"""The plan's arithmetic: measured before cited, cited only where the source speaks of the same, else not known."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from snakemake.utils import update_config

from udpdiff.checkpoints import resolve
from udpdiff.config import parsing as config_parsing
from udpdiff.planning import counted_work
from udpdiff.planning.counted_work import (
    counted_speed,
    decoding_work,
    encoding_work,
    latent_bytes,
    prompt_bytes,
    prompt_work,
    transformer_work,
)
from udpdiff.planning.devices import DEVICES
from udpdiff.planning.figures import Memory
from udpdiff.planning.plan import Plan, labelled_splits
from udpdiff.planning.speeds import Speed, cited_speed, labeller_speed
from udpdiff.planning.stages import StagePlan
from udpdiff.planning.table import plan_table
from udpdiff.storage.shards import ShardWriter
from udpdiff.timing import Throughput, write_throughput
from udpdiff.workflow import data_jobs
from udpdiff.workflow.workflow import Workflow

ROOT = Path(__file__).parents[2]
A100, H100, SMALL_CARD = DEVICES["a100-80g"], DEVICES["h100"], DEVICES["rtx4090"]
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
        update_config(raw, over)
    return Workflow(config_parsing.parse(raw), missing)


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


def stages_of(flow: Workflow, folder: Path, card=A100) -> dict[str, StagePlan]:
    return {stage.stage: stage for stage in Plan(flow, folder, folder, card).stages()}


def test_the_papers_scale_takes_hours_from_sources(tmp_path):
    paper = workflow("presets/paper.yaml", missing="not named yet", preset="paper")
    stages = stages_of(paper, tmp_path)
    tracked = stages["entities/entityseg"]
    assert tracked.speed.bound and tracked.hours == pytest.approx(tracked.clips * 49 / 24.2 / 3600)
    crafted = stages["depth/depthcrafter"]
    # 301,024 clips of 49 frames at 512 x 704: between the 476 hours of 512 x 256 and the 1,909 of 1024 x 576.
    assert crafted.speed.origin == "cited" and 476 < crafted.hours < 1909
    assert stages_of(paper, tmp_path, H100)["depth/depthcrafter"].hours == pytest.approx(crafted.hours * 312 / 989)
    # Judges label generated videos as they do others.
    assert stages["samples/depth/depthcrafter"].speed == crafted.speed
    # Forward, twice that backward, once more for checkpointed gradients; 50 steps with and without the prompt.
    assert "4 forward passes' work a sample" in stages["train"].speed.basis
    assert "100 forward passes" in stages["sample"].speed.basis
    for name in ("captions", "codec_quality", "measure_runtime (table 4)", "latents/video"):
        assert stages[name].hours > 0
    assert stages["checkpoints"].disk_bytes > 3 * 60e9
    assert stages["evaluate_samples"].jobs == stages["sample"].jobs // 16
    # Eleven trainings of 40,000 steps of 8 samples: about 8,000 hours at 8.2 s a sample.
    assert 7000 < stages["train"].hours < 12000
    assert stages["train"].wall_hours(8) == pytest.approx(stages["train"].hours / paper.config.gpus)


def test_memory_stands_beside_hours(tmp_path):
    stages = stages_of(workflow("presets/paper.yaml", missing="not named yet", preset="paper"), tmp_path)
    assert stages["depth/depthcrafter"].gpu.origin == "cited" and stages["samples/depth/depthcrafter"].gpu.gb < 26
    assert stages["train"].gpu.origin == "counted" and stages["train"].host.gb > 3
    assert stages["comparisons"].gpu is None and not stages["comparisons"].on_gpu


def test_one_gpu_takes_a_week_and_23_gigabytes(tmp_path):
    single = workflow("presets/one_gpu.yaml", missing="not named yet", preset="one_gpu")
    stages = stages_of(single, tmp_path, SMALL_CARD)
    assert sum(stage.hours for stage in stages.values() if stage.speed) <= 7 * 24
    unknown = {name for name, stage in stages.items() if stage.on_gpu and not stage.speed}
    assert unknown == {"features"}, "figures of a few thousand pictures"
    assert max(stage.gpu.gb for stage in stages.values() if stage.gpu) <= 23
    assert {name for name, stage in stages.items() if stage.on_gpu and not stage.gpu} == set()


def test_the_papers_scale_fits_six_terabytes_where_files_of_one_run_alone_pass(tmp_path):
    """They are those of four runs, the largest of which learns from depth labels of its own."""
    paper = workflow("presets/paper.yaml", missing="not named yet", preset="paper")
    plan = Plan(paper, tmp_path, tmp_path, A100)
    stages = {stage.stage: stage for stage in plan.stages()}
    passing = {name: stage.run for name, stage in stages.items() if stage.run}
    assert {run for run in passing.values()} == {"seg_location", "depth_anything", "seg_grid8", "seg_grid12"}
    assert {"depth/depth_anything", "entities/grid8", "latents/seg-pixelplanes-grid8"} <= set(passing)
    assert not {"depth/depthcrafter", "entities/entityseg", "latents/video"} & set(passing), "others read them too"
    found = plan.disk(stages.values())
    staying = sum(stage.disk_bytes or 0 for stage in stages.values() if not stage.run)
    own = max(stages[name].disk_bytes for name in ("depth/depth_anything", "latents/depth-spectral-depth_anything"))
    assert found.peak == pytest.approx(staying + own) and 4e12 < found.peak < 6e12
    assert found.another == stages["checkpoints"].disk_bytes and 0.15e12 < found.another < 0.25e12
    assert stages["sample"].disk_bytes < 100e9
    kept = workflow("presets/paper.yaml", missing="not named yet", preset="paper", storage={"keep": "all"})
    assert Plan(kept, tmp_path, tmp_path, A100).disk(Plan(kept, tmp_path, tmp_path, A100).stages()).peak > 8e12


def test_measured_comes_before_cited_for_the_same_settings_and_size_alone():
    measured = labeller_speed("depth", CRAFTER, SIZE, [RECORD])
    assert (measured.origin, measured.clips_per_hour) == ("measured", 1000.0)
    assert "100 clips on A GPU, 83% of the time in the model" in measured.basis
    for other in ({"size": SIZE | {"width": 64}}, {"job": crafter(max_side=512)}, {"stage": "entities"}):
        assert labeller_speed("depth", CRAFTER, SIZE, [replace(RECORD, **other)]).origin == "cited"


def test_stages_and_their_jobs_are_those_of_the_workflow(tmp_path):
    smoke = workflow("tests/smoke.yaml")
    stages = {stage.stage: (stage.jobs, stage.clips) for stage in Plan(smoke, tmp_path, tmp_path, A100).stages()}
    assert stages["render_scenes"] == stages["captions"] == (3, 18), "two shards of training clips, one for evaluation"
    assert stages["entities/entityseg"] == (3, 18) and stages["entities/grid8_unfiltered"] == (1, 6)
    assert (
        stages["latents/video"] == stages["latents/seg-location-entityseg"] == stages["latents/text-depth"] == (2, 12)
    )
    assert stages["train"] == (12, 12 * 6 * 4) and stages["sample"] == (15, 60)
    assert stages["features"] == (16, 66) and stages["comparisons"] == (14, 56)
    assert stages["train"] == (12, 12 * 6 * 4) and stages["sample"] == (15, 60)
    assert stages["features"] == (16, 66) and stages["comparisons"] == (14, 56)
    assert stages["samples/entities/entityseg"] == (6, 24), "of all runs that know entities"
    assert stages["samples/depth/depth_anything"] == (1, 4), "a table sets it beside the predictions"


def test_a_run_of_several_trainings_costs_as_often(tmp_path):
    thrice = workflow("tests/smoke.yaml", runs={"seg": {"replicates": 3}})
    stages = {stage.stage: (stage.jobs, stage.clips) for stage in Plan(thrice, tmp_path, tmp_path, A100).stages()}
    assert stages["train"] == (14, 14 * 6 * 4) and stages["sample"] == (17, 68)


def test_a_plan_needs_no_source(tmp_path):
    videos = workflow(missing="not named yet", source={"kind": "videos"}, sampling={"shard_prompts": 10})
    stages = {stage.stage: (stage.jobs, stage.clips) for stage in Plan(videos, tmp_path, tmp_path, A100).stages()}
    assert stages["cut_videos"] == (2, 184) and stages["sample"] == (14 * 3, 14 * 24)


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
    job = json.loads(data_jobs.estimate_depth(mini, "depthcrafter").dump())
    write_throughput(benchmarks / "estimate_depth/depthcrafter-train-0.json", replace(RECORD, job=job, size=SMALL))
    other = json.loads(data_jobs.estimate_depth(mini, "depth_anything").dump())
    for split, made_by, clips in (("train", job, 1), ("evaluation", other, 50)):
        with ShardWriter(results / f"depth/depthcrafter/{split}/0.h5", "depth", {"job": made_by}) as shard:
            for index in range(clips):
                shard.add(f"clip {index}", {"depth": np.zeros((9, 64, 64), np.uint16)})
    stages = {stage.stage: stage for stage in Plan(mini, results, benchmarks, A100).stages()}
    found = stages["depth/depthcrafter"]
    assert found.speed.origin == "measured" and found.speed.clips_per_hour == 1000
    assert found.gpu.origin == found.host.origin == "measured" and (found.gpu.gb, found.host.gb) == (8.0, 2.0)
    assert found.bytes_measured, "of the shard that was made as it is configured now"
    assert found.bytes_per_clip == (results / "depth/depthcrafter/train/0.h5").stat().st_size
    assert stages["depth/depth_anything"].speed is None and not stages["depth/depth_anything"].bytes_measured
    assert stages["depth/depthcrafter"].disk_bytes == found.bytes_per_clip * found.clips


@pytest.mark.parametrize(
    "jobs, processes, gpus, hours", [(1, 8, 8, 1), (1, 8, 4, 2), (3, 1, 8, 8 / 3), (16, 1, 4, 2), (2, 2, 8, 2)]
)
def test_a_job_keeps_as_many_gpus_busy_as_it_has_processes(jobs, processes, gpus, hours):
    stage = StagePlan("train", jobs, 800, Speed(100.0, "measured", "here"), processes=processes)
    assert stage.hours == 8 and stage.wall_hours(gpus) == pytest.approx(hours)


def test_table_says_of_each_figure_where_it_is_from():
    memory = Memory(26e9, "cited", "a page")
    stages = [
        StagePlan("depth/one", 3, 300_000, Speed(1000.0, "measured", "here"), 2e6, True),
        StagePlan("depth/two", 3, 300_000, Speed(500.0, "cited", "there", bound=True), 1e6, run="one", gpu=memory),
        StagePlan("captions", 3, 300_000),
        StagePlan("train", 2, 600_000, Speed(400.0, "counted", "so"), processes=2),
    ]
    lines = plan_table(stages, SMALL_CARD, gpus=2, price=2.0).splitlines()
    rows = {line.split(" ")[0]: " ".join(line.split()) for line in lines}
    assert rows["depth/one"] == "depth/one 3 300,000 300 150 - - 600* 600 measured [1]"
    assert rows["depth/two"] == "depth/two 3 300,000 >600 >300 26! - 300~ >1,200 cited [2,3]", "26 GB on a card of 24"
    assert rows["captions"] == "captions 3 300,000 - - - - - - not known"
    assert rows["train"] == "train 2 600,000 1,500 750 - - - 3,000 counted [4]", "both GPUs at one training"
    assert rows["all"] == "all 11 >2,400 >1,200 26 - 900 >4,800 1 not known"
    assert lines[-4:] == [
        "[1] measured: here.",
        "[2] cited: there.",
        "[3] GPU memory, cited: a page.",
        "[4] counted: so.",
    ]
    assert all(len(line) <= 120 for line in lines)


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


FIVE = "THUDM/CogVideoX-5b"


def test_hours_are_those_of_the_named_device_and_dtype():
    training = transformer_work(FIVE, SIZE, 4, "bfloat16", "4 passes")
    flops = counted_work.transformer_flops(FIVE, *SIZE.values())
    hours = {card.name: 1 / counted_speed(card, [training]).clips_per_hour for card in (A100, H100, SMALL_CARD)}
    assert hours["a100-80g"] == pytest.approx(4 * flops / (0.4 * 312e12) / 3600)
    assert hours["a100-80g"] / hours["h100"] == pytest.approx(989 / 312)
    # A step on an A100 is known to take about 8.2 s a sample.
    assert 7 < 3600 * hours["a100-80g"] < 12
    basis = counted_speed(A100, [training]).basis
    assert "over 17,776 tokens" in basis and "40% of the peak of the A100 80 GB" in basis and "bfloat16" in basis
    whole = transformer_work(FIVE, SIZE, 4, "float32", "4 passes")
    assert whole.seconds(A100) / training.seconds(A100) == pytest.approx(312 / 19.5)
    encoding = encoding_work(FIVE, SIZE, 1, "float32")
    assert encoding.seconds(A100) == pytest.approx(encoding.flops / (0.4 * 156e12)), "convolutions take TF32"


def test_sampling_is_near_what_others_measured():
    """CogVideoX-5B, 50 steps with guidance: 204.5 s on an A100 (the paper, table 4), about 90 s on an H100 (CogVideo)."""
    parts = [transformer_work(FIVE, SIZE, 100, "bfloat16", "passes"), decoding_work(FIVE, SIZE, 1, "bfloat16")]
    assert 3600 / counted_speed(A100, parts).clips_per_hour == pytest.approx(204.5, rel=0.35)
    assert 3600 / counted_speed(H100, parts).clips_per_hour == pytest.approx(90, rel=0.35)


def test_what_is_not_known_or_too_little_is_not_counted():
    assert transformer_work("someone/another-base", SIZE, 4, "bfloat16", "") is None
    assert counted_speed(A100, [None]) is None and counted_speed(A100, []) is None
    assert counted_speed(A100, [transformer_work("mini:cogvideox", SMALL, 4, "bfloat16", "")]) is None
    assert counted_speed(A100, [encoding_work("mini:cogvideox", SMALL, 1, "float32")]) is None
    assert encoding_work("someone/another-base", SIZE, 1, "float32") is None
    assert prompt_work("someone/another-base", 2, "float32") is decoding_work(
        "someone/another-base", SIZE, 1, "float32"
    )


def test_the_papers_encoding_is_counted():
    gated_layer = 4 * 4096 * 4096 + 3 * 4096 * 10240  # weights of a layer of T5-XXL
    once, thrice = (counted_speed(A100, [encoding_work(FIVE, SIZE, maps, "bfloat16")]) for maps in (1, 3))
    assert once.clips_per_hour == pytest.approx(3 * thrice.clips_per_hour)
    prompts = counted_speed(H100, [prompt_work(FIVE, 2, "bfloat16")])
    hours = 2 * 226 * 24 * 2 * gated_layer / (0.4 * 989e12) / 3600
    assert 1 / prompts.clips_per_hour == pytest.approx(hours, rel=0.02)  # attention itself is the rest


def test_prompts_are_counted_as_the_real_encoder_embeds_them():
    import torch
    from torch.utils.flop_counter import FlopCounterMode
    from transformers import T5Config, T5EncoderModel

    from udpdiff.planning.parameters import base_parts

    parts = base_parts(FIVE)
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        T5EncoderModel(T5Config(**parts["text_encoder"]))(torch.empty(1, 226, dtype=torch.long))
    assert counted_work.text_flops(FIVE) == pytest.approx(counter.get_total_flops(), rel=0.01)


def test_encoding_is_counted_as_the_real_vae_does_it():
    import torch
    from diffusers import AutoencoderKLCogVideoX
    from torch.utils.flop_counter import FlopCounterMode

    vae = AutoencoderKLCogVideoX.from_pretrained(resolve("mini:cogvideox"), subfolder="vae").float()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        latents = vae.encode(torch.zeros(1, 3, 9, 64, 64)).latent_dist.mode()
    assert counted_work.vae_flops("mini:cogvideox", 9, 64, 64) == counter.get_total_flops()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        vae.decode(latents)
    assert counted_work.vae_decoder_flops("mini:cogvideox", 9, 64, 64) == counter.get_total_flops()
    assert latent_bytes("mini:cogvideox", SMALL, 1) == latents.numel() * 2


def test_the_papers_cache_is_counted():
    base = "THUDM/CogVideoX-5b"
    assert latent_bytes(base, SIZE, 3) == 3 * 13 * 16 * 60 * 90 * 2
    assert prompt_bytes(base, 2) == 2 * 226 * 4096 * 2
