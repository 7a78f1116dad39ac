"""Prints what the configured scale costs: jobs, hours and disk per stage, each figure measured here, cited or counted."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from udpdiff import config, preflight
from udpdiff.clip import SPLITS
from udpdiff.planning.counted_encoding import encoding_speed, latent_bytes, prompt_bytes, prompt_speed
from udpdiff.planning.counted_work import counted_speed
from udpdiff.planning.plan import Speed, StagePlan, labeller_speed, measured_speed, plan_table, raw_label_bytes
from udpdiff.storage.shards import ShardReader
from udpdiff.throughput import Throughput, read_throughputs

CAPTIONS = 2  # of a clip: a brief and a detailed one
SOURCES = {"scenes": "render_scenes", "videos": "cut_videos", "panda70m": "download_clips"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", required=True, type=json.loads, help="json: the whole configuration")
    parser.add_argument("--labellers", required=True, type=json.loads, help="json: entities/NAME, depth/NAME: settings")
    parser.add_argument("--encoding", required=True, type=json.loads, help="json: as the encoding jobs are told")
    parser.add_argument("--results", required=True, type=Path)
    parser.add_argument("--benchmarks", required=True, type=Path)
    arguments = parser.parse_args()

    plan = preflight.Plan(config.parse(arguments.settings))
    clips = plan.config.clips
    records = read_throughputs(arguments.benchmarks, arguments.results / "throughput.json")
    stages = [
        stage(plan, SOURCES[plan.config.source.kind], SPLITS),
        *(labeller(plan, name, told, arguments.results, records) for name, told in arguments.labellers.items()),
        *later_stages(plan, arguments.encoding, records),
    ]
    counts = " and ".join(f"{clip_count(plan, [split]):,} {split}" for split in SPLITS)
    print(f"\n{counts} clips of {clips.num_frames} frames, {clips.height} x {clips.width}\n\n{plan_table(stages)}\n")


def labeller(plan: preflight.Plan, name: str, told: dict, results: Path, records: list[Throughput]) -> StagePlan:
    """The plan of one labeller, on the splits that want its labels."""
    kind, own_name = name.split("/")
    measured = bytes_per_clip(results / name, told)
    return stage(
        plan,
        name,
        labelled_splits(plan.config, kind, own_name),
        speed=labeller_speed(kind, told, clip_size(plan), records),
        bytes_per_clip=raw_label_bytes(clip_size(plan)) if measured is None else measured,
        bytes_measured=measured is not None,
    )


def labelled_splits(settings: config.Config, kind: str, name: str) -> list[str]:
    """train for a labeller whose labels a run trains on; evaluation for a judge of the metrics and for one that is only
    looked at. With exact truth all are measured, on the evaluation split."""
    task = {"entities": "seg", "depth": "depth"}[kind]
    trained = any(getattr(run, kind) == name for run in settings.runs.values() if task in run.tasks)
    is_judge = getattr(settings.metrics, f"judge_{kind}") == name
    measured = is_judge or not trained or settings.source.kind == "scenes"
    return ["train"] * trained + ["evaluation"] * measured


def later_stages(plan: preflight.Plan, encoding: dict, records: list[Throughput]) -> list[StagePlan]:
    """What follows the labels; a clip counts each time that training sees it."""
    streams = [plan.run_streams(run) for run in plan.config.runs]
    latents = sorted({"video"} | {name for stream in streams for name in stream["dense"].values()})
    texts = sorted({name for stream in streams for name in stream["text"].values()})
    runs = {run: plan.config.run_training(run) for run in plan.config.runs}
    samples = sum(len(run.tasks) or 1 for run in plan.config.runs.values())
    base = plan.config.model.base
    prompts = {"speed": prompt_speed(base, CAPTIONS), "bytes_per_clip": prompt_bytes(base, CAPTIONS)}
    return [
        stage(plan, "captions", SPLITS),
        *(latents_stage(plan, name, encoding, records) for name in latents),
        *(stage(plan, f"latents/{name}", ["train"], **prompts) for name in texts),
        StagePlan(
            "train",
            len(runs),
            sum(training.steps * training.batch_size for training in runs.values()),
            training_speed(plan),
        ),
        StagePlan("sample", samples, samples * plan.config.sampling.prompts, sampling_speed(plan)),
    ]


def latents_stage(plan: preflight.Plan, stream: str, encoding: dict, records: list[Throughput]) -> StagePlan:
    """One stream of latents: measured where it was, else counted."""
    base, size = plan.config.model.base, clip_size(plan)
    maps = encoding["colourings"] if stream.startswith("pixelplanes-") else 1
    measured = measured_speed(f"latents/{stream}", encoding, size, records)
    return stage(
        plan,
        f"latents/{stream}",
        ["train"],
        speed=measured or encoding_speed(base, size, maps),
        bytes_per_clip=latent_bytes(base, size, maps),
    )


def training_speed(plan: preflight.Plan) -> Speed | None:
    """A backward pass is twice a forward one; gradient checkpointing goes forward once more."""
    passes = 4 if plan.config.training.gradient_checkpointing else 3
    return counted_speed(
        plan.config.model.base, clip_size(plan), passes, f"{passes} forward passes' work a step and clip"
    )


def sampling_speed(plan: preflight.Plan) -> Speed | None:
    """Guidance asks for each step with and without the prompt."""
    sampling = plan.config.sampling
    passes = sampling.num_inference_steps * (2 if sampling.guidance_scale > 1 else 1)
    return counted_speed(plan.config.model.base, clip_size(plan), passes, f"{passes} forward passes a clip")


def clip_size(plan: preflight.Plan) -> dict[str, int]:
    return {key: getattr(plan.config.clips, key) for key in ("num_frames", "height", "width")}


def stage(plan: preflight.Plan, name: str, splits, **known) -> StagePlan:
    """A stage of one job per shard of the splits."""
    return StagePlan(name, sum(plan.shard_count(split) for split in splits), clip_count(plan, splits), **known)


def clip_count(plan: preflight.Plan, splits) -> int:
    return sum(len(shard) for split in splits for shard in plan.shards[split])


def bytes_per_clip(folder: Path, told: dict) -> float | None:
    """Bytes on disk per clip of the shards that were labelled with these settings; None without any."""
    clips = size = 0
    for path in folder.glob("*/*.h5"):
        with ShardReader(path) as shard:
            if shard.attrs["settings"] == told:
                clips, size = clips + len(shard) + len(shard.rejected), size + path.stat().st_size
    return size / clips if clips else None


if __name__ == "__main__":
    main()
