"""The plan as a lab asks for it: by preset, device, number of GPUs and price."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from scripts import plan
from udpdiff.command.configuration import layered
from udpdiff.config_values import ConfigError
from udpdiff.planning import cpu_speeds, default_run


def told(capsys, monkeypatch, *arguments) -> str:
    monkeypatch.setattr(sys, "argv", ["plan", "--results", "nowhere", "--benchmarks", "nowhere", *arguments])
    plan.main()
    said = capsys.readouterr()
    assert ("Counting" in said.err) == ("GPU hours" in said.out), "who waits is told why, and nobody else"
    return said.out


def row(page: str, stage: str) -> list[str]:
    return next(line for line in page.splitlines() if line.startswith(stage + " ")).split()


def test_a_preset_on_the_device_that_is_named(capsys, monkeypatch):
    eight = told(capsys, monkeypatch, "--preset", "paper", "--gpus", "8", "--price-per-gpu-hour", "2.0")
    assert eight.lstrip().startswith("paper: 300,000 train and 1,024 evaluation clips of 49 frames, 480 x 720")
    assert all(len(line) <= 120 for line in eight.splitlines())
    _, jobs, seen, hours, wall, *_ = row(eight, "train")
    assert (jobs, seen) == ("11", "3,520,000")
    assert float(hours.replace(",", "")) == pytest.approx(8 * float(wall.replace(",", "")), rel=0.01)
    price = row(eight, "train")[8]
    assert float(price.replace(",", "")) == pytest.approx(2 * float(hours.replace(",", "")), rel=0.01)
    disk = row(eight, "all")[6]
    assert "Disk at its peak: 5,4" in eight and f"The {disk} GB of all stages are never there at once: 4,1" in eight
    assert "THUDM/CogVideoX-5b 21.1 (counted)" in eight and "GB of videos" in eight
    assert "Each further training at the same time adds 201 GB." in " ".join(eight.split())
    assert "Does not fit" not in eight and "fits as it is" not in eight
    assert "On 8 GPUs: at least " in eight and " days, with all at work" in eight

    other = told(capsys, monkeypatch, "--preset", "paper", "--device", "rtx4090", "--gpus", "1")
    assert "1 x RTX 4090 24 GB" in other and "Does not fit: train/base needs" in other
    words = " ".join(other.split())
    assert "set encoding.text: stored, training.gradient_accumulation_steps: 8, lora_rank: 64 (19.5 GB)." in words
    assert "The preset one_gpu fits as it is: THUDM/CogVideoX-2b, 2,000 clips, at most " in words
    [days] = re.findall(r"On 1 GPU: at least (\S+) days", words)
    assert re.fullmatch(r"\d,\d{3}", days), "nobody needs tenths of a thousand"
    assert row(other, "sample")[5].endswith("!") and "sampling.batch_size: 1, dtype: bfloat16, offload: true" in other


@pytest.mark.parametrize("key", [False, True])
def test_an_unknown_gpu_is_refused_before_anyone_waits(capsys, monkeypatch, tmp_path, key):
    file = tmp_path / "lab.yaml"
    file.write_text("gpu: '4090'\n" if key else "")
    named = ("--configfile", str(file)) if key else ("--device", "4090")
    with pytest.raises(ValueError if key else SystemExit) as refused:
        told(capsys, monkeypatch, "--preset", "paper", *named)
    said = capsys.readouterr().err
    assert "Counting" not in said
    line = str(refused.value) if key else said
    assert ("gpu: got '4090'; allowed: null, a100-40g" if key else "--device: got '4090'; allowed: a100-40g") in line


def test_files_are_merged_over_a_preset(capsys, monkeypatch, tmp_path):
    mine = tmp_path / "mine.yaml"
    mine.write_text("clips: {train: 1000}\nreport: {tables: [1]}\n")
    page = told(capsys, monkeypatch, "--preset", "one_gpu", "--configfile", str(mine))
    assert "one_gpu: 1,000 train" in page and "measure_runtime" not in page


def test_of_two_files_the_second_wins(tmp_path):
    files = [tmp_path / "mine.yaml", tmp_path / "more.yaml"]
    files[0].write_text("clips: {train: 1000, evaluation: 50}\n")
    files[1].write_text("clips: {train: 2000}\n")
    clips = layered("one_gpu", files)["clips"]
    assert (clips["train"], clips["evaluation"]) == (2000, 50)


def test_the_mini_scale_says_what_it_does_not_know(capsys, monkeypatch):
    page = told(capsys, monkeypatch)
    assert "mini: 144 train" in page and "Downloads: no checkpoint." in page
    assert "11 runs and 1 trained model; on a CPU" in " ".join(page.split()), "as the start of a run counts them"
    assert row(page, "train")[:3] == ["train", "11", "31,680"] and "A100 80" not in page and "GPU hours" not in page
    assert float(row(page, "train")[3]) == pytest.approx(default_run.cost("train_seconds") / 3600, rel=0.01)
    took = f"takes about {default_run.cost('total_seconds') / 60:.0f} minutes on such cores"
    assert ">" not in page and took in " ".join(page.split()), "the default run itself"
    named = told(capsys, monkeypatch, "--device", "rtx4090")
    assert "1 x RTX 4090 24 GB" in " ".join(named.split()) and "GPU hours" in named


def test_hours_of_a_cpu_scale_are_scaled_by_clips(capsys, monkeypatch):
    _, jobs, seen, hours, *_ = row(told(capsys, monkeypatch, "--preset", "hours"), "train")
    assert (jobs, seen) == ("5", "117,760")
    start = cpu_speeds.START_SECONDS  # of each of the default run's eleven jobs, and of the five here
    seconds = 117_760 / 31_680 * (default_run.cost("train_seconds") - 11 * start) + 5 * start
    assert float(hours) == pytest.approx(seconds / 3600, rel=0.01)


def test_no_gpus_time_is_counted_where_none_is_planned_for(tmp_path):
    code = "import sys; from udpdiff.command import main; main(['plan', '--preset', 'hours']); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path, capture_output=True)


def test_a_preset_that_is_not_there(monkeypatch, capsys):
    with pytest.raises(ConfigError, match=r"papre.*allowed: hours, one_gpu, paper, rehearsal"):
        told(capsys, monkeypatch, "--preset", "papre")
