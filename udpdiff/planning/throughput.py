"""The benchmark of the labellers: each labels a few clips by the command of its job, in a process of its own."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from udpdiff.jobs import Execution, MeasureThroughput
from udpdiff.storage.shards import ShardReader, ShardWriter
from udpdiff.timing import Throughput, read_throughput

_COMMANDS = {"entities": "scripts.segment_entities", "depth": "scripts.estimate_depth"}


def measure_labellers(
    job: MeasureThroughput, execution: Execution, clips: str | Path, count: int
) -> Iterator[tuple[str, Throughput]]:
    """Yield each labeller's folder name and what it took.

    Args:
        job: The labellers.
        execution: How they are run.
        clips: A shard of clips.
        count: How many of its clips each labels.

    Raises:
        subprocess.CalledProcessError: A labeller fails; its own message stands on stderr.
    """
    with tempfile.TemporaryDirectory() as folder:
        few = first_clips(clips, count, Path(folder) / "clips.h5")
        for name, labeller in job.labellers.items():
            kind, scratch = name.split("/")[0], Path(folder) / name
            command = [sys.executable, "-m", _COMMANDS[kind], "--job", labeller.dump(), "--execution", execution.dump()]
            command += ["--clips", str(few), f"--{kind}", str(scratch / "labels.h5")]
            command += ["--summary", str(scratch / "labels.json"), "--timing", str(scratch / "timing.json")]
            subprocess.run(command, check=True)
            yield name, read_throughput(scratch / "timing.json")


def first_clips(source: str | Path, count: int, path: str | Path) -> Path:
    """Write a shard of the first clips of another one; return its path."""
    with ShardReader(source) as clips, ShardWriter(path, "clips", clips.attrs) as few:
        for clip_id, data in clips.items():
            if few.added == count:
                break
            few.add(clip_id, data)
    return Path(path)


def describe(name: str, record: Throughput) -> str:
    """Return one line for people."""
    memory = f"{record.peak_rss_gb:.2f} GB"
    memory += f", GPU {record.peak_gpu_gb:.2f} GB" if record.peak_gpu_gb is not None else ""
    return (
        f"{name}: {record.clips} clips, {record.clips_per_hour:,.0f} an hour, {record.model_share:.0%} of the time in the "
        f"model, {memory}, {record.device}"
    )
