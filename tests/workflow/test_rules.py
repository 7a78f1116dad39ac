"""Rules by their inputs and jobs: Snakemake builds the graph of the smoke configuration through its API and runs nothing."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from udpdiff import jobs

ROOT = Path(__file__).parents[2]
SCRIPT_JOBS = {
    "render_scenes": jobs.RenderScenes,
    "segment_entities": jobs.SegmentEntities,
    "estimate_depth": jobs.EstimateDepth,
    "write_captions": jobs.WriteCaptions,
    "encode_latents": jobs.EncodeLatents,
    "encode_text": jobs.EncodeText,
    "train": jobs.Train,
    "sample": jobs.Sample,
    "sample_video": jobs.Sample,
    "extract_features": jobs.ExtractFeatures,
    "compare_samples": jobs.CompareSamples,
    "evaluate_samples": jobs.EvaluateSamples,
    "label_quality": jobs.LabelQuality,
    "codec_quality": jobs.CodecQuality,
    "measure_runtime": jobs.MeasureRuntime,
    "render_report": jobs.RenderReport,
}
VARIANTS = {
    "entities": ["entityseg", "grid8", "grid12", "grid8_unfiltered"],
    "depth": ["depthcrafter", "depth_anything"],
}


def graph(folder: Path, config: Path, *targets: str) -> list[dict]:
    command = [sys.executable, str(Path(__file__).with_name("dag_as_json.py")), str(config), str(folder), *targets]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def smoke(tmp_path_factory) -> list[dict]:
    return graph(tmp_path_factory.mktemp("graph"), ROOT / "tests" / "smoke.yaml")


def one(found: list[dict], rule: str, **wildcards) -> dict:
    """The one job of a rule with these wildcards."""
    matching = [
        job
        for job in found
        if job["rule"] == rule and all(job["wildcards"].get(name) == value for name, value in wildcards.items())
    ]
    assert len(matching) == 1, f"{rule} {wildcards}: {len(matching)} jobs"
    return matching[0]


def told(job: dict):
    return SCRIPT_JOBS[job["rule"]].parse(job["params"]["job"])


def test_every_rule_of_all_is_looked_at(smoke):
    assert {job["rule"] for job in smoke} == {*SCRIPT_JOBS, "mean_labels", "fill_table", "all"}


def test_every_job_is_valid_and_reaches_its_script(smoke):
    for job in smoke:
        if job["rule"] in SCRIPT_JOBS:
            told(job)
            script = "sample" if job["rule"] == "sample_video" else job["rule"]
            assert re.search(rf"\bscripts\.{script} +--job ", job["command"])
        if job["command"]:
            assert not re.search(r"\{(params|input|output|wildcards|log)", job["command"])


def test_scenes_of_the_splits_are_disjoint_and_in_order(smoke):
    seen = {}
    for job in smoke:
        if job["rule"] == "render_scenes":
            scenes = told(job)
            seen[job["wildcards"]["split"], int(job["wildcards"]["shard"])] = range(
                scenes.first_scene, scenes.first_scene + scenes.count
            )
    assert [len(seen["train", shard]) for shard in (0, 1)] == [8, 4] and len(seen["evaluation", 0]) == 6
    assert seen["train", 0].stop == seen["train", 1].start
    assert not set(seen["evaluation", 0]) & {*seen["train", 0], *seen["train", 1]}


@pytest.mark.parametrize("split", ["train", "evaluation", "samples/multi/seg"])
def test_entities_are_labelled_on_the_clips_of_their_split(smoke, split):
    job = one(smoke, "segment_entities", labeller="entityseg", split=split, shard="0")
    clips = "results/samples/multi/seg/0.clips.h5" if split.startswith("samples") else f"results/clips/{split}/0.h5"
    assert job["input"]["clips"] == [clips]
    assert told(job).labeller.segmenter == "mini:cropformer" and told(job).tracker.max_objects == 32
    grid = told(one(smoke, "segment_entities", labeller="grid12", split="train", shard="0"))
    assert grid.labeller.points_per_side == 12 and grid.labeller.predicted_iou_threshold == 0.5


def test_depth_is_labelled_on_the_clips_of_their_split(smoke):
    job = one(smoke, "estimate_depth", labeller="depth_anything", split="samples/multi/depth", shard="0")
    assert job["input"]["clips"] == ["results/samples/multi/depth/0.clips.h5"]
    assert told(job).labeller.model == "depth_anything"
    assert told(one(smoke, "estimate_depth", labeller="depthcrafter", split="train", shard="1")).labeller.seed == 0


def test_captions_are_of_their_own_clips(smoke):
    job = one(smoke, "write_captions", split="evaluation", shard="0")
    assert job["input"]["clips"] == ["results/clips/evaluation/0.h5"] and told(job).captions.captioner is None


@pytest.mark.parametrize(
    "stream, source, task, colormap, encodings, seed",
    [
        ("video", "clips", None, None, 1, None),
        ("seg-pixelplanes-grid8", "entities/grid8", "seg", "pixelplanes", 2, 7),
        ("seg-location-entityseg", "entities/entityseg", "seg", "location", 1, None),
        ("depth-spectral-depth_anything", "depth/depth_anything", "depth", "spectral", 1, None),
        ("normals-rgb-depthcrafter", "depth/depthcrafter", "normals", "rgb", 1, None),
    ],
)
def test_latents_are_of_their_source(smoke, stream, source, task, colormap, encodings, seed):
    job = one(smoke, "encode_latents", stream=stream, shard="1")
    assert job["input"]["source"] == [f"results/{source}/train/1.h5"]
    made = told(job)
    assert (made.task, made.colormap, made.encodings, made.seed) == (task, colormap, encodings, seed)


def test_prompts_are_of_their_captions_and_style(smoke):
    job = one(smoke, "encode_text", style="depth", shard="0")
    assert job["input"]["captions"] == ["results/captions/train/0.parquet"] and told(job).task == "depth"
    assert told(one(smoke, "encode_text", style="plain", shard="0")).task is None


STREAMS = {
    "base": ["video", "text-plain"],
    "seg": ["video", "seg-pixelplanes-entityseg", "text-plain"],
    "depth": ["video", "depth-spectral-depthcrafter", "text-plain"],
    "multi": ["video", "seg-pixelplanes-entityseg", "depth-spectral-depthcrafter", "text-plain"],
    "multi_text": ["video", "seg-pixelplanes-entityseg", "depth-spectral-depthcrafter", "text-seg", "text-depth"],
    "seg_location": ["video", "seg-location-entityseg", "text-plain"],
    "multi_30_70": ["video", "seg-pixelplanes-entityseg", "depth-spectral-depthcrafter", "text-plain"],
    "multi_70_30": ["video", "seg-pixelplanes-entityseg", "depth-spectral-depthcrafter", "text-plain"],
    "depth_anything": ["video", "depth-spectral-depth_anything", "text-plain"],
    "seg_grid8": ["video", "seg-pixelplanes-grid8", "text-plain"],
    "seg_grid12": ["video", "seg-pixelplanes-grid12", "text-plain"],
    "normals": ["video", "normals-rgb-depthcrafter", "text-plain"],
}
SHARES = {
    "base": {},
    "multi": {"seg": 0.5, "depth": 0.5},
    "multi_30_70": {"seg": 0.3, "depth": 0.7},
    "multi_70_30": {"seg": 0.7, "depth": 0.3},
}


def test_every_run_has_its_exact_streams(smoke):
    assert {job["wildcards"]["run"] for job in smoke if job["rule"] == "train"} == set(STREAMS)
    for run, streams in STREAMS.items():
        job = one(smoke, "train", run=run)
        wanted = [f"results/latents/{stream}/train/{shard}.h5" for stream in streams for shard in (0, 1)]
        assert job["input"]["latents"] == wanted, run
        made = told(job)
        assert [made.streams.video, *made.streams.dense.values(), *made.streams.text.values()] == streams
        assert job["output"]["run"] == [f"results/runs/{run}"] and job["params"]["state"] == f"results/training/{run}"


def test_every_run_has_its_exact_settings(smoke):
    for run, shares in SHARES.items():
        made = told(one(smoke, "train", run=run))
        assert made.tasks == shares and list(made.tasks) == list(shares) and made.run == run
        assert made.recipe.steps == 6 and made.recipe.learning_rate == 5e-3 and made.seed == 7
    assert told(one(smoke, "train", run="multi_text")).task_condition == "text"
    assert told(one(smoke, "train", run="multi")).task_condition == "embedding"
    assert told(one(smoke, "train", run="seg_location")).colormaps == {"seg": "location"}
    assert told(one(smoke, "train", run="seg")).colormaps == {"seg": "pixelplanes"}


def test_samples_are_of_evaluation_captions_and_their_own_run(smoke):
    job = one(smoke, "sample", run="multi", task="depth", shard="0")
    assert job["input"] == {
        "records": [],
        "run": ["results/runs/multi"],
        "captions": ["results/captions/evaluation/0.parquet"],
        "": [],
    }
    made = told(job)
    assert (made.first, made.count, made.seed, made.caption, made.codec) == (0, 4, 1234, "detailed", "lossless")
    assert job["params"]["predictions"] == ["--predictions=results/samples/multi/depth/0.dense.h5"]
    video = one(smoke, "sample_video", run="base")
    assert video["params"]["predictions"] == [] and "--predictions" not in video["command"]


def test_features_of_real_clips_are_extracted_once(smoke):
    real = one(smoke, "extract_features", split="evaluation", shard="0")
    assert real["input"]["clips"] == ["results/clips/evaluation/0.h5"] and told(real).subject_encoder is None
    made = one(smoke, "extract_features", split="samples/base/video", shard="0")
    assert made["input"]["clips"] == ["results/samples/base/video/0.clips.h5"]
    assert told(made).subject_encoder == "mini:subject_encoder"


def test_comparisons_read_the_judge_the_comparators_and_the_mean_of_training_labels(smoke):
    job = one(smoke, "compare_samples", run="multi", task="depth")
    assert job["input"]["predictions"] == ["results/samples/multi/depth/0.dense.h5"]
    assert job["input"]["reference"] == ["results/depth/depthcrafter/samples/multi/depth/0.h5"]
    assert job["input"]["comparators"] == ["results/depth/depth_anything/samples/multi/depth/0.h5"]
    assert job["input"]["mean"] == ["results/depth/depthcrafter/mean.npz"]
    assert told(job).judge == "depthcrafter" and told(job).comparators == ("depth_anything",)
    other = one(smoke, "compare_samples", run="depth_anything", task="depth")
    assert other["input"]["mean"] == ["results/depth/depth_anything/mean.npz"]
    joined = one(smoke, "mean_labels", labeller="depth_anything")
    assert joined["input"]["means"] == [f"results/depth/depth_anything/train/{shard}.mean.npz" for shard in (0, 1)]
    assert other["input"]["comparators"] == [] and told(other).comparators == ()
    entities = one(smoke, "compare_samples", run="multi", task="seg")
    assert entities["input"]["reference"] == ["results/entities/entityseg/samples/multi/seg/0.h5"]
    assert entities["input"]["mean"] == []


def test_entities_are_judged_for_the_runs_named_alone(smoke):
    judged = {
        job["wildcards"]["run"]
        for job in smoke
        if job["rule"] == "compare_samples" and job["wildcards"]["task"] == "seg"
    }
    assert judged == {"multi"}
    assert told(one(smoke, "evaluate_samples", run="seg", task="seg")).judge is None


def test_figures_are_joined_from_their_own_shards(smoke):
    job = one(smoke, "evaluate_samples", run="multi", task="depth")
    assert job["input"]["features"] == ["results/features/samples/multi/depth/0.h5"]
    assert job["input"]["reference"] == ["results/features/evaluation/0.h5"]
    assert job["input"]["comparisons"] == ["results/comparisons/multi/depth/0.h5"]


def test_labels_are_measured_on_evaluation_scenes_by_every_variant(smoke):
    job = one(smoke, "label_quality")
    assert job["input"]["truth"] == ["results/truth/evaluation/0.h5"]
    for kind, names in VARIANTS.items():
        assert job["input"][kind] == [f"results/{kind}/{name}/evaluation/0.h5" for name in names]
    assert told(job).judges == {"entities": "entityseg", "depth": "depthcrafter"}
    assert list(told(job).tasks) == ["seg", "depth", "normals"]


def test_the_codec_is_measured_on_the_judges_evaluation_labels(smoke):
    job = one(smoke, "codec_quality")
    assert job["input"]["entities"] == ["results/entities/entityseg/evaluation/0.h5"]
    assert job["input"]["depth"] == ["results/depth/depthcrafter/evaluation/0.h5"]


def test_table_4_is_timed_alone_and_waits_for_its_runs(smoke):
    job = one(smoke, "measure_runtime")
    assert job["input"]["runs"] == [f"results/runs/{run}" for run in ("base", "depth", "multi")]
    assert job["threads"] == 2, "all cores"
    # Snakemake sets both variables to the rule's threads, and torch looks at the second one too.
    assert "OMP_NUM_THREADS=1 MKL_NUM_THREADS=1" in job["command"]
    assert job["output"]["runtimes"] == [
        f"results/metrics/{pair}/runtime.json" for pair in ("base/video", "depth/depth", "multi/depth")
    ]


TABLES = {
    1: ["base/video", "seg/seg", "depth/depth"],
    2: ["base/video", "multi/seg", "multi/depth"],
    3: ["multi/depth"],
    5: ["multi_text/depth", "multi/depth"],
    6: ["seg_location/seg", "seg/seg"],
    7: ["multi_30_70/depth", "multi_70_30/depth", "multi/depth"],
    8: ["depth_anything/depth", "depth/depth"],
    9: ["seg_grid8/seg", "seg_grid12/seg", "seg/seg"],
}


def test_every_table_is_filled_from_its_runs(smoke):
    for number, pairs in TABLES.items():
        job = one(smoke, "fill_table", number=str(number))
        assert job["input"]["measured"] == [f"results/metrics/{pair}/quality.json" for pair in pairs]
    timed = one(smoke, "fill_table", number="4")["input"]["measured"]
    assert timed == one(smoke, "measure_runtime")["output"]["runtimes"]


def test_the_report_waits_for_all_it_shows_and_for_no_training_labels_beyond_its_pictures(smoke):
    job = one(smoke, "render_report")
    measured = set(job["input"]["measured"])
    assert {"results/metrics/codec.json", "results/metrics/labels.json"} <= measured
    assert {f"results/metrics/{pair}/runtime.json" for pair in ("base/video", "depth/depth", "multi/depth")} <= measured
    assert len([path for path in measured if path.endswith("quality.json")]) == 13, "12 of the tables, and normals"
    assert job["input"]["tables"] == [f"results/table{number}.csv" for number in range(1, 10)]
    assert "results/entities/entityseg/train/0.h5" in job["input"]["clips"], "three examples are in the first shard"
    assert not [path for path in job["input"]["clips"] if path.endswith("train/1.h5")]
    assert "results/entities/entityseg/train/1.json" in job["input"]["summaries"], "its figures are shown"


LOADS_A_MODEL = {
    "segment_entities",
    "estimate_depth",
    "write_captions",
    "encode_latents",
    "encode_text",
    "train",
    "sample",
}
LOADS_A_MODEL |= {"sample_video", "extract_features", "codec_quality", "measure_runtime"}


def test_a_job_that_loads_a_model_asks_for_a_gpu_and_is_launched_on_it(smoke):
    assert {job["rule"] for job in smoke if job["resources"].get("gpu")} == LOADS_A_MODEL
    for job in smoke:
        if job["rule"] in LOADS_A_MODEL:
            assert "python -m scripts.launch --gpus 1 " in job["command"]
    train = one(smoke, "train", run="multi")
    assert train["resources"]["nodes"] == 1 and "--nodes 1 --distributed" in train["command"]
    shard = one(smoke, "encode_latents", stream="video", shard="0")
    assert "--keeps results/latents/video/train/0.h5 -- " in shard["command"]


def test_trainings_and_what_they_wait_for_go_first(smoke):
    first = {job["rule"] for job in smoke if job["priority"] == 1}
    assert first == {"train", "encode_latents", "encode_text", "segment_entities", "estimate_depth", "write_captions"}


def test_braces_and_quotes_in_a_setting_reach_the_script(tmp_path):
    words = """Say "what" is in {split}, it's {wildcards.shard} {{twice}}."""
    config = tmp_path / "quoted.yaml"
    raw = yaml.safe_load((ROOT / "tests" / "smoke.yaml").read_text())
    raw["labels"] = {"captions": {"captioner": "mini:cogvideox", "instruction": words}}
    config.write_text(yaml.safe_dump(raw))
    job = graph(tmp_path, config, "results/captions/train/0.parquet")
    made = next(each for each in job if each["rule"] == "write_captions")
    assert told(made).captions.instruction == words
    import shlex

    words_of_command = shlex.split(made["command"].split("2>&1")[0])
    assert jobs.WriteCaptions.parse(words_of_command[words_of_command.index("--job") + 1]).captions.instruction == words
