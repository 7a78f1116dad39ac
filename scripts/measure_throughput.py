"""Measures each configured labeller on a few clips, as a job of its own: clips per hour, share of the model, memory."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from udpdiff.storage.shards import ShardReader, ShardWriter
from udpdiff.throughput import Throughput

SCRIPTS = {"entities": "segment_entities", "depth": "estimate_depth"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--labellers", required=True, type=json.loads, help="json: entities/NAME, depth/NAME: settings")
    parser.add_argument("--clips", required=True, type=Path, help="a shard of clips")
    parser.add_argument("--count", type=int, default=16, help="how many of its clips to label")
    parser.add_argument("--throughput", required=True, type=Path)
    arguments = parser.parse_args()

    measured = []
    with tempfile.TemporaryDirectory() as scratch:
        few = first_clips(arguments.clips, arguments.count, Path(scratch) / "clips.h5")
        for name, told in arguments.labellers.items():
            record = measure(name.split("/")[0], told, few, Path(scratch) / name)
            measured.append(record)
            print(describe(name, record), flush=True)
    from udpdiff.provenance import provenance

    made = provenance()
    document = {key: made[key] for key in ("commit", "dirty", "package_sha256", "versions", "hardware")}
    arguments.throughput.write_text(json.dumps(document | {"labellers": measured}, indent=1) + "\n")


def first_clips(source: Path, count: int, path: Path) -> Path:
    """A shard of the first clips of another one."""
    with ShardReader(source) as clips, ShardWriter(path, "clips", clips.attrs) as few:
        for clip_id, data in clips.items():
            if few.added == count:
                break
            few.add(clip_id, data)
    return path


def measure(kind: str, told: dict, clips: Path, scratch: Path) -> dict:
    """Label the clips with the command of the labelling job, in a process of its own, and return what it timed."""
    timing = scratch / "timing.json"
    command = [sys.executable, "-m", f"scripts.{SCRIPTS[kind]}", "--settings", json.dumps(told), "--clips", str(clips)]
    subprocess.run([*command, f"--{kind}", str(scratch / "labels.h5"), "--timing", str(timing)], check=True)
    return json.loads(timing.read_text())


def describe(name: str, record: dict) -> str:
    """One line for people."""
    took = Throughput(**record)
    memory = f"{took.peak_rss_gb:.2f} GB" + (f", GPU {took.peak_gpu_gb:.2f} GB" if took.peak_gpu_gb is not None else "")
    return (
        f"{name}: {took.clips} clips, {took.clips_per_hour:,.0f} an hour, {took.model_share:.0%} of the time in the model, "
        f"{memory}, {took.device}"
    )


if __name__ == "__main__":
    main()
