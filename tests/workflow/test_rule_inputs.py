"""What one job of every rule reads: all of it, by name."""

from __future__ import annotations

import pytest
from rule_graphs import DEPTH, ENTITIES, MULTI, PAIRS, TAKEN, one, read, shards

from udpdiff.mini.stages import STAGES

TIMED = [f"results/metrics/{pair}/runtime.json" for pair in ("base/video", "depth/depth", "multi/depth")]
AGAINST = ["base/video", *(pair for pair in PAIRS if pair != "base/video")]
TABLES = [f"results/table{number}.csv" for number in range(1, 10)]
SHEET = [  # the evaluation shards that three examples lie in, and as many training shards for the gallery
    path
    for shard in (0, 1)
    for path in [
        f"results/{folder}/evaluation/{shard}.h5"
        for folder in ("clips", *(f"entities/{name}" for name in ENTITIES), *(f"depth/{name}" for name in DEPTH))
    ]
] + [
    path
    for shard in (0, 1)
    for path in [
        f"results/{folder}/train/{shard}.h5" for folder in ("clips", "entities/entityseg", "depth/depthcrafter")
    ]
]
SUMMARIES = {
    *shards("clips/train", 3, "json"),
    *shards("clips/evaluation", 2, "json"),
    *shards("entities/entityseg/train", 3, "json"),
    *shards("depth/depthcrafter/train", 3, "json"),
    *(path for name in ENTITIES for path in shards(f"entities/{name}/evaluation", 2, "json")),
    *(path for name in DEPTH for path in shards(f"depth/{name}/evaluation", 2, "json")),
}
SCORES = [
    path
    for pair in PAIRS + TAKEN
    for kind in ("features/samples", "comparisons")
    for path in shards(f"{kind}/{pair}", 2)
    if kind != "comparisons" or pair != "base/video"
]
# (rule, wildcards, everything that it reads) of the scenes.
READS = [
    (
        "all",
        {},
        {
            "report": ["results/report/index.html"],
            "quality": ["results/quality.json"],
            "verdicts": ["results/verdicts.json"],
            "tables": TABLES,
        },
    ),
    ("render_scenes", {"split": "train", "shard": "2"}, {"allowed": []}),
    (
        "segment_entities",
        {"labeller": "grid12", "split": "train", "shard": "1"},
        {"records": [], "clips": ["results/clips/train/1.h5"], "allowed": [], "enough": [], "before": []},
    ),
    (
        "segment_entities",
        {"labeller": "entityseg", "split": "samples/multi/seg", "shard": "1"},
        {"records": [], "clips": ["results/samples/multi/seg/1.clips.h5"], "allowed": [], "enough": [], "before": []},
    ),
    (
        "estimate_depth",
        {"labeller": "depth_anything", "split": "evaluation", "shard": "1"},
        {"records": [], "clips": ["results/clips/evaluation/1.h5"], "enough": [], "before": []},
    ),
    (
        "estimate_depth",
        {"labeller": "depthcrafter", "split": "samples/multi_text/depth", "shard": "1"},
        {"records": [], "clips": ["results/samples/multi_text/depth/1.clips.h5"], "enough": [], "before": []},
    ),
    (
        "write_captions",
        {"split": "train", "shard": "1"},
        {
            "records": ["results/checkpoints/lab--captioner.json"],
            "clips": ["results/clips/train/1.h5"],
            "enough": [],
        },
    ),
    *(
        (
            "encode_latents",
            {"stream": stream, "split": "train", "shard": "2"},
            {"records": [], "source": [f"results/{source}/train/2.h5"], "before": []},
        )
        for stream, source in {
            "video": "clips",
            "seg-pixelplanes-grid8": "entities/grid8",
            "seg-location-entityseg": "entities/entityseg",
            "depth-spectral-depth_anything": "depth/depth_anything",
            "normals-rgb-depthcrafter": "depth/depthcrafter",
        }.items()
    ),
    (
        "encode_text",
        {"style": "seg", "split": "train", "shard": "1"},
        {"records": [], "captions": ["results/captions/train/1.parquet"]},
    ),
    (
        "train",
        {"run": "multi"},
        {
            "records": [],
            "latents": [path for stream in MULTI for path in shards(f"latents/{stream}/train", 3)],
            "captions": [],
            "enough": [],
        },
    ),
    *(
        (
            rule,
            {"run": run, "task": task, "shard": "1"},
            {
                "records": [],
                "run": [f"results/runs/{run}"],
                "captions": shards("captions/evaluation", 2, "parquet"),
                "enough": [],
            },
        )
        for rule, run, task in (("sample", "multi", "seg"), ("sample_video", "base", "video"))
    ),
    (
        "extract_features",
        {"split": "evaluation", "shard": "1"},
        {"records": [], "clips": ["results/clips/evaluation/1.h5"]},
    ),
    (
        "extract_features",
        {"split": "samples/seg_grid8/seg", "shard": "1"},
        {"records": [], "clips": ["results/samples/seg_grid8/seg/1.clips.h5"]},
    ),
    ("mean_labels", {"labeller": "depthcrafter"}, {"means": shards("depth/depthcrafter/train", 3, "mean.npz")}),
    (
        "compare_samples",
        {"run": "multi", "task": "depth", "shard": "1"},
        {
            "predictions": ["results/samples/multi/depth/1.dense.h5"],
            "clips": ["results/samples/multi/depth/1.clips.h5"],
            "reference": ["results/depth/depthcrafter/samples/multi/depth/1.h5"],
            "comparators": ["results/depth/depth_anything/samples/multi/depth/1.h5"],
            "mean": ["results/depth/depthcrafter/mean.npz"],
        },
    ),
    (
        "compare_samples",
        {"run": "multi", "task": "seg", "shard": "1"},
        {
            "predictions": ["results/samples/multi/seg/1.dense.h5"],
            "clips": ["results/samples/multi/seg/1.clips.h5"],
            "reference": ["results/entities/entityseg/samples/multi/seg/1.h5"],
            "comparators": [],
            "mean": [],
        },
    ),
    (
        "compare_samples",
        {"run": "depth_anything", "task": "depth", "shard": "0"},
        {
            "predictions": ["results/samples/depth_anything/depth/0.dense.h5"],
            "clips": ["results/samples/depth_anything/depth/0.clips.h5"],
            "reference": ["results/depth/depthcrafter/samples/depth_anything/depth/0.h5"],
            "comparators": [],
            "mean": ["results/depth/depth_anything/mean.npz"],  # of the labels that the run learned
        },
    ),
    (
        "evaluate_samples",
        {"run": "multi", "task": "seg"},
        {
            "features": shards("features/samples/multi/seg", 2),
            "reference": shards("features/evaluation", 2),
            "comparisons": shards("comparisons/multi/seg", 2),
        },
    ),
    (
        "evaluate_samples",
        {"run": "seg", "task": "seg"},  # no table asks for its entities, and it is judged all the same
        {
            "features": shards("features/samples/seg/seg", 2),
            "reference": shards("features/evaluation", 2),
            "comparisons": shards("comparisons/seg/seg", 2),
        },
    ),
    (
        "compare_with_base",
        {},
        {
            "measured": [f"results/metrics/{pair}/quality.json" for pair in AGAINST],
            "runs": list(dict.fromkeys(f"results/runs/{pair.split('/')[0]}" for pair in AGAINST)),
        },
    ),
    (
        "label_quality",
        {},
        {
            "truth": shards("truth/evaluation", 2),
            "entities": [path for name in ENTITIES for path in shards(f"entities/{name}/evaluation", 2)],
            "depth": [path for name in DEPTH for path in shards(f"depth/{name}/evaluation", 2)],
            "captions": shards("captions/evaluation", 2, "parquet"),
        },
    ),
    (
        "codec_quality",
        {},
        {
            "records": [],
            "entities": shards("entities/entityseg/evaluation", 2),
            "depth": shards("depth/depthcrafter/evaluation", 2),
        },
    ),
    (
        "measure_runtime",
        {},
        {"records": [], "runs": [f"results/runs/{run}" for run in ("base", "depth", "multi")]},
    ),
    ("measure_throughput", {}, {"records": [], "clips": ["results/clips/train/0.h5"]}),
    ("measure_memory", {}, {"records": []}),
    ("plan", {}, {}),
    (
        "train",
        {"run": "seg_location-1"},
        {
            "records": [],
            "latents": [
                path
                for stream in ("video", "seg-location-entityseg", "text-plain")
                for path in shards(f"latents/{stream}/train", 3)
            ],
            "captions": [],
            "enough": [],
        },
    ),
    (
        "sample",
        {"run": "seg_location-1", "task": "seg", "shard": "1"},
        {
            "records": [],
            "run": ["results/runs/seg_location-1"],
            "captions": shards("captions/evaluation", 2, "parquet"),
            "enough": [],
        },
    ),
    (
        "extract_features",
        {"split": "samples/seg_location-1/seg", "shard": "1"},
        {"records": [], "clips": ["results/samples/seg_location-1/seg/1.clips.h5"]},
    ),
    (
        "evaluate_samples",
        {"run": "seg_location-1", "task": "seg"},
        {
            "features": shards("features/samples/seg_location-1/seg", 2),
            "reference": shards("features/evaluation", 2),
            "comparisons": shards("comparisons/seg_location-1/seg", 2),
        },
    ),
    (
        "fill_table",
        {"number": "6"},
        {
            "measured": [
                f"results/metrics/{pair}/quality.json" for pair in ("seg_location/seg", "seg_location-1/seg", "seg/seg")
            ],
        },
    ),
    (
        "judge_claims",
        {},
        {
            "comparisons": [f"results/table{number}_comparisons.json" for number in range(1, 10)],
            "measured": [
                f"results/metrics/{pair}/quality.json"
                for pair in ("multi/depth", "depth/depth", "multi/seg", "seg/seg")
            ],
        },
    ),
    ("fill_table", {"number": "4"}, {"measured": TIMED}),
    (
        "fill_table",
        {"number": "7"},
        {
            "measured": [
                f"results/metrics/{pair}/quality.json"
                for pair in ("multi_30_70/depth", "multi_70_30/depth", "multi/depth")
            ]
        },
    ),
    (
        "render_report",
        {},
        {
            "measured": [
                "results/metrics/codec.json",
                *TIMED,
                *(f"results/metrics/{pair}/quality.json" for pair in PAIRS + TAKEN),
                "results/metrics/against_base.json",
                "results/metrics/labels.json",
            ],
            "verdicts": ["results/verdicts.json"],
            "tables": TABLES,
            "runs": list(dict.fromkeys(f"results/runs/{pair.split('/')[0]}" for pair in PAIRS + TAKEN)),
            "samples": [
                f"results/samples/{pair}/{shard}.{kind}.h5"
                for pair in PAIRS + TAKEN
                for shard in (0, 1)
                for kind in (["clips"] if pair == "base/video" else ["clips", "dense"])
            ],
            "scores": SCORES,
            "clips": [
                *SHEET,
                *shards("truth/evaluation", 2),
                *shards("captions/train", 3, "parquet"),
                *shards("captions/evaluation", 2, "parquet"),
            ],
            "summaries": sorted(SUMMARIES),
        },
    ),
    (
        "show_labels",
        {},
        {
            "measured": ["results/metrics/labels.json"],
            "clips": [
                *SHEET,
                *shards("truth/evaluation", 2),
                *shards("captions/train", 3, "parquet"),
                *shards("captions/evaluation", 2, "parquet"),
            ],
            "summaries": sorted(SUMMARIES),
        },
    ),
    ("take_model", {"run": "udpdiff"}, {"records": []}),
    (
        "export_clips",
        {"split": "evaluation", "shard": "1"},
        {
            "clips": ["results/clips/evaluation/1.h5"],
            "entities": ["results/entities/entityseg/evaluation/1.h5"],
            "depth": ["results/depth/depthcrafter/evaluation/1.h5"],
            "captions": ["results/captions/evaluation/1.parquet"],
        },
    ),
    (
        "describe_data_set",
        {},
        {
            "counts": [*shards("panda_dense/train", 3, "json"), *shards("panda_dense/evaluation", 2, "json")],
            "quality": ["results/metrics/labels.json"],
        },
    ),
    (
        "panda_dense",
        {},
        {
            "card": ["results/panda_dense/README.md"],
            "archives": [*shards("panda_dense/train", 3, "tar"), *shards("panda_dense/evaluation", 2, "tar")],
        },
    ),
    (
        "draw_figure",
        {"number": "5"},
        {
            "base": ["results/samples/base/video/0.clips.h5"],
            "clips": [f"results/samples/multi/{task}/0.clips.h5" for task in ("seg", "depth")],
            "predictions": [f"results/samples/multi/{task}/0.dense.h5" for task in ("seg", "depth")],
        },
    ),
    ("paper_figures", {}, {"": [f"results/figures/figure{number}.png" for number in (3, 4, 5)]}),
    (
        "train_mini",
        {"name": "depthcrafter"},
        {
            "start_from": ["results/mini_checkpoints/depthcrafter_first"],
            "vae": ["results/mini_checkpoints/depthcrafter_vae"],
        },
    ),
]


@pytest.mark.parametrize("rule, wildcards, wanted", READS, ids=[f"{rule} {named}" for rule, named, _ in READS])
def test_a_job_reads_exactly_this(scenes, rule, wildcards, wanted):
    assert read(one(scenes, rule, **wildcards)) == wanted


def test_of_every_rule_one_job_is_compared(scenes):
    assert {rule for rule, *_ in READS} == {job["rule"] for job in scenes} - {"mini_checkpoints", *FETCHING}
    shipped = [f"results/mini_checkpoints/{name}" for name, stage in STAGES.items() if stage.shipped]
    assert read(one(scenes, "mini_checkpoints")) == {"": sorted(shipped)}


# Of which the graph with several of each is looked at below.
FETCHING = ("check_checkpoints", "fetch_checkpoint")
BASE, SAM2 = "results/checkpoints/lab--base@v1.json", "results/checkpoints/facebook--sam2.1-hiera-tiny.json"
CRAFTER = ["results/checkpoints/lab--crafter.json", "results/checkpoints/lab--svd.json"]
PANDA_READS = [
    ("check_checkpoints", {}, {}),
    ("fetch_checkpoint", {"checkpoint": "lab--svd"}, {"checked": ["results/checkpoints/checked.json"]}),
    ("prefetch", {}, {"": [BASE, "results/checkpoints/lab--segmenter.json", SAM2, *CRAFTER]}),
    ("choose_clips", {}, {"allowed": []}),
    (
        "download_clips",
        {"split": "train", "shard": "2"},
        {"chosen": ["results/panda70m/chosen.parquet"], "checked": ["results/checkpoints/checked.json"]},
    ),
    (
        "segment_run_entities",
        {"labeller": "grid12", "shard": "2"},
        {
            "records": [SAM2],
            "clips": ["results/clips/train/2.h5"],
            "allowed": [],
            "enough": [],
            "before": ["results/runs/seg_grid8"],
        },
    ),
    (
        "estimate_run_depth",
        {"labeller": "depth_anything", "shard": "2"},
        {
            "records": [],
            "clips": ["results/clips/train/2.h5"],
            "enough": [],
            "before": ["results/runs/seg_location"],
        },
    ),
    (
        "estimate_depth",
        {"labeller": "depthcrafter", "split": "train", "shard": "2"},
        {"records": CRAFTER, "clips": ["results/clips/train/2.h5"], "enough": [], "before": []},
    ),
    (
        "encode_run_latents",
        {"stream": "seg-pixelplanes-grid12", "shard": "2"},
        {
            "records": [BASE],
            "source": ["results/entities/grid12/train/2.h5"],
            "before": ["results/runs/seg_grid8"],
        },
    ),
    (
        "train",
        {"run": "multi_text"},
        {
            "records": [BASE],
            "latents": [path for stream in MULTI[:3] for path in shards(f"latents/{stream}/train", 3)],
            "captions": shards("captions/train", 3, "parquet"),
            "enough": ["results/clips/checked.json"],
        },
    ),
    (
        "check_clips",
        {},
        {"summaries": [*shards("clips/train", 3, "json"), *shards("clips/evaluation", 2, "json")]},
    ),
]


@pytest.mark.parametrize(
    "rule, wildcards, wanted", PANDA_READS, ids=[f"{rule} {named}" for rule, named, _ in PANDA_READS]
)
def test_a_job_of_clips_from_the_net_reads_exactly_this(panda, rule, wildcards, wanted):
    assert read(one(panda, rule, **wildcards)) == wanted


def test_clips_of_a_folder_wait_for_nothing_that_is_made(videos):
    assert read(one(videos, "cut_videos", split="train", shard="1")) == {"allowed": []}


@pytest.mark.parametrize("rule", ["segment_entities", "estimate_depth", "write_captions"])
def test_nothing_is_made_of_a_folder_s_clips_before_both_splits_have_enough(videos, rule):
    jobs = [job for job in videos if job["rule"] == rule]
    assert jobs and all(job["input"]["enough"] == job["ancient"] == ["results/clips/checked.json"] for job in jobs)
    assert read(one(videos, "check_clips"))["summaries"] == [
        *shards("clips/train", 3, "json"),
        *shards("clips/evaluation", 1, "json"),
    ]
