"""Rules as a whole: Snakemake builds the graph of a configuration through its API and runs nothing."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from rule_graphs import graph, one, told

from udpdiff import jobs

ROOT = Path(__file__).parents[2]


def test_scenes_of_the_splits_are_disjoint_and_in_order(scenes):
    seen = {}
    for job in scenes:
        if job["rule"] == "render_scenes":
            made = told(job)
            place = (job["wildcards"]["split"], int(job["wildcards"]["shard"]))
            seen[place] = range(made["first_scene"], made["first_scene"] + made["count"])
    assert [len(seen["train", shard]) for shard in range(3)] == [2, 2, 1]
    assert [len(seen["evaluation", shard]) for shard in range(2)] == [2, 2]
    for (split, shard), numbers in seen.items():
        assert shard == 0 or seen[split, shard - 1].stop == numbers.start
    all_of = {split: {n for place, numbers in seen.items() if place[0] == split for n in numbers} for split, _ in seen}
    assert not all_of["train"] & all_of["evaluation"]


def test_every_job_with_a_log_is_one_line_of_a_run():
    for path in sorted((ROOT / "rules").glob("*.smk")):
        # What another rule is made of has its message.
        for name, text in re.findall(r"^ *rule (\w+):\n((?:(?! *(?:use )?rule ).*\n)*)", path.read_text(), re.M):
            assert ("log:\n" in text) == bool(re.search(r"message:\n +brief\n", text)), name


STREAMS = {
    "base": ["video", "text-plain"],
    "seg": ["video", "seg-pixelplanes-entityseg", "text-plain"],
    "depth": ["video", "depth-spectral-depthcrafter", "text-plain"],
    "multi": ["video", "seg-pixelplanes-entityseg", "depth-spectral-depthcrafter", "text-plain"],
    "multi_text": ["video", "seg-pixelplanes-entityseg", "depth-spectral-depthcrafter", "text-seg", "text-depth"],
    "seg_location": ["video", "seg-location-entityseg", "text-plain"],
    "seg_location-1": ["video", "seg-location-entityseg", "text-plain"],
    "multi_30_70": ["video", "seg-pixelplanes-entityseg", "depth-spectral-depthcrafter", "text-plain"],
    "multi_70_30": ["video", "seg-pixelplanes-entityseg", "depth-spectral-depthcrafter", "text-plain"],
    "depth_anything": ["video", "depth-spectral-depth_anything", "text-plain"],
    "seg_grid8": ["video", "seg-pixelplanes-grid8", "text-plain"],
    "seg_grid12": ["video", "seg-pixelplanes-grid12", "text-plain"],
    "normals": ["video", "normals-rgb-depthcrafter", "text-plain"],
}


def test_every_run_has_its_exact_streams(scenes):
    assert {job["wildcards"]["run"] for job in scenes if job["rule"] == "train"} == set(STREAMS)
    for run, streams in STREAMS.items():
        job = one(scenes, "train", run=run)
        wanted = [f"results/latents/{stream}/train/{shard}.h5" for stream in streams for shard in range(3)]
        assert job["input"]["latents"] == wanted, run
        made = told(job)["streams"]
        assert [made["video"], *made["dense"].values(), *made["text"].values()] == streams
        assert job["output"]["run"] == [f"results/runs/{run}"] and job["params"]["state"] == f"results/training/{run}"


def test_a_model_without_a_dense_stream_writes_no_predictions(scenes):
    video = one(scenes, "sample_video", run="base", shard="0")
    assert list(video["output"]) == ["clips", ""] and "--predictions" not in video["command"]


def test_entities_are_judged_for_all_runs_that_tables_show(scenes):
    judged = {
        job["wildcards"]["run"]
        for job in scenes
        if job["rule"] == "compare_samples" and job["wildcards"]["task"] == "seg"
    }
    assert judged == {"multi", "seg", "seg_location", "seg_location-1", "seg_grid8", "seg_grid12", "udpdiff"}


def test_table_4_is_timed_alone_and_so_are_labellers_and_memory(scenes):
    job = one(scenes, "measure_runtime")
    # Snakemake sets both variables to the rule's threads, and torch looks at the second one too.
    for rule in ("measure_runtime", "measure_throughput"):
        assert "OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 python" in one(scenes, rule)["command"]
    alone = {job["rule"] for job in scenes if job["threads"] == 2}
    assert alone == {"measure_runtime", "measure_throughput", "measure_memory"}, "all cores"
    assert job["output"]["runtimes"] == [
        f"results/metrics/{pair}/runtime.json" for pair in ("base/video", "depth/depth", "multi/depth")
    ]


TABLES = {
    1: ["base/video", "seg/seg", "depth/depth"],
    2: ["base/video", "multi/seg", "multi/depth"],
    3: ["multi/depth"],
    5: ["multi_text/depth", "multi/depth"],
    6: ["seg_location/seg", "seg_location-1/seg", "seg/seg"],
    7: ["multi_30_70/depth", "multi_70_30/depth", "multi/depth"],
    8: ["depth_anything/depth", "depth/depth"],
    9: ["seg_grid8/seg", "seg_grid12/seg", "seg/seg"],
}


def test_every_table_is_filled_from_its_runs(scenes):
    for number, pairs in TABLES.items():
        job = one(scenes, "fill_table", number=str(number))
        assert job["input"]["measured"] == [f"results/metrics/{pair}/quality.json" for pair in pairs]
    timed = one(scenes, "fill_table", number="4")["input"]["measured"]
    assert timed == one(scenes, "measure_runtime")["output"]["runtimes"]


LOADS_A_MODEL = {
    "segment_entities",
    "estimate_depth",
    "write_captions",
    "encode_latents",
    "encode_text",
    "train",
    "sample",
}
LOADS_A_MODEL |= {
    "sample_video",
    "extract_features",
    "codec_quality",
    "measure_runtime",
    "measure_throughput",
    "measure_memory",
}


def test_a_job_that_loads_a_model_asks_for_a_gpu_and_is_launched_on_it(scenes):
    assert {job["rule"] for job in scenes if job["resources"].get("gpu")} == LOADS_A_MODEL
    for job in scenes:
        if job["rule"] in LOADS_A_MODEL:
            assert "python -m scripts.launch --gpus 1 " in job["command"]
    train = one(scenes, "train", run="multi")
    assert train["resources"]["nodes"] == 1 and "--nodes 1 --distributed" in train["command"]
    shard = one(scenes, "encode_latents", stream="video", shard="0")
    assert "--resumes results/latents/video/train/0.h5 -- " in shard["command"]


def test_trainings_and_what_they_wait_for_go_first(scenes):
    first = {job["rule"] for job in scenes if job["priority"] == 1}
    assert first == {"train", "encode_latents", "encode_text", "segment_entities", "estimate_depth", "write_captions"}


def test_what_passes_is_temporary_and_an_earlier_run_is_waited_for_and_no_more(panda, scenes):
    """Of files of one run alone; and a download waits for checked checkpoints without being done again for them."""
    temporary = {job["rule"]: job["temporary"] for job in [*panda, *scenes] if job["temporary"]}
    assert set(temporary) == {"encode_run_latents", "segment_run_entities", "estimate_run_depth"}
    for job in [*panda, *scenes]:
        waits = [path for name in ("before", "checked", "enough") for path in job["input"].get(name, [])]
        assert job["ancient"] == sorted(waits), job["rule"]
    entities = one(panda, "segment_run_entities", labeller="grid8", shard="1")
    assert entities["temporary"] == ["results/entities/grid8/train/1.h5"], "its figures stay"
    depth = one(panda, "estimate_run_depth", labeller="depth_anything", shard="1")
    assert depth["temporary"] == ["results/depth/depth_anything/train/1.h5"], "its figures and its mean stay"


def test_a_first_download_does_not_wait(panda):
    job = one(panda, "download_clips", split="train", shard="0")
    assert "--gpus 0 --delay 0 " in job["command"] and job["resources"]["downloads"] == 1


def test_braces_and_quotes_in_a_setting_reach_the_script(tmp_path):
    words = """Say "what" is in {split}, it's {wildcards.shard} {{twice}}."""
    changes = {"labels": {"captions": {"captioner": "Qwen/Qwen3-VL-8B-Instruct", "instruction": words}}}
    found = graph(tmp_path, changes, "results/captions/train/0.parquet")
    made = next(job for job in found if job["rule"] == "write_captions")
    assert told(made)["captions"]["instruction"] == words
    of_command = shlex.split(made["command"].split("2>&1")[0])
    assert jobs.WriteCaptions.parse(of_command[of_command.index("--job") + 1]).captions.instruction == words
