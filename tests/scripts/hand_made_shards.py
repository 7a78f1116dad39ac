"""Small shards with known content, and the measuring scripts run on them."""

from __future__ import annotations

import importlib
import sys

import numpy as np

from udpdiff import jobs
from udpdiff.figure_record import Made, Network
from udpdiff.metrics import feature_shards
from udpdiff.metrics.extractors import Extractors
from udpdiff.metrics.flow import load_flow
from udpdiff.metrics.interpolation import load_interpolator
from udpdiff.storage.means import write_mean
from udpdiff.storage.schema import SCHEMAS
from udpdiff.storage.shards import ShardWriter
from udpdiff.tasks import get_task
from udpdiff.video_io import encode_mp4

SIZE, FRAMES = 32, 5
CLIP_ATTRS = {"height": SIZE, "width": SIZE, "num_frames": FRAMES, "fps": 8, "source": "test"}


def run(script, monkeypatch, **arguments):
    """Run a script with `--name value...`; jobs are dumped, lists become several values."""
    words = []
    for name, value in arguments.items():
        values = value if isinstance(value, list) else [value]
        words += [f"--{name}", *(each.dump() if isinstance(each, jobs.Job) else str(each) for each in values)]
    monkeypatch.setattr(sys, "argv", [script, *words])
    importlib.import_module(f"scripts.{script}").main()


def shard(path, schema, rows, attrs=None, rejected=()):
    """Write a shard; rows: clip id -> arrays, text that a row does not name is empty."""
    path.parent.mkdir(parents=True, exist_ok=True)
    blank = {name: "" for name, spec in SCHEMAS[schema].datasets.items() if spec.kind == "text"}
    with ShardWriter(path, schema, attrs or {}) as writer:
        for clip_id, arrays in rows.items():
            writer.add(clip_id, blank | arrays)
        for clip_id in rejected:
            writer.reject(clip_id, "low coverage: 0.1")
    return path


def clips(path, videos, num_frames=FRAMES):
    attrs = CLIP_ATTRS | {"num_frames": num_frames}
    rows = {name: {"video_mp4": encode_mp4(video, 8), "detailed": f"A {name}."} for name, video in videos.items()}
    return shard(path, "clips", rows, attrs)


def predictions(path, stored, task):
    rows = {
        name: {"dense_mp4": encode_mp4(picture, 8), "prediction": stored[name]}
        for name, picture in pictures(stored, task).items()
    }
    return shard(path, "predictions", rows, {"run": "multi", "task": task, "fps": 8})


def pictures(stored, task):
    """Predictions in the task's colours; they stand for the videos that these are of, too."""
    task = get_task(task)
    return {name: task.picture(task.from_storage(array)) for name, array in stored.items()}


def labels(path, stored, rejected=()):
    kind = path.parts[-4]
    dataset = {"entities": "entity_ids", "depth": "depth"}[kind]
    made = Made.of(CLIP_ATTRS, {"network": Network(name="stub", sha256="0" * 64)})
    rows = {name: {dataset: array} for name, array in stored.items()}
    return shard(path, kind, rows, {"behind": made.model_dump(mode="json")}, rejected=rejected)


def moving_videos(count, seed, num_frames=FRAMES):
    rng = np.random.default_rng(seed)
    start = rng.integers(30, 200, (count, 1, 8, 8, 3)) + rng.normal(0, 8, (count, num_frames, 8, 8, 3)).cumsum(1)
    start = np.clip(start, 0, 255).astype(np.uint8).repeat(4, 2).repeat(4, 3)
    return {f"clip {index}": video for index, video in enumerate(start)}


class StubNetwork:
    """Features of frames and of videos: mean colours; says which batches it saw, and stops where it is told to."""

    name, batch_videos = "stub", 4

    def __init__(self):
        self.batches, self.stop_at = [], None

    def encode(self, video):
        if self.stop_at is not None:
            self.stop_at -= 1
            if self.stop_at < 0:
                raise KeyboardInterrupt
        return video.mean((1, 2)) + 1.0

    def encode_text(self, text):
        return np.ones(3), len(text) > 100

    def encode_videos(self, videos):
        self.batches.append(len(videos))
        return np.stack([video.mean((0, 1, 2)) + video.std() for video in videos]).astype(np.float64)


def use_stub(monkeypatch):
    """Let the stub stand for all networks of the metrics."""
    network = StubNetwork()

    def load(
        video_encoder,
        subject_encoder=None,
        image_encoder=None,
        interpolator=None,
        flow=None,
        kernel_encoder=None,
        device="cpu",
    ):
        if subject_encoder is None:
            return Extractors(network)
        kernel = kernel_encoder and StubNetwork()
        return Extractors(network, network, network, load_interpolator(interpolator), load_flow(flow), kernel)

    monkeypatch.setattr(feature_shards, "load_extractors", load)
    return network


GENERATED = jobs.ExtractFeatures(
    video_encoder="v", subject_encoder="s", image_encoder="i", interpolator="blend", flow="dis", kernel_encoder="k"
)
EXECUTION = jobs.Execution(device="cpu")


def extract(monkeypatch, source, target, job=GENERATED):
    run("extract_features", monkeypatch, job=job, execution=EXECUTION, clips=source, features=target)
    return target


def evaluate(tmp_path, monkeypatch, features, reference, comparisons=(), **job):
    job = {"run": "multi", "task": "depth", "seed": 7, "bootstrap_samples": 20, "judge": None} | job
    quality = tmp_path / f"{job['run']}-{job['task']}.json"
    arguments = {"features": features, "reference": reference} | ({"comparisons": comparisons} if comparisons else {})
    run("evaluate_samples", monkeypatch, job=jobs.EvaluateSamples(**job), **arguments, quality=quality)
    return quality


def ramps(count, size=16, noise=0.0):
    """Depth labels uint16, a ramp per clip whose direction turns from clip to clip."""
    rows, columns = np.mgrid[0:size, 0:size] / (size - 1) - 0.5
    turns = np.linspace(0, 2 * np.pi, count, endpoint=False)
    rng = np.random.default_rng(1)
    ramped = [0.5 + 0.6 * (np.cos(turn) * rows + np.sin(turn) * columns) for turn in turns]
    found = [np.clip(ramp + rng.normal(0, noise, (FRAMES, size, size)), 0, 1) for ramp in ramped]
    return {f"clip {index}": np.rint(each * 65535).astype(np.uint16) for index, each in enumerate(found)}


def compare(tmp_path, monkeypatch, task, predicted, reference, rejected=(), comparators=None, training=()):
    kind = get_task(task).labels
    paths = [labels(tmp_path / kind / name / task / "0.h5", stored, gone) for name, stored, gone in comparators or []]
    job = jobs.CompareSamples(
        task=task, options={}, judge="judge", comparators=[name for name, *_ in comparators or []]
    )
    learned = [labels(tmp_path / kind / "learned" / task / f"{i}.h5", stored) for i, stored in enumerate(training)]
    optional = {"comparators": paths} if paths else {}
    if learned:
        means = [path.with_suffix(".npz") for path in learned]
        for shard_path, path in zip(learned, means, strict=True):
            write_mean(shard_path, path)
        run("mean_labels", monkeypatch, means=means, mean=tmp_path / "mean.npz")
        optional |= {"mean": tmp_path / "mean.npz"}
    target = tmp_path / f"{task}-compared.h5"
    run(
        "compare_samples",
        monkeypatch,
        job=job,
        predictions=predictions(tmp_path / f"{task}.h5", predicted, task),
        clips=clips(tmp_path / f"{task}.clips.h5", pictures(predicted, task)),
        reference=labels(tmp_path / kind / "judge" / task / "0.h5", reference, rejected),
        **optional,
        comparison=target,
    )
    return target
