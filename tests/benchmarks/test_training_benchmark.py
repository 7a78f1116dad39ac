"""Benchmark (c) at the mini shape: what contenders are, the command, and another project's script, watched."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys

import pytest
import torch

from benchmarks import shapes, training
from benchmarks.diffusers_script import script_arguments, time_script, write_base, write_videos
from benchmarks.trainers import Recipe, network, plain_loop, stepper

MINI = shapes.SHAPES["mini"]
# A stand-in that takes the arguments of huggingface/diffusers, examples/cogvideo/train_cogvideox_lora.py, and reads what
# that one reads.
SCRIPT = """
import argparse, pathlib, torch
from diffusers import AutoencoderKLCogVideoX, CogVideoXDPMScheduler, CogVideoXTransformer3DModel
from transformers import AutoTokenizer, T5EncoderModel

parser = argparse.ArgumentParser()
for name in "pretrained_model_name_or_path instance_data_root video_column caption_column lr_scheduler output_dir".split():
    parser.add_argument(f"--{name}", required=True)
for name in "height width fps max_num_frames rank train_batch_size max_train_steps lr_warmup_steps seed".split():
    parser.add_argument(f"--{name}", type=int, required=True)
for name in "lora_alpha learning_rate max_grad_norm".split():
    parser.add_argument(f"--{name}", type=float, required=True)
parser.add_argument("--mixed_precision", choices=["no", "fp16", "bf16"])
parser.add_argument("--optimizer", choices=["adam", "adamw", "prodigy"])
parser.add_argument("--gradient_checkpointing", action="store_true")
args = parser.parse_args()
base, root = args.pretrained_model_name_or_path, pathlib.Path(args.instance_data_root)
AutoTokenizer.from_pretrained(base, subfolder="tokenizer")
for kind, part in ((T5EncoderModel, "text_encoder"), (AutoencoderKLCogVideoX, "vae"), (CogVideoXDPMScheduler, "scheduler")):
    kind.from_pretrained(base, subfolder=part)
model = CogVideoXTransformer3DModel.from_pretrained(base, subfolder="transformer")
videos, prompts = ((root / name).read_text().split("\\n") for name in (args.video_column, args.caption_column))
assert len(videos) == len(prompts) == args.train_batch_size + 1 and all((root / name).exists() for name in videos)
optimizer = torch.optim.AdamW(model.proj_out.parameters(), lr=args.learning_rate)
for step in range(args.max_train_steps):
    model.proj_out(torch.ones(1, model.proj_out.in_features)).sum().backward()
    optimizer.step()
raise RuntimeError("the process should have ended with the last step")
"""


def recipe(rank: int | None = None, mixed_precision: str = "no") -> Recipe:
    return Recipe(MINI, "cpu", rank, batch_size=2, mixed_precision=mixed_precision)


@pytest.mark.parametrize("rank", [None, 4])
@pytest.mark.parametrize("build", [stepper, lambda own: plain_loop(own, True), lambda own: plain_loop(own, False)])
def test_every_contender_steps(build, rank):
    step = build(recipe(rank))
    for _ in range(2):
        step()


def test_low_rank_contenders_freeze_in_the_precision_of_the_step():
    weights = dict(network(recipe(4, "bf16"), widened=True).named_parameters())
    frozen = {weight.dtype for weight in weights.values() if not weight.requires_grad}
    trained = {weight.dtype for weight in weights.values() if weight.requires_grad}
    assert (frozen, trained) == ({torch.bfloat16}, {torch.float32})


@pytest.mark.parametrize("words", ["--method full --steps 1", "--method lora --resident --rank 4"])
def test_the_command_writes_ratios_and_what_differs(tmp_path, words):
    path = tmp_path / "results.md"
    words += f" --repeats 1 --device cpu --mixed-precision no --gpu rtx3090 --output {path} --scratch {tmp_path}"
    training.main(words.split())
    text = path.read_text()
    rows = [line.split(" | ") for line in text.splitlines() if " model | " in line]
    assert [row[0] for row in rows] == [f"| {name}" for name in (training.PLAIN, training.WIDENED, training.OURS)]
    assert all(float(row[1]) > 0 and row[4].endswith("%") for row in rows)
    assert "this project's step takes" in text


def test_another_projects_script_is_timed_as_it_is(tmp_path):
    script = tmp_path / "train.py"
    script.write_text(SCRIPT)
    own = recipe(4)
    base, videos = write_base(own, "mini", tmp_path), write_videos(own, tmp_path)
    found = time_script(script, own, base, videos, tmp_path, steps=3)
    assert len(found["step_seconds"]) == 3 and all(seconds > 0 for seconds in found["step_seconds"])
    assert found["peak_gpu_gb"] is None or found["peak_gpu_gb"] > 0


def test_a_script_that_stops_early_is_a_failure(tmp_path):
    (tmp_path / "train.py").write_text("print('no steps')")
    command = [
        sys.executable,
        "-m",
        "benchmarks.watched",
        str(tmp_path / "record.json"),
        "3",
        str(tmp_path / "train.py"),
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode and "ended before its optimizer had stepped 4 times" in done.stderr
    assert not (tmp_path / "record.json").exists()


def test_the_script_hears_of_rank_size_and_precision(tmp_path):
    words = script_arguments(Recipe(shapes.SHAPES["5b"], "cuda", 64, 4), tmp_path, tmp_path, tmp_path, 10)
    given = dict(zip(words[::2], words[1::2], strict=False))
    assert given["--rank"] == given["--lora_alpha"] == "64" and given["--train_batch_size"] == "4"
    assert (given["--height"], given["--width"], given["--max_num_frames"]) == ("480", "720", "49")
    assert given["--mixed_precision"] == "bf16" and words[-1] == "--gradient_checkpointing"


def test_a_contender_without_memory_has_a_row_and_no_ratio():
    options = argparse.Namespace(batch_size=1, gpu=None)
    timings = [{training.PEAK: 80.0}, {training.PEAK: 79.0}]
    row = training.row(training.OURS, timings, timings, options, 1e12)
    assert row["seconds a step"] == "out of memory" and row["peak GPU memory, GB"] == "80.0"
    assert row["ratio to the first"] is None
    fits = training.row(training.PLAIN, [{training.STEP: 2.0, training.PEAK: None}], timings, options, 1e12)
    assert fits["samples a second"] == "0.5" and fits["ratio to the first"] is None
    json.dumps(row)


@pytest.mark.parametrize("words", ["--method full --script x.py", "--method lora --script nowhere.py"])
def test_a_script_that_cannot_be_run_is_refused(words, capsys):
    with pytest.raises(SystemExit):
        training.parse(words.split())
    assert "--script" in capsys.readouterr().err
