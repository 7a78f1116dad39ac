"""The measuring scripts on hand-made shards, from the first to the tables: what each reads, compares and leaves out."""

from __future__ import annotations

import json

import numpy as np
import pytest
from figure_files import check_record
from hand_made_shards import (
    EXECUTION,
    FRAMES,
    SIZE,
    clips,
    compare,
    evaluate,
    extract,
    labels,
    moving_videos,
    ramps,
    run,
    shard,
    use_stub,
)

from udpdiff import jobs
from udpdiff.measures.fvd import split_floor
from udpdiff.metrics.comparison import read_comparisons
from udpdiff.metrics.registry import label_figures
from udpdiff.sources.scenes import SceneSettings, render_clip
from udpdiff.storage.schema import SCHEMAS
from udpdiff.storage.shards import ShardReader
from udpdiff.tasks import TASKS, get_task


def test_a_stopped_extraction_goes_on_with_the_same_batches(tmp_path, monkeypatch):
    network = use_stub(monkeypatch)
    source = clips(tmp_path / "clips.h5", moving_videos(10, 0))
    whole = extract(monkeypatch, source, tmp_path / "whole.h5")
    assert network.batches == [4, 4, 2]
    network.batches.clear()
    network.stop_at = 2 * 6  # two networks of frames per clip: in the middle of the second batch
    with pytest.raises(KeyboardInterrupt):
        extract(monkeypatch, source, tmp_path / "stopped.h5")
    network.stop_at = None
    stopped = extract(monkeypatch, source, tmp_path / "stopped.h5")
    assert network.batches == [4, 4, 4, 2], "the second batch is whole again, the first is not repeated"
    with ShardReader(whole) as first, ShardReader(stopped) as second:
        assert first.clip_ids == second.clip_ids and first.scores == second.scores
        assert set(first.scores["clip 0"]) == {
            "subject_consistency", "background_consistency", "motion_smoothness_blend", "dynamic_degree", "dynamic_share",
            "prompt_fidelity",
        }  # fmt: skip
        for clip_id in first.clip_ids:
            for name in ("video_features", "kernel_features"):
                np.testing.assert_array_equal(*(each.read(clip_id, name) for each in (first, second)))


def test_generated_and_real_videos_are_not_exchanged(tmp_path, monkeypatch):
    """Two lengths of clips, so that weights count; the floor and its n are those of the real videos."""
    use_stub(monkeypatch)
    short = extract(monkeypatch, clips(tmp_path / "0.h5", moving_videos(3, 1)), tmp_path / "f0.h5")
    long = extract(monkeypatch, clips(tmp_path / "1.h5", moving_videos(3, 2, 9), 9), tmp_path / "f1.h5")
    real = extract(monkeypatch, clips(tmp_path / "2.h5", moving_videos(12, 3)), tmp_path / "real.h5")
    document = json.loads(evaluate(tmp_path, monkeypatch, [short, long], [real]).read_text())
    metrics = document["metrics"]
    assert (document["run"], document["task"], document["seed"], document["n"]) == ("multi", "depth", 7, 6)
    values = []
    for path in (short, long):
        with ShardReader(path) as features:
            values += [scores["subject_consistency"] for scores in features.scores.values()]
    assert metrics["subject_consistency"]["per_video"] == values
    assert metrics["subject_consistency"]["value"] == pytest.approx(np.average(values, weights=[4] * 3 + [8] * 3))
    with ShardReader(real) as features:
        found = np.stack([data["video_features"] for _, data in sorted(features.items())])
    assert metrics["fvd_floor"]["value"] == pytest.approx(split_floor(found, np.random.default_rng(7)))
    assert (metrics["fvd_floor"]["n"], metrics["fvd"]["n"]) == (6, 6)


def test_controls_of_generated_depth(tmp_path, monkeypatch):
    """Perfect predictions: exchanged ones are other videos', never their own, and the constant is the training labels' mean."""
    depths, task = ramps(6), get_task("depth")
    training = [dict(list(depths.items())[:3]), {"clip 9": depths["clip 3"]}]  # shards of different length
    found = read_comparisons([compare(tmp_path, monkeypatch, "depth", depths, depths, training=training)])
    assert list(found.clips) == list(depths) and found.left_out == {}
    names, prediction = list(depths), {name: task.from_storage(each) for name, each in depths.items()}
    mean = np.mean([*(each.mean(0) for each in training[0].values()), training[1]["clip 9"].mean(0)], axis=0)
    constant = task.constant(mean, FRAMES, task.Options())
    for index, name in enumerate(names):
        figures = found.clips[name]
        assert figures["depth_delta1"] == 1 and figures["depth_delta1_unaligned"] == 1
        others = [prediction[names[(index + shift) % 6]] for shift in (1, 2, 3, 4)]
        expected = np.mean([task.compare(other, prediction[name])["depth_delta1"] for other in others])
        assert figures["depth_delta1_shuffled"] == pytest.approx(expected) and expected < 0.95
        same = task.compare(constant, prediction[name])["depth_delta1"]
        assert figures["depth_delta1_constant"] == pytest.approx(same)
    assert min(figures["depth_delta1_constant"] for figures in found.clips.values()) < 0.8


def test_a_comparison_that_was_stopped_goes_on_inside_its_shard(tmp_path, monkeypatch):
    depths, task, calls = ramps(4), type(get_task("depth")), []
    whole = read_comparisons([compare(tmp_path / "whole", monkeypatch, "depth", depths, depths)])
    honest = task.compare

    def stopping(self, prediction, reference):
        calls.append(None)
        if len(calls) == 16:  # seven for each clip: its own, and three others' predictions and labels
            raise KeyboardInterrupt
        return honest(self, prediction, reference)

    monkeypatch.setattr(task, "compare", stopping)
    with pytest.raises(KeyboardInterrupt):
        compare(tmp_path / "parts", monkeypatch, "depth", depths, depths)
    found = read_comparisons([compare(tmp_path / "parts", monkeypatch, "depth", depths, depths)])
    assert found == whole and len(calls) == 16 + 2 * 7, "the two clips that were finished are not compared again"


def test_pixels_at_the_far_end_do_not_count(tmp_path, monkeypatch):
    """At 0.01 of the range a ratio of disparities has no meaning: an error of 0.009 there is none."""
    reference, predicted = (np.full((FRAMES, 16, 16), 40000, np.uint16) for _ in range(2))
    reference[:, :4], predicted[:, :4] = 655, 65
    found = read_comparisons([compare(tmp_path, monkeypatch, "depth", {"a": predicted}, {"a": reference})])
    assert found.clips["a"]["depth_delta1_unaligned"] == 1
    assert "depth_delta1_shuffled" not in found.clips["a"], "there is no other video to exchange with"
    assert "depth_delta1_constant" not in found.clips["a"], "there are no training labels"


def test_videos_that_the_judge_cannot_label_are_left_out_with_the_reason(tmp_path, monkeypatch):
    ids = np.zeros((FRAMES, 16, 16), np.uint16)
    ids[:, :8], ids[:, 8:] = 4, 9
    predicted = dict.fromkeys("abcd", ids)
    reference = {"a": ids, "b": np.zeros_like(ids), "d": ids.swapaxes(1, 2).copy()}
    found = read_comparisons([compare(tmp_path, monkeypatch, "seg", predicted, reference, rejected=["c"])])
    assert list(found.clips) == ["a", "d"]
    assert found.left_out == {"b": "judge finds nothing in it", "c": "low coverage: 0.1"}
    assert found.clips["a"]["entity_tube_iou"] == found.clips["a"]["entity_tube_iou_shuffled"] == 1
    assert found.clips["d"]["entity_tube_iou"] == pytest.approx(1 / 3)
    assert "entity_tube_iou_constant" not in found.clips["a"]


def test_labellers_against_exact_truth(tmp_path, monkeypatch):
    settings = SceneSettings(height=SIZE, width=SIZE, num_frames=FRAMES, fps=8, solid_size=1.4)
    scenes = {f"scene {seed}": render_clip(settings, seed) for seed in range(4)}
    names = [name for name in SCHEMAS["truth"].datasets if name != "scene"]
    truth, paths = [], {"entities": [], "depth": []}
    for number, chosen in enumerate((["scene 0", "scene 1"], ["scene 2", "scene 3"])):
        part = {name: scenes[name] for name in chosen}
        rows = {name: {key: getattr(scene, key) for key in names} for name, scene in part.items()}
        truth.append(shard(tmp_path / "truth" / "evaluation" / f"{number}.h5", "truth", rows))
        depths = {
            name: np.rint((1 / each.z - 1 / each.z.max()) / (1 / each.z.min() - 1 / each.z.max()) * 65535)
            for name, each in part.items()
        }
        ids = {name: each.entity_ids for name, each in part.items()}
        for labeller, entities, gone in (("good", ids, []), ("poor", {chosen[0]: ids[chosen[0]] * 0 + 1}, [chosen[1]])):
            paths["entities"].append(
                labels(tmp_path / "entities" / labeller / "evaluation" / f"{number}.h5", entities, gone)
            )
        for labeller, turned in (("good", 0), ("inverted", 65535)):
            stored = {name: np.abs(turned - each).astype(np.uint16) for name, each in depths.items()}
            paths["depth"].append(labels(tmp_path / "depth" / labeller / "evaluation" / f"{number}.h5", stored))
    judges = {"entities": "good", "depth": "good"}
    job = jobs.LabelQuality(seed=0, bootstrap_samples=20, judges=judges, tasks={name: {} for name in TASKS})
    # Every labeller's shards belong to the truth of their own number, in whatever order they come.
    run(
        "label_quality",
        monkeypatch,
        job=job,
        truth=truth,
        entities=paths["entities"][::-1],
        depth=paths["depth"],
        quality=tmp_path / "labels.json",
    )
    told = check_record(tmp_path / "labels.json")
    assert set(told.networks) == {f"{name} network" for name in ("good", "poor", "inverted")}
    assert told.clip_ids == {"real": list(scenes)} and told.videos["real"][0].codec == "h264"
    document = json.loads((tmp_path / "labels.json").read_text())
    metrics = document["metrics"]
    assert metrics["entity_miou"]["value"] == 1 and metrics["depth_delta1"]["value"] > 0.999
    assert metrics["normals_error_degrees"]["value"] == pytest.approx(
        metrics["normals_ceiling_degrees"]["value"], abs=0.1
    )
    poor = document["variants"]["entities"]["poor"]
    assert list(poor["clips"]) == ["scene 0", "scene 2"] and poor["metrics"]["refused_share"]["value"] == 0.5
    assert poor["refused"] == dict.fromkeys(["scene 1", "scene 3"], "low coverage: 0.1")
    assert poor["difference"]["entity_miou"]["value"] < -0.3
    inverted = document["variants"]["depth"]["inverted"]["metrics"]
    assert inverted["normals_error_degrees"]["value"] > metrics["normals_error_degrees"]["value"] + 10
    # What the script makes and what the registry describes are the same figures.
    for kind, labellers in document["variants"].items():
        assert {name for found in labellers.values() for name in found["metrics"]} == {
            figure.key for figure in label_figures(kind)
        }


def test_round_trips_take_the_worst_of_a_largest_error(tmp_path, monkeypatch):
    from scripts import codec_quality

    ids = np.zeros((FRAMES, 16, 16), np.uint16)
    ids[:, :8], ids[:, 8:], ids[:, 5:9, 5:9] = 1, 2, 3
    entities = labels(tmp_path / "entities" / "judge" / "evaluation" / "0.h5", dict.fromkeys("abcd", ids))
    depth = labels(tmp_path / "depth" / "judge" / "evaluation" / "0.h5", {**ramps(3), "clip 9": ramps(3)["clip 0"]})
    seen = []
    monkeypatch.setattr(codec_quality, "load_vae", lambda base, device, dtype: (base, device, dtype))
    monkeypatch.setattr(codec_quality, "encode_videos", lambda vae, videos: seen.append(videos) or videos)
    monkeypatch.setattr(codec_quality, "decode_latents", lambda vae, encoded: encoded)
    options = {"seg": {"min_color_distance": 40}, "depth": {}, "normals": {}}
    job = jobs.CodecQuality(
        base="mini:cogvideox",
        dtype="bfloat16",
        max_clips=3,
        batch_clips=2,
        seed=3,
        bootstrap_samples=20,
        tasks=options,
    )
    run(
        "codec_quality",
        monkeypatch,
        job=job,
        execution=EXECUTION,
        entities=[entities],
        depth=[depth],
        quality=tmp_path / "codec.json",
    )
    assert [len(batch) for batch in seen[:6]] == [2, 1] * 3, "three of the four clips, as the job says"
    assert (seen[0][0] != seen[0][1]).any(), "every clip draws colours of its own"
    told = check_record(tmp_path / "codec.json")
    assert told.networks["vae"][0].name == "mini:cogvideox" and told.clip_ids["real"][-1] == "clip 9"
    document = json.loads((tmp_path / "codec.json").read_text())
    metrics = document["metrics"]
    assert set(document["curves"]["tasks"]) == {"seg", "depth"}
    assert set(metrics) == {figure.key for task in TASKS.values() for figure in task.figures["codec"]}
    largest = metrics["spectral_max_abs_error"]
    assert largest["value"] == max(largest["per_video"]) > min(largest["per_video"])
    assert metrics["pixelplanes_exact_share"]["value"] == metrics["vae_entity_miou"]["value"] == 1
    assert metrics["vae_depth_delta1"]["value"] > 0.99 and metrics["vae_normals_within_30"]["value"] > 0.99
