"""What one job of every rule is told: all of it, literally."""

from __future__ import annotations

import json

import pytest
from every_job import workflow_of
from rule_graphs import DEFAULT, DEPTH, ENTITIES, MULTI, PAIRS, PANDA, SCENES, TAKEN, merged, one, told

from udpdiff.checkpoints import hub
from udpdiff.config.parsing import parse
from udpdiff.config.schema import Config
from udpdiff.workflow import jobs as workflow_jobs

SAID, PANDA_SAID = merged(SCENES), merged(PANDA)
SIZE = {"height": 48, "width": 80, "num_frames": 17, "fps": 10.0}
DEFAULT_SIZE = {"height": 64, "width": 64, "num_frames": 9, "fps": 8.0}
# Keys of `training` that change nothing of what is learned.
CARRIED_OUT = {
    "sharding", "gradient_checkpointing", "gradient_accumulation_steps", "compile", "offload_optimizer",
    "checkpoint_every_steps", "log_every_steps", "validation_every_steps", "keep_optimizer", "trackers",
}  # fmt: skip
RECIPE = {name: value for name, value in SAID["training"].items() if name not in CARRIED_OUT}
NORMALS, RESAMPLED = SAID["tasks"]["normals"], {"seed": 11, "bootstrap_samples": 100}
CALL = {"num_inference_steps": 20, "guidance_scale": 2.5, "dtype": "bfloat16", "size": SIZE}
SAMPLED = CALL | {
    "caption": "brief", "seed": 4321, "batch_size": 1, "codec": "h264",
    "acceleration": "mag_cache", "acceleration_threshold": 0.07,
}  # fmt: skip
LATENTS = {"base": "mini:cogvideox", "dtype": "float16", "batch_clips": 6}
PLAIN_VIDEO = {"task": None, "colormap": None, "options": {}, "encodings": 1, "seed": None}


# What sections of labellers leave to the defaults: SAM's thresholds.
LEFT_OUT = {
    "entityseg": {"model": "segmenter"},
    "grid8": {"box_nms_threshold": 0.7},
    "grid12": {},
    "grid8_unfiltered": {"predicted_iou_threshold": 0.8, "stability_threshold": 0.95, "box_nms_threshold": 0.7},
}


def entities(labeller: str) -> dict:
    labels = SAID["labels"]
    own = LEFT_OUT[labeller] | labels["entities"][labeller]
    return {"labeller": own, "tracker": labels["tracker"], "cleanup": labels["cleanup"]}


def depth(labeller: str) -> dict:
    return {"labeller": SAID["labels"]["depth"][labeller], "bits": 12}


def training(run: str, tasks: dict, streams: list[str], colormaps: dict, **changes) -> dict:
    return {
        "run": run,
        "seed": 11,
        "tasks": tasks,
        "task_condition": "embedding",
        "colormaps": colormaps,
        "streams": {"video": "video", "dense": dict(zip(tasks, streams, strict=True)), "text": {"plain": "text-plain"}},
        "model": SAID["model"],
        "recipe": RECIPE,
        "text_dtype": None,
        "data": {"source": "scenes", "labellers": labellers(streams)},
    } | changes


def labellers(streams: list[str]) -> dict[str, str]:
    """What made the labels of these streams of latents, whose names end with that of their labeller."""
    found = {"Detailed captions": "lab/captioner"}
    for name in (stream.rpartition("-")[2] for stream in streams):
        if name in DEPTH:
            found["Depth"] = f"mini:{name}"
        else:
            first = "mini:cropformer" if name == "entityseg" else "points, by the tracker"
            found |= {"First-frame entities": first, "Entities through the clip": "mini:sam2"}
    return found


NORMALS_RUN = training("normals", {"normals": 1.0}, ["normals-rgb-depthcrafter"], {"normals": "rgb"})
# (rule, wildcards, everything that it is told) of the scenes.
TOLD = [
    (
        "render_scenes",
        {"split": "train", "shard": "1"},
        {
            "first_scene": 5_000_000 + 11 * 7_919 + 2,
            "count": 2,
            "min_solids": 1,
            "max_solids": 4,
            "solid_size": 1.3,
            "size": SIZE,
            "filters": SAID["filters"],
        },
    ),
    (
        "render_scenes",
        {"split": "evaluation", "shard": "1"},
        {
            "first_scene": 10_000_000 + 11 * 7_919 + 2,
            "count": 2,
            "min_solids": 1,
            "max_solids": 4,
            "solid_size": 1.3,
            "size": SIZE,
            "filters": SAID["filters"],
        },
    ),
    *(
        ("segment_entities", {"labeller": name, "split": "train", "shard": "0"}, entities(name))
        for name in ENTITIES[:3]
    ),
    *(("estimate_depth", {"labeller": name, "split": "train", "shard": "0"}, depth(name)) for name in DEPTH),
    (
        "write_captions",
        {"split": "train", "shard": "0"},
        {"captions": SAID["labels"]["captions"], "base": "mini:cogvideox", "named_tasks": ["depth", "seg"], "seed": 11},
    ),
    ("encode_latents", {"stream": "video", "shard": "0"}, LATENTS | PLAIN_VIDEO),
    (
        "encode_latents",
        {"stream": "seg-pixelplanes-grid12", "shard": "0"},
        LATENTS
        | {"task": "seg", "colormap": "pixelplanes", "options": {"min_color_distance": 12}, "encodings": 2, "seed": 11},
    ),
    (
        "encode_latents",
        {"stream": "seg-location-entityseg", "shard": "0"},
        LATENTS
        | {"task": "seg", "colormap": "location", "options": {"location_grid": 10}, "encodings": 1, "seed": None},
    ),
    (
        "encode_latents",
        {"stream": "depth-spectral-depth_anything", "shard": "0"},
        LATENTS | PLAIN_VIDEO | {"task": "depth", "colormap": "spectral"},
    ),
    (
        "encode_latents",
        {"stream": "normals-rgb-depthcrafter", "shard": "0"},
        LATENTS | PLAIN_VIDEO | {"task": "normals", "colormap": "rgb", "options": NORMALS},
    ),
    *(
        (
            "encode_text",
            {"style": style, "shard": "0"},
            {"base": "mini:cogvideox", "dtype": "bfloat16", "task": task},
        )
        for style, task in {"plain": None, "seg": "seg", "depth": "depth"}.items()
    ),
    ("train", {"run": "base"}, training("base", {}, [], {})),
    (
        "train",
        {"run": "multi_30_70"},
        training("multi_30_70", {"seg": 0.3, "depth": 0.7}, MULTI[1:3], {"seg": "pixelplanes", "depth": "spectral"}),
    ),
    (
        "train",
        {"run": "multi_text"},
        training(
            "multi_text",
            {"seg": 0.5, "depth": 0.5},
            MULTI[1:3],
            {"seg": "pixelplanes", "depth": "spectral"},
            task_condition="text",
        )
        | {
            "streams": {
                "video": "video",
                "dense": dict(zip(("seg", "depth"), MULTI[1:3], strict=True)),
                "text": {"seg": "text-seg", "depth": "text-depth"},
            }
        },
    ),
    (
        "train",
        {"run": "seg_location"},
        training(
            "seg_location",
            {"seg": 1.0},
            ["seg-location-entityseg"],
            {"seg": "location"},
            recipe=RECIPE | {"learning_rate": 2.0e-4},
        ),
    ),
    (
        "train",
        {"run": "seg_location-1"},
        training(
            "seg_location-1",
            {"seg": 1.0},
            ["seg-location-entityseg"],
            {"seg": "location"},
            recipe=RECIPE | {"learning_rate": 2.0e-4},
            seed=11 + 1_000_003,
        ),
    ),
    (
        "train",
        {"run": "seg_grid8"},
        training("seg_grid8", {"seg": 1.0}, ["seg-pixelplanes-grid8"], {"seg": "pixelplanes"}),
    ),
    (
        "train",
        {"run": "depth_anything"},
        training("depth_anything", {"depth": 1.0}, ["depth-spectral-depth_anything"], {"depth": "spectral"}),
    ),
    ("train", {"run": "normals"}, NORMALS_RUN),
    *(
        (
            "sample_video" if task == "video" else "sample",
            {"run": run, "task": task, "shard": str(shard)},
            SAMPLED | {"run": run, "task": task, "first": first, "count": count, "prediction_bits": bits},
        )
        for run, task, bits in (
            ("base", "video", 16),
            ("multi", "seg", 16),
            ("multi", "depth", 12),
            ("normals", "normals", 16),
        )
        for shard, first, count in ((0, 0, 2), (1, 2, 1))
    ),
    *(
        (
            "extract_features",
            {"split": split, "shard": "0"},
            {
                "video_encoder": "mini:video_encoder",
                "subject_encoder": "mini:subject_encoder",
                "image_encoder": "mini:image_encoder",
                "interpolator": "blend",
                "flow": "dis",
                "kernel_encoder": None,
                "caption": "brief",
            },
        )
        for split in ("evaluation", "samples/base/video")
    ),
    *(
        (
            "compare_samples",
            {"run": run, "task": task, "shard": "0"},
            {"task": task, "options": options, "judge": judge, "comparators": comparators},
        )
        for run, task, options, judge, comparators in (
            ("multi", "depth", {}, "depthcrafter", ["depth_anything"]),  # beside the predictions of table 3
            ("multi", "seg", {}, "entityseg", []),
            ("depth_anything", "depth", {}, "depthcrafter", []),
            ("normals", "normals", NORMALS, "depthcrafter", []),
        )
    ),
    *(
        (
            "evaluate_samples",
            {"run": run, "task": task},
            RESAMPLED | {"run": run, "task": task, "judge": judge, "comparators": comparators},
        )
        for run, task, judge, comparators in (
            ("base", "video", None, []),
            ("seg", "seg", "entityseg", []),
            ("multi", "seg", "entityseg", []),
            ("multi", "depth", "depthcrafter", ["depth_anything"]),
        )
    ),
    (
        "compare_with_base",
        {},
        {"base": "base", "pairs": [pair.split("/") for pair in PAIRS if pair != "base/video"]},
    ),
    (
        "label_quality",
        {},
        RESAMPLED
        | {
            "judges": {"entities": "entityseg", "depth": "depthcrafter", "captions": "captioner"},
            "tasks": {"seg": {}, "depth": {}, "normals": NORMALS},
        },
    ),
    (
        "take_model",
        {"run": "udpdiff"},
        {"model": "udpdiff", "checkpoint": "mini:udpdiff", "tasks": ["seg", "depth"]},
    ),
    (
        "codec_quality",
        {},
        RESAMPLED
        | LATENTS
        | {
            "max_clips": 3,
            "tasks": {"seg": {"min_color_distance": 12, "location_grid": 10}, "depth": {}, "normals": NORMALS},
        },
    ),
    (
        "measure_runtime",
        {},
        CALL | {"runs": [["base", "video"], ["depth", "depth"], ["multi", "depth"]], "seed": 11, "repeats": 2},
    ),
    (
        "measure_throughput",
        {},
        {
            "labellers": {f"entities/{name}": entities(name) for name in ENTITIES}
            | {f"depth/{name}": depth(name) for name in DEPTH}
        },
    ),
    (
        "describe_data_set",
        {},
        {
            "source": "scenes",
            "labellers": {
                "First-frame entities": "mini:cropformer",
                "Entities through the clip": "mini:sam2",
                "Depth": "mini:depthcrafter",
                "Detailed captions": "lab/captioner",
            },
        },
    ),
    ("fill_table", {"number": "6"}, RESAMPLED),
    (
        "judge_claims",
        {},
        RESAMPLED
        | {
            "scale": {
                "source": "scenes",
                "base": "mini:cogvideox",
                "steps": 60,
                "train": 5,
                "prompts": 3,
                "num_frames": 17,
                "height": 48,
                "width": 80,
            }
        },
    ),
    ("measure_memory", {}, {"train": NORMALS_RUN | {"data": None}, "size": SIZE, "batches": [1, 2, 4, 8]}),
]


@pytest.mark.parametrize("rule, wildcards, wanted", TOLD, ids=[f"{rule} {named}" for rule, named, _ in TOLD])
def test_a_job_is_told_exactly_this(scenes, rule, wildcards, wanted):
    assert told(one(scenes, rule, **wildcards)) == wanted


def test_of_every_rule_that_is_told_something_one_job_is_compared(scenes):
    found = {job["rule"] for job in scenes if "job" in job["params"]}
    assert found - {"check_checkpoints", "fetch_checkpoint"} == {rule for rule, *_ in TOLD} | {
        "render_report",
        "show_labels",
    }


def test_the_report_is_told_the_configuration_and_what_to_show(scenes):
    made = told(one(scenes, "render_report"))
    assert made.pop("config") == json.loads(one(scenes, "plan")["params"]["config"])
    assert made == {"shown": [pair.split("/") for pair in PAIRS + TAKEN], "tables": list(range(1, 10)), "sheet": 3}
    labels = told(one(scenes, "show_labels"))
    assert labels.pop("config") == json.loads(one(scenes, "plan")["params"]["config"])
    assert labels == {"shown": [], "tables": [], "sheet": 3}
    config = Config.model_validate_json(one(scenes, "plan")["params"]["config"])
    assert config == parse(merged(SCENES))


PANDA_TOLD = [
    (
        "check_checkpoints",
        {},
        {"references": ["facebook/sam2.1-hiera-tiny", "lab/base@v1", "lab/crafter", "lab/segmenter", "lab/svd"]},
    ),
    ("fetch_checkpoint", {"checkpoint": "lab--base@v1"}, {"reference": "lab/base@v1", "parts": sorted(hub.BASE)}),
    (
        "choose_clips",
        {},
        {
            "seed": 11,
            "train": 5,
            "evaluation": 3,
            "min_seconds": 9 / 8,
            "gates": PANDA["panda70m"]["gates"],
            "reserve": 0.6,
        },
    ),
    *(
        (
            "download_clips",
            {"split": split, "shard": shard},
            {
                "split": split,
                "shard": int(shard),
                "split_clips": split_clips,
                "shard_clips": 2,
                "stream_height": 360,
                "size": DEFAULT_SIZE,
                "filters": PANDA_SAID["filters"],
            },
        )
        for split, shard, split_clips in (("train", "2", 5), ("evaluation", "1", 3))
    ),
]


@pytest.mark.parametrize(
    "rule, wildcards, wanted", PANDA_TOLD, ids=[f"{rule} {named}" for rule, named, _ in PANDA_TOLD]
)
def test_a_job_of_clips_from_the_net_is_told_exactly_this(panda, rule, wildcards, wanted):
    found = told(one(panda, rule, **wildcards))
    found.pop("table", None)  # a digest of its content
    assert found == wanted


def test_a_trainer_that_encodes_prompts_itself_is_told_in_what(panda):
    for job in panda:
        if job["rule"] == "train":
            assert told(job)["text_dtype"] == "bfloat16" and told(job)["model"]["base"] == "lab/base@v1"


def test_a_passing_job_is_told_the_same_as_one_that_stays(panda):
    passing = told(one(panda, "segment_run_entities", labeller="grid12", shard="0"))
    assert passing == told(one(panda, "segment_entities", labeller="grid12", split="evaluation", shard="0"))
    passing = told(one(panda, "estimate_run_depth", labeller="depth_anything", shard="0"))
    assert passing == told(one(panda, "estimate_depth", labeller="depth_anything", split="evaluation", shard="0"))
    passing = told(one(panda, "encode_run_latents", stream="seg-location-entityseg", shard="0"))
    assert passing["colormap"] == "location" and passing["task"] == "seg"


def test_a_job_that_cuts_videos_is_told_its_files(videos):
    clips = [
        name
        for shard in ("0", "1", "2")
        for name in told(one(videos, "cut_videos", split="train", shard=shard))["clip_ids"]
    ]
    held_out = told(one(videos, "cut_videos", split="evaluation", shard="0"))
    assert len(clips) == len(set(clips)) == 5 and clips == sorted(clips) and not set(clips) & set(held_out["clip_ids"])
    assert (
        held_out["captioned"] is True and held_out["size"] == DEFAULT_SIZE and held_out["filters"] == DEFAULT["filters"]
    )


def test_how_jobs_are_carried_out_is_told_beside_them():
    """By the environment of every job: device, failures that may be, fetching, and each run's own training."""
    changes = {
        "device": "cpu",
        "labels": {"max_failed_share": 0.11},
        "panda70m": {"fetch": "plugin:a:b", "rate_limit": 1000, "cookies": "c.txt", "attempts": 6},
        "sampling": {"offload": True},
        "training": {"log_every_steps": 3, "checkpoint_every_steps": 60},
        "runs": {"multi": {"training": {"gradient_checkpointing": True, "log_every_steps": 4}}},
    }
    raw = merged(changes)
    made = json.loads(workflow_jobs.execution(workflow_of(raw)).dump())
    own = {name: value for name, value in raw["training"].items() if name in CARRIED_OUT}
    assert made.pop("training") == {
        run: own | ({"gradient_checkpointing": True, "log_every_steps": 4} if run == "multi" else {})
        for run in raw["runs"]
    }
    assert made == {"device": "cpu", "max_failed_share": 0.11, "fetching": changes["panda70m"], "offload": True}


def test_tables_are_filled_once_each_in_their_order():
    assert workflow_of(merged({"report": {"tables": [3, 1, 1]}})).report_tables() == [1, 3]


def test_no_shard_is_taken_beyond_what_is_asked_for():
    flow = workflow_of(merged({"clips": {"train": 12, "evaluation": 6, "shard_clips": 4}}))
    assert flow.first_shards(4, "evaluation") == [("evaluation", 0)]
    assert flow.first_shards(5, "evaluation", "train") == [("evaluation", 0), ("evaluation", 1)]
    assert flow.first_shards(7, "evaluation", "train")[-1] == ("train", 0)
    assert len(flow.first_shards(100, "evaluation", "train")) == 5
