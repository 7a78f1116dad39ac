"""Figures do not depend on batch, shard or device beyond what is stated, and say what they rest on."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from udpdiff import checkpoints, jobs
from udpdiff.figure_record import Basis
from udpdiff.files import file_sha256
from udpdiff.metrics import feature_shards
from udpdiff.metrics.evaluate import evaluate_samples
from udpdiff.metrics.feature_shards import extract_features, read_features
from udpdiff.metrics.tolerances import OTHER_DEVICE, SAME_DEVICE
from udpdiff.provenance import origin
from udpdiff.storage.shards import ShardReader, ShardWriter
from udpdiff.video_io import encode_mp4

JOB = jobs.ExtractFeatures(
    video_encoder="mini:video_encoder",
    subject_encoder="mini:subject_encoder",
    image_encoder="mini:image_encoder",
    interpolator="blend",
    flow="dis",
    kernel_encoder="mini:video_encoder",
)
SAMPLED = {"guidance_scale": 3.0, "seed": 1000, "codec": "lossless"}


def write_clips(path: Path, numbers: list[int]) -> Path:
    """A shard of squares that go to the right, one for each number, as a sampling job would leave it."""
    size = {"height": 48, "width": 64, "num_frames": 9, "fps": 8.0, "source": "samples"}
    with ShardWriter(path, "clips", size | {"job": SAMPLED | {"first": numbers[0]}}) as shard:
        for number in numbers:
            rng = np.random.default_rng(number)
            video = np.full((9, 48, 64, 3), 90, np.uint8)
            for frame, square in enumerate([rng.integers(0, 256, (20, 20, 3), np.uint8)] * 9):
                video[frame, 10:30, (1 + number) * frame : (1 + number) * frame + 20] = square
            texts = dict.fromkeys(("brief", "source_id", "source_sha256", "record_sha256"), "")
            data = {"video_mp4": encode_mp4(video, 8.0, lossless=True), "detailed": f"A red ball and {number} cubes."}
            shard.add(f"clip {number}", texts | data)
    return path


def extracted(folder: Path, name: str, numbers: list[int], device: str = "cpu") -> Path:
    clips = write_clips(folder / f"{name}.clips.h5", numbers)
    extract_features(clips, folder / f"{name}.h5", JOB, device)
    return folder / f"{name}.h5"


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    return extracted(tmp_path_factory.mktemp("whole"), "whole", [0, 1, 2, 3])


def check_equal(paths: list[Path], whole: Path, tolerance: float) -> None:
    found, expected = read_features(paths), read_features([whole])
    assert found.clip_ids == expected.clip_ids
    for own, other in zip(found.scores, expected.scores, strict=True):
        assert own == pytest.approx(other, abs=tolerance)
    for name in ("features", "kernel_features"):
        gap = np.linalg.norm(getattr(found, name) - getattr(expected, name), axis=1)
        assert (gap <= tolerance * np.linalg.norm(getattr(expected, name), axis=1)).all(), name


def test_shards_do_not_matter(tmp_path, whole):
    parts = [extracted(tmp_path, "first", [0]), extracted(tmp_path, "second", [1, 2, 3])]
    check_equal(parts, whole, SAME_DEVICE)


def test_batches_do_not_matter(tmp_path, whole, monkeypatch):
    honest = feature_shards.load_extractors

    def one_at_a_time(*arguments, **named):
        extractors = honest(*arguments, **named)
        extractors.subject.batch_frames = extractors.image.batch_frames = 1
        extractors.video.batch_videos = extractors.kernel.batch_videos = 1
        return extractors

    monkeypatch.setattr(feature_shards, "load_extractors", one_at_a_time)
    check_equal([extracted(tmp_path, "single", [0, 1, 2, 3])], whole, SAME_DEVICE)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_devices_do_not_matter(tmp_path, whole):
    check_equal([extracted(tmp_path, "gpu", [0, 1, 2, 3], "cuda")], whole, OTHER_DEVICE)


def test_a_file_of_figures_says_what_they_rest_on(whole):
    job = jobs.EvaluateSamples(run="base", task="video", seed=7, bootstrap_samples=20, judge=None)
    document = json.loads(json.dumps(evaluate_samples(job, [whole], [whole])))
    told = document["provenance"]
    made = origin()
    assert {name: told[name] for name in made} == made and made["versions"]["torch"] == torch.__version__.split("+")[0]
    assert set(told["networks"]) == {"video", "subject", "image", "interpolator", "flow", "kernel"}
    weights = Path(checkpoints.resolve("mini:video_encoder")) / "model.safetensors"
    digests = {role: network["sha256"] for role, [network] in told["networks"].items()}
    assert digests["video"] == digests["kernel"] == file_sha256(weights)
    assert told["networks"]["flow"] == [{"name": "DIS (OpenCV, medium)", "sha256": None}]
    facts = {"frames": 9, "height": 48, "width": 64, "fps": 8.0, "codec": "lossless", "seed": 1000}
    assert told["videos"] == {"videos": [facts], "real": [facts]}
    (extraction,) = told["extraction"]
    assert extraction["device"].endswith("CPU, 1 thread(s)") and extraction["commit"] == made["commit"]
    assert told["seeds"] == {"intervals": [7]} and told["clip_ids"]["videos"] == [
        f"clip {number}" for number in range(4)
    ]


def test_videos_that_differ_are_told_apart(tmp_path, whole):
    other = extracted(tmp_path, "other", [1, 2])
    found = Basis.of_shards(read_features([whole, other]).made, "videos")
    assert [videos.seed for videos in found.videos["videos"]] == [1000, 1001] and len(found.extraction) == 1


def test_features_of_other_weights_are_not_joined(tmp_path, whole):
    with ShardReader(whole) as shard:
        attrs, rows, scores = json.loads(json.dumps(shard.attrs)), dict(shard.items()), shard.scores
    attrs["behind"]["networks"]["video"]["sha256"] = "0" * 64
    with ShardWriter(tmp_path / "other.h5", "two_features", attrs) as shard:
        for clip_id, data in rows.items():
            shard.add(f"other {clip_id}", data, scores[clip_id])
    with pytest.raises(ValueError, match="by 2 sets of networks"):
        read_features([whole, tmp_path / "other.h5"])


def test_what_a_job_is_told_names_no_device_and_no_version():
    for job in (jobs.ExtractFeatures, jobs.EvaluateSamples, jobs.CompareWithBase, jobs.LabelQuality, jobs.CodecQuality):
        assert not {"device", "versions", "commit", "provenance"} & set(job.model_fields)
