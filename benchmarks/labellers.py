"""Labellers: clips per hour, and the share of the time inside their networks, on rendered scenes of any size.

Each labeller of the configuration labels the same clips by the command of its job, in a process of its own. What real
checkpoints take needs their weights: name them in a `--configfile`. Times do not depend on what the clips show, but the
number of objects does.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import yaml
from snakemake.utils import update_config

from benchmarks.pairing import median
from benchmarks.results import results_path, table, write_results
from udpdiff import jobs
from udpdiff.config.parsing import parse as parse_config
from udpdiff.config.schema import ClipSize, Config
from udpdiff.planning.throughput import measure_labellers
from udpdiff.sources.rendering import render_shard
from udpdiff.timing import Throughput

_FIRST_SCENE = 10**9
_CONFIGURATION = Path(__file__).resolve().parents[1] / "config.yaml"


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.labellers", description=__doc__)
    parser.add_argument("--configfile", type=Path, nargs="*", default=(), help="over config.yaml, as in the workflow")
    parser.add_argument("--height", type=int, default=480)
    parser.add_argument("--width", type=int, default=720)
    parser.add_argument("--num-frames", type=int, default=49)
    parser.add_argument("--clips", type=int, default=4)
    parser.add_argument("--labellers", nargs="*", help="such as depth/depthcrafter; by default all")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--device", help="by default a GPU where there is one")
    parser.add_argument("--output", type=Path, help="by default beside this file")
    options = parser.parse_args(arguments)

    config = read_config(options.configfile)
    size = ClipSize(height=options.height, width=options.width, num_frames=options.num_frames, fps=8)
    job = jobs.MeasureThroughput(labellers=labeller_jobs(config, options.labellers))
    with tempfile.TemporaryDirectory() as folder:
        clips = Path(folder) / "clips.h5"
        render_shard(scenes_job(config, size, options.clips), clips, Path(folder) / "truth.h5")
        execution, records = jobs.Execution(device=options.device), {name: [] for name in job.labellers}
        for _ in range(options.repeats):
            for name, record in measure_labellers(job, execution, clips, options.clips):
                records[name].append(record)
    shape = f"{options.height}x{options.width}"
    write_results(
        options.output or results_path("labellers", shape),
        "benchmarks.labellers",
        f"Labellers at {options.height} x {options.width}",
        [
            f"{options.clips} rendered scenes of {options.num_frames} frames, {options.repeats} rounds; loading left out.",
            table([row(name, own) for name, own in records.items()]),
        ],
        arguments,
    )


def read_config(files: Sequence[Path]) -> Config:
    """Return the mini configuration with files over it, section by section."""
    raw = yaml.safe_load(_CONFIGURATION.read_text())
    for path in files:
        update_config(raw, yaml.safe_load(path.read_text()))
    return parse_config(raw)


def labeller_jobs(config: Config, names: Sequence[str] | None) -> dict[str, jobs.SegmentEntities | jobs.EstimateDepth]:
    """Return the jobs by kind and name.

    Raises:
        ValueError: A name is not configured.
    """
    labels = config.labels
    found: dict[str, jobs.SegmentEntities | jobs.EstimateDepth] = {
        f"entities/{name}": jobs.SegmentEntities(labeller=each, tracker=labels.tracker, cleanup=labels.cleanup)
        for name, each in labels.entities.items()
    }
    found |= {f"depth/{name}": jobs.EstimateDepth(labeller=each) for name, each in labels.depth.items()}
    for name in names or ():
        if name not in found:
            raise ValueError(f"--labellers: got {name!r}; allowed: {', '.join(found)}")
    return {name: found[name] for name in names or found}


def scenes_job(config: Config, size: ClipSize, count: int) -> jobs.RenderScenes:
    """Return the job that renders scenes which the mini scale never trains on."""
    return jobs.RenderScenes(
        first_scene=_FIRST_SCENE,
        count=count,
        min_solids=2,
        max_solids=3,
        solid_size=1.4,
        size=size,
        filters=config.filters,
    )


def row(name: str, records: Sequence[Throughput]) -> dict[str, object]:
    """Return the row of one labeller."""
    gpu = [record.peak_gpu_gb for record in records if record.peak_gpu_gb is not None]
    return {
        "labeller": name,
        "clips an hour": median([record.clips_per_hour for record in records]),
        "share inside networks": median([record.model_share for record in records]),
        "device": records[0].device,
        "peak GPU memory, GB": f"{max(gpu):.1f}" if gpu else None,
        "peak resident memory, GB": f"{max(record.peak_rss_gb for record in records):.1f}",
    }


if __name__ == "__main__":
    main(sys.argv[1:])
