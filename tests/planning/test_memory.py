"""Counted memory against the figures that others counted or measured, and refusals of what cannot fit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from snakemake.utils import update_config

from udpdiff.config import parsing as config_parsing
from udpdiff.config_values import ConfigError
from udpdiff.planning import fit, network_memory, parameters
from udpdiff.planning.devices import DEVICES, find_device
from udpdiff.planning.job_memory import JobMemory
from udpdiff.planning.training_memory import TrainingCase, activation_bytes, training_bytes

ROOT = Path(__file__).parents[2]
SIZE = {"num_frames": 49, "height": 480, "width": 720}
TWO, FIVE = (parameters.base_parts(f"THUDM/CogVideoX-{name}") for name in ("2b", "5b"))
CASE = TrainingCase(FIVE, SIZE, num_tasks=2)
GB = 1e9


def config(*files: str, **sections):
    raw = yaml.safe_load((ROOT / "config.yaml").read_text())
    for over in (*(yaml.safe_load((ROOT / file).read_text()) for file in files), sections):
        update_config(raw, over)
    return config_parsing.parse(raw)


@pytest.mark.parametrize("batch, counted", [(1, 25.1), (2, 28.2), (8, 60.9)])
def test_activations_and_gradients_are_those_counted_on_tensors(batch, counted):
    case = replace(CASE, batch=batch)
    assert activation_bytes(case, 4 * case.trained) / GB == pytest.approx(counted, rel=0.01)


def test_full_fine_tuning_of_the_largest_base():
    found = training_bytes(CASE)
    states = found.weights + found.optimizer + 4 * CASE.trained
    assert states / GB == pytest.approx(89.1, abs=0.1) and found.total / GB == pytest.approx(92, rel=0.01)
    assert training_bytes(replace(CASE, batch=8)).total / GB == pytest.approx(128, rel=0.01)
    sharded = training_bytes(replace(CASE, processes=8, sharding="full"))
    # A shard of the weights, gradients and states is an eighth of 89.1 GB.
    assert (sharded.weights + sharded.optimizer + 4 * CASE.trained / 8) / GB == pytest.approx(11.1, abs=0.1)
    assert sharded.total < 20 * GB
    assert training_bytes(replace(CASE, processes=8)).total == found.total, "plain data parallelism saves nothing"


@pytest.mark.parametrize(
    "parts, changes, cited",
    [
        # a-r-r-o-w/cogvideox-factory, training/README.md: batch 1 or 4, gradient checkpointing, cached latents.
        (FIVE, {"optimizer": "adamw_8bit"}, 52.8),
        (FIVE, {"optimizer": "adamw_8bit", "batch": 4}, 66.6),
        (FIVE, {"lora_rank": 64, "frozen_bytes": 2}, 20.8),
        (TWO, {}, 33.9),
        (TWO, {"optimizer": "adamw_8bit"}, 16.4),
        (TWO, {"batch": 4}, 38.3),
        (TWO, {"optimizer": "adamw_8bit", "batch": 4}, 27.9),
    ],
)
def test_counts_are_near_what_others_measured(parts, changes, cited):
    assert training_bytes(TrainingCase(parts, SIZE, streams=1, **changes)).total / GB == pytest.approx(cited, rel=0.2)


def test_what_a_training_may_add_or_save():
    total = training_bytes(CASE).total
    weights = CASE.trained
    assert training_bytes(replace(CASE, average=True)).total == total + 4 * weights
    assert training_bytes(replace(CASE, offloaded=True)).total == pytest.approx(total - 8 * weights)
    live = training_bytes(replace(CASE, text_bytes=2)).total - total
    assert live / GB == pytest.approx(9.5, abs=0.05)
    assert training_bytes(replace(CASE, checkpointing=False)).total > 1.7 * total
    muon = training_bytes(replace(CASE, optimizer="muon")).optimizer
    assert 4 * weights < muon < 8 * weights


@pytest.mark.parametrize(
    "dtype, batch, decode, activations",
    [
        ("float32", 1, False, 13.4),
        ("float32", 3, False, 48.1),
        ("bfloat16", 1, False, 6.7),
        ("bfloat16", 3, False, 24.0),
        ("float32", 1, True, 31.6),
        ("bfloat16", 1, True, 15.8),
    ],
)
def test_the_vae_holds_what_was_counted(dtype, batch, decode, activations):
    found = network_memory.vae_bytes(FIVE["vae"], SIZE, batch, dtype, decode)
    weights = network_memory.BYTES[dtype] * parameters.vae_parameters(FIVE["vae"])
    assert (found - weights) / GB == pytest.approx(activations, rel=0.01)


def test_sampling_is_near_what_others_measured():
    """31.7 GB (A100) and 34 GB (H100) for CogVideoX-5B in bfloat16, by sayakpaul/diffusers-torchao, README."""
    whole = network_memory.sampling_bytes(FIVE, SIZE, 1, "bfloat16", streams=1)
    assert 31.7 < whole / GB < 37.5
    offloaded = network_memory.sampling_bytes(FIVE, SIZE, 1, "bfloat16", offload=True)
    assert offloaded == network_memory.vae_bytes(FIVE["vae"], SIZE, 1, "bfloat16", decode=True)


def test_the_mini_scale_fits_everything_and_names_no_gpu():
    mini = config()
    assert mini.gpu is None and not list(fit.faults(mini))
    assert not list(fit.faults(mini.model_copy(update={"gpu": "rtx3090"})))
    assert all(need.gpu is None or need.gpu.gb < 10 for need in JobMemory(mini).needs())


PAPER = {"gpu": "a100-80g", "gpus": 8}
WHOLE = {"training": {"sharding": "none"}}


def faults_of(**sections) -> dict[str, str]:
    lines = fit.faults(config("presets/paper.yaml", **(PAPER | sections)))
    return {line.partition(":")[0]: line for line in lines}


def test_the_papers_training_is_refused_whole_and_told_what_fits():
    assert not faults_of(), "as the preset has it, in shards"
    found = faults_of(**WHOLE)
    assert list(found) == ["training"]
    line = found["training"]
    assert "needs 101.6 GB" in line and "a100-80g leaves 79.9 of its 85.0 GB" in line
    assert "training.sharding: full (2" in line and "adamw_8bit (68" in line
    assert line.count("train/") == 1, "eleven runs of one size are one fault"


@pytest.mark.parametrize(
    "file, changes, counted, basis",
    [
        ("presets/paper.yaml", {}, 3 + 11.2, "network to export"),
        ("presets/paper.yaml", {"mixed_precision": "no"}, 3 + 22.3, "network to export"),
        ("presets/paper.yaml", {"offload_optimizer": True, "sharding": "none"}, 3 + 2 + 44.6, "optimizer's states"),
        ("config.yaml", {}, 3 + 2, "one tensor at a time"),
    ],
)
def test_the_host_holds_what_waits_or_what_is_exported(file, changes, counted, basis):
    host = JobMemory(config(file, training=changes)).training("multi").host
    assert host.bytes / GB == pytest.approx(counted, abs=0.2) and basis in host.basis


def test_a_labeller_a_text_encoder_and_a_vae_are_refused():
    found = faults_of(
        gpu="rtx4090", **WHOLE, encoding={"vae_dtype": "float32", "text_dtype": "float32", "batch_clips": 3}
    )
    assert {"encoding", "labels.captions.captioner", "sampling", "training"} <= set(found)
    assert "vae_dtype: bfloat16" in found["encoding"] and "batch_clips: 1" in found["labels.captions.captioner"]
    assert "offload: true (1" in found["sampling"]
    found = faults_of(
        gpu="rtx4090", labels={"depth": {"depthcrafter": {"max_side": 1024}}}, clips={"width": 1024, "height": 576}
    )
    assert "cited: DepthCrafter's README" in found["labels.depth.depthcrafter"]
    assert "max_side: 768 (" in found["labels.depth.depthcrafter"]
    small = replace(find_device("a100-40g"), name="small", memory_bytes=18e9)
    DEVICES["small"] = small
    try:
        assert "encoding.text_dtype" in faults_of(gpu="small", encoding={"text_dtype": "float32", "text": "stored"})
    finally:
        del DEVICES["small"]


def test_batches_that_the_processes_cannot_share_and_gpus_that_nobody_knows():
    [line] = fit.share_faults(config("presets/paper.yaml", **PAPER | {"gpus": 3}))
    assert line.startswith("training.batch_size: ") and "a multiple of 3" in line
    assert "a100-40g" in faults_of(gpu="a100")["gpu"]


def test_preflight_refuses_them():
    from udpdiff import preflight

    raw = yaml.safe_load((ROOT / "config.yaml").read_text())
    for over in (yaml.safe_load((ROOT / "presets/paper.yaml").read_text()), WHOLE, {"gpus": 1, "preset": "paper"}):
        update_config(raw, over)
    with pytest.raises(ConfigError) as refused:
        preflight.check(raw)
    [line] = str(refused.value).splitlines()
    assert line.startswith("training: train/base needs 137.3 GB on each GPU (counted: weights 22.3, optimizer 44.6")
    changes = line.partition("; set ")[2].split("; or ")
    assert changes[0] == "training.gradient_accumulation_steps: 8, optimizer: adamw_8bit (68.4 GB)"
    assert changes[-2].startswith("gpus: 8, training.sharding: full (")
    assert changes[-1] == "name another gpu, of which null refuses nothing"
    # What is advised is accepted.
    update_config(raw, {"training": {"gradient_accumulation_steps": 8, "optimizer": "adamw_8bit"}})
    preflight.check(raw)


def test_advice_of_accumulation_holds_with_one_process_alone():
    eight = faults_of(**WHOLE)["training"]
    assert "accumulation" not in eight, "a process has one sample already"


def test_text_read_from_disk_is_a_remedy_where_the_encoder_runs_beside_the_trainer():
    from udpdiff import preflight

    raw = yaml.safe_load((ROOT / "config.yaml").read_text())
    small = {"gpu": "rtx4090", "gpus": 1, "preset": "paper"}
    small |= {"training": {"lora_rank": 64, "gradient_accumulation_steps": 8, "sharding": "none"}}
    for over in (yaml.safe_load((ROOT / "presets/paper.yaml").read_text()), small):
        update_config(raw, over)
    with pytest.raises(ConfigError, match=r"train/base needs 29.*set encoding.text: stored \(19"):
        preflight.check(raw)
