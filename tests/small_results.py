"""A small results folder with everything that the report reads, full of text that must stay text."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import yaml

from udpdiff.config import parsing as config_parsing
from udpdiff.jobs import CompareWithBase, RenderReport
from udpdiff.metrics.against_base import compare_with_base
from udpdiff.metrics.bootstrap import bootstrap_mean
from udpdiff.metrics.feature_shards import VideoSet
from udpdiff.metrics.set_distances import measure_distances
from udpdiff.report.inputs import Inputs, labelled_task
from udpdiff.sources.scenes import SceneSettings, render_clip
from udpdiff.storage.captions import Caption, CaptionWriter
from udpdiff.storage.sealed import seal_file, seal_folder, write_record
from udpdiff.storage.shards import ShardReader, ShardWriter
from udpdiff.storage.summaries import write_summary
from udpdiff.tasks import get_task
from udpdiff.training.log import read_log
from udpdiff.video_io import encode_mp4
from udpdiff.workflow import jobs as workflow_jobs
from udpdiff.workflow.workflow import Workflow

ROOT = Path(__file__).parents[1]
HOSTILE = "<script>alert('x')</script> & \"quoted\" <img src=http://example.com/x.png>"
SIZE = {"height": 32, "width": 32, "num_frames": 5, "fps": 8}
CLIPS = SIZE | {"train": 3, "evaluation": 3, "shard_clips": 3, "evaluation_share": 0.5}
RUNS = {"base": {"tasks": {}}, "multi": {"tasks": {"seg": 0.5, "depth": 0.5}}}
VARIANTS = {"entities": ("entityseg", "merged"), "depth": ("depth_anything", "pumping")}


def small_job(kind: str = "scenes", videos: Path | None = None, runs: dict = RUNS, **sections: dict) -> RenderReport:
    """The report of the default configuration with two runs, two labellers of each kind and table 1.

    videos: a folder, for kind `videos`; six empty files are put there.
    """
    raw = yaml.safe_load((ROOT / "config.yaml").read_text())
    raw["source"] |= {"kind": kind, "path": videos and str(videos)}
    for index in range(6 if videos else 0):
        videos.mkdir(exist_ok=True)
        (videos / f"video {index}.mp4").touch()
    raw["models"] = {}
    raw["runs"] = {
        name: {"entities": VARIANTS["entities"][0], "depth": VARIANTS["depth"][0]} | run for name, run in runs.items()
    }
    for labels, (first, second) in VARIANTS.items():
        labeller = raw["labels"][labels][first]
        raw["labels"][labels] = {first: labeller, second: labeller}
        raw["metrics"]["judges"][labels] = first
    raw["metrics"]["judged_runs"] = dict.fromkeys(VARIANTS)
    raw["clips"] |= CLIPS
    for section, values in sections.items():
        raw[section] |= values
    job = workflow_jobs.render_report(Workflow(config_parsing.parse(raw)))
    return job.model_copy(update={"tables": (1,)})


def small_inputs(job: RenderReport, results: Path, measured: list[Path] = ()) -> Inputs:
    """What the report reads for a job."""
    return Inputs(job, results, measured, summary_paths(job, results))


def summary_paths(job: RenderReport, results: Path) -> list[Path]:
    return [results.parent / path for path in Workflow(job.config).report_summaries()]


def clip_ids(split: str) -> list[str]:
    return [f"{split} <b>clip</b> {index}" for index in range(3)]


def write_results(results: Path) -> None:
    """Three scenes per split. `entityseg` and `depth_anything` label as the truth says; `merged` takes all solids for
    ground and refuses the last clip, `pumping` changes its depths from frame to frame.
    """
    for split, first_seed in (("train", 0), ("evaluation", 10)):
        scenes = [render_clip(SceneSettings(**SIZE), first_seed + index) for index in range(3)]
        write_clips(results, split, scenes)
        write_labels(results, split, scenes)
    write_samples(results, scenes[0])
    write_training(results)
    table = results / "table1.csv"
    table.write_text(
        "model,run,task,subject_consistency_ours,subject_consistency_ours_low,subject_consistency_ours_high,"
        "subject_consistency_paper,n_videos,subject_consistency_extractor,subject_consistency_verdict,"
        "subject_consistency_difference,subject_consistency_difference_low,subject_consistency_difference_high,"
        "subject_consistency_p,about,dynamic_share_ours,kernel_distance_ours\n"
        "CogVideoX 5B,base,video,88.5,87.1,89.9,94.57,1,mini:subject_encoder,,,,,,,12.5,\n"
        "UDPDiff (segmentation),multi,seg,89.8,88.9,91.2,95.36,1,mini:subject_encoder,no difference shown,1.3,0.4,2.4,"
        "0.126,weights,25.0,\n"
    )
    seal_file(table, table.with_name("table1.csv.sha256"))


def write_training(results):
    log = [
        {
            "step": step,
            "loss": 1 / step,
            "loss_video": 0.5,
            "loss_task": {"seg": 1},
            "loss_timestep": [0.4, 0.3, 0.2, 0.1],
        }
        for step in (1, 2, 3)
    ]
    folder = results / "runs/base"
    folder.mkdir(parents=True)
    (folder / "train.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in log) + '{"step": 4, "lo')
    made = {"commit": "c0ffee", "dirty": True, "package_sha256": "ab" * 32, "started": "2026-01-01T00:00:00"}
    made |= {"versions": {"torch": "9.9", "peft": None}, "hardware": {"processor": HOSTILE, "gpus": []}}
    later = made | {"commit": "facade", "package_sha256": "cd" * 32, "started": "2026-01-02T00:00:00"}
    shutil.copytree(folder, results / "runs/multi")
    for run, record, loss in (("base", made, 0.2), ("multi", later, 0.3)):
        with (results / f"runs/{run}/train.jsonl").open("a") as file:
            file.write(
                "\n"
                + json.dumps({"step": 3, "validation": {"loss_video": loss, "loss_video_clip": {"clip": loss}}})
                + "\n"
            )
        write_record(results / f"runs/{run}/provenance.json", record)
        seal_folder(results / f"runs/{run}")


def write_clip(shard: ShardWriter, clip_id: str, video: np.ndarray, caption: str, source: str) -> None:
    words = {"brief": caption, "detailed": caption, "source_id": source, "source_sha256": "", "record_sha256": ""}
    shard.add(clip_id, {"video_mp4": encode_mp4(video, 8)} | words, {"motion": 1.0})


def write_clips(results, split, scenes):
    attrs = SIZE | {"source": "scenes"}
    with (
        ShardWriter(results / f"clips/{split}/0.h5", "clips", attrs) as clips,
        ShardWriter(results / f"truth/{split}/0.h5", "truth", attrs) as truth,
    ):
        for clip_id, scene in zip(clip_ids(split), scenes, strict=True):
            write_clip(clips, clip_id, scene.video, HOSTILE, f"source {clip_id[-1] == '2'}")
            exact = {name: getattr(scene, name) for name in ("entity_ids", "z", "flow", "normals", "camera")}
            truth.add(clip_id, exact | {"scene": json.dumps(scene.scene)})
        clips.reject("<i>bad</i>.mp4", "broken: <b>no</b>")
        truth.reject("<i>bad</i>.mp4", "broken: <b>no</b>")
    summarise(results / f"clips/{split}/0.h5")
    with CaptionWriter(results / f"captions/{split}/0.parquet", {}) as table:
        for name in clip_ids(split):
            cut = Caption(HOSTILE[:9], "x", 9, cut_tokens=6, whole=HOSTILE)  # as pages never show it
            table.add(name, Caption(HOSTILE, "x", 9), cut if split == "train" else Caption(HOSTILE, "x", 9))
        table.reject(f"{split} <i>wordless</i>", "looping caption: <b>no</b>")


def write_labels(results, split, scenes):
    for variant in VARIANTS["entities"]:
        with ShardWriter(results / f"entities/{variant}/{split}/0.h5", "entities", {}) as shard:
            for clip_id, scene in zip(clip_ids(split), scenes, strict=True):
                ids = scene.entity_ids if variant == "entityseg" else np.minimum(scene.entity_ids, 2)
                if variant == "merged" and clip_id.endswith("2"):
                    shard.reject(clip_id, "low coverage: <b>0.1</b>")
                    continue
                shard.add(clip_id, {"entity_ids": ids}, {"coverage": 1.0, "entities": float(len(np.unique(ids)))})
        summarise(shard.path)
    for variant in VARIANTS["depth"]:
        with ShardWriter(results / f"depth/{variant}/{split}/0.h5", "depth", {}) as shard:
            for clip_id, scene in zip(clip_ids(split), scenes, strict=True):
                shard.add(clip_id, {"depth": exact_depth(scene.z, 0.03 * (variant == "pumping"))})
        summarise(shard.path)


def summarise(shard: Path) -> None:
    write_summary(shard, shard.with_suffix(".json"))


def exact_depth(z, pump):
    """Disparity as depth shards store it; every other frame is off by `pump` of the range."""
    near = (1 / z - 1 / z.max()) / (1 / z.min() - 1 / z.max())
    pumped = 0.1 + 0.8 * near + pump * (np.arange(len(z)) % 2)[:, None, None]
    return np.round(pumped * 65535).astype(np.uint16)


def write_samples(results, scene):
    predictions = {"seg": scene.entity_ids, "depth": exact_depth(scene.z, 0)}
    for run, task in (("base", "video"), ("multi", "seg"), ("multi", "depth")):
        write_sample_shard(results, run, task, 0, {"clip": scene.video}, predictions.get(task))

    write_scores(results, "base", "video", {"clip": {}})
    write_scores(results, "multi", "seg", {"clip": {"entity_tube_iou": 0.5, "entity_tube_iou_shuffled": 0.1}})
    depth = {"depth_delta1": 0.25, "depth_flow_error_labels": 0.4, "depth_anything_depth_delta1": 0.3}
    write_scores(results, "multi", "depth", {"clip": depth})


def write_scores(results, run, task, dense, number=0):
    """Shards of features and comparisons of samples, as far as a report reads them: their figures, by clip id."""
    names = {"names": {"video": "a network"}, "smoothness": None, "num_frames": 5}
    with ShardWriter(results / f"features/samples/{run}/{task}/{number}.h5", "features", names) as shard:
        for index, clip_id in enumerate(dense):
            figures = {"subject_consistency": 0.9 + index / 100} | ({"still": 1.0} if index else {})
            shard.add(clip_id, {"video_features": np.zeros(6)}, figures)
    if task != "video":
        with ShardWriter(
            results / f"comparisons/{run}/{task}/{number}.h5", "comparisons", {"task": task, "judge": "x"}
        ) as shard:
            for clip_id, figures in dense.items():
                shard.add(clip_id, {}, figures)


def write_sample_shard(results, run, task, number, videos, prediction=None):
    """One shard of generated videos (by clip id), all with one prediction beside them."""
    folder = results / f"samples/{run}/{task}"
    with ShardWriter(folder / f"{number}.clips.h5", "clips", SIZE | {"source": run}) as shard:
        for clip_id, video in videos.items():
            write_clip(shard, clip_id, video, HOSTILE, run)
    if prediction is None:
        return
    colormap = get_task(task).picture(get_task(task).from_storage(prediction))
    with ShardWriter(folder / f"{number}.dense.h5", "predictions", {"fps": 8, "task": task, "run": run}) as shard:
        for clip_id in videos:
            dense = {"dense_mp4": encode_mp4(colormap, 8), "prediction": prediction, "prompt": HOSTILE}
            shard.add(clip_id, dense)


def measure_labels(results: Path, job: RenderReport) -> Path:
    """labels.json as the measuring rule writes it, of the evaluation shard."""
    document = {"metrics": {}, "variants": {}}
    for kind, variants in VARIANTS.items():
        found = {variant: compared(results, kind, variant, job) for variant in variants}
        document["metrics"] |= found[variants[0]]["metrics"]
        document["variants"][kind] = found
        rows = [found[variant]["clips"] for variant in variants]
        both = [clip for clip in rows[0] if clip in rows[1]]
        gaps = {name: [rows[1][clip][name] - rows[0][clip][name] for clip in both] for name in rows[0][both[0]]}
        found[variants[1]]["difference"] = {name: entry(values) for name, values in gaps.items()}
    path = results / "metrics/labels.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_record(path, document)
    return path


def set_against_base(results: Path) -> Path:
    """against_base.json as its rule writes it, of `multi` whose videos for seg are the base's own."""
    rng = np.random.default_rng(0)
    videos = {("base", "video"): rng.normal(1, 1, (24, 6)), ("multi", "depth"): rng.normal(3, 1, (24, 6))}
    videos["multi", "seg"] = videos["base", "video"]
    reference = rng.normal(0, 1, (40, 6))
    names = [str(row) for row in range(40)]
    sets = {
        pair: VideoSet(names[: len(rows)], rows, [], np.zeros(0), {"video": "a network"}, None)
        for pair, rows in (videos | {"real": reference}).items()
    }
    real = sets.pop("real")
    measured = {
        pair: {"clips": {"videos": each.clip_ids}, "metrics": measure_distances(real, each, seed=0)}
        for pair, each in sets.items()
    }
    logs = {run: read_log(results / f"runs/{run}/train.jsonl") for run in ("base", "multi")}
    job = CompareWithBase(base="base", pairs=(("multi", "seg"), ("multi", "depth")))
    path = results / "metrics/against_base.json"
    write_record(path, compare_with_base(job, measured, logs))
    return path


def compared(results, kind, variant, job):
    """The figures of one labeller against the truth."""
    task, clips = labelled_task(kind), {}
    options = job.config.task_options(task.name)
    with (
        ShardReader(results / "truth/evaluation/0.h5") as truth,
        ShardReader(results / f"{kind}/{variant}/evaluation/0.h5") as labels,
    ):
        for clip_id in labels.clip_ids:
            exact = {name: truth.read(clip_id, name) for name in ("entity_ids", "z", "flow")}
            prediction = task.from_labels(labels.read(clip_id, task.dataset), options)
            clips[clip_id] = task.compare_with_truth(prediction, exact, task.Options())
        refused = {rejected["clip_id"]: rejected["reason"] for rejected in labels.rejected}
    names = dict.fromkeys(name for row in clips.values() for name in row)
    metrics = {name: entry([row[name] for row in clips.values()]) for name in names}
    metrics["refused_share" if kind == "entities" else "depth_refused_share"] = entry(
        [0.0] * len(clips) + [1.0] * len(refused)
    )
    return {"metrics": metrics, "difference": {}, "clips": clips, "refused": refused}


def entry(values: list[float]) -> dict:
    """A figure as it stands in the files of the measuring rules."""
    mean = bootstrap_mean(values, resamples=100, seed=0)
    return {"value": mean.value, "low": mean.low, "high": mean.high, "n": mean.n, "per_video": values, "extractor": "x"}


def open_in_browser(page: Path, folder: Path, width: int) -> tuple[str, Path]:
    """The page as headless Chromium has built it, and a picture of it; skips the test where there is none."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no Chromium here")
    shot = folder / "page.png"
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--hide-scrollbars"]
    dump = subprocess.run(
        [browser, *flags, f"--user-data-dir={folder / 'profile'}", f"--window-size={width},900",
         f"--screenshot={shot}", "--dump-dom", page.as_uri()],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    return dump.stdout, shot
