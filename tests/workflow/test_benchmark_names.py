"""The report's costs are those of jobs that the rules name; what an earlier configuration left behind is none of them."""

from __future__ import annotations

from pathlib import Path

from rule_graphs import PANDA, SCENES, merged

from udpdiff.config.parsing import parse
from udpdiff.workflow.benchmarks import benchmark_names
from udpdiff.workflow.workflow import Workflow


def of_rules(found: list[dict]) -> set[str]:
    names = {job["benchmark"].removeprefix("benchmarks/").removesuffix(".tsv") for job in found if job["benchmark"]}
    return {name for name in names if not name.startswith("mini/")}


def test_every_job_of_the_rules_is_named(scenes, panda):
    for found, changes in ((scenes, SCENES), (panda, PANDA)):
        named = benchmark_names(Workflow(parse(merged(changes))))
        assert of_rules(found) <= named
        assert {Path(name).parts[0] for name in of_rules(found)} <= {Path(name).parts[0] for name in named}


def test_what_is_not_of_the_configuration_is_not_named(scenes):
    smaller = benchmark_names(Workflow(parse(merged(SCENES | {"clips": SCENES["clips"] | {"train": 2}}))))
    left_over = of_rules(scenes) - smaller
    assert {"render_scenes/train-2", "segment_entities/entityseg/train/2", "encode_latents/video-train-1"} <= left_over
    assert all(name.endswith(("-1", "-2", "/1", "/2")) and "train" in name for name in left_over), left_over
    fewer = merged(SCENES)
    del fewer["runs"]["seg_grid12"], fewer["runs"]["seg_grid8"], fewer["labels"]["entities"]["grid12"]
    fewer["report"]["tables"] = [1]
    left_over = of_rules(scenes) - benchmark_names(Workflow(parse(fewer)))
    assert {"train/seg_grid12", "sample/seg_grid8-seg-0", "segment_entities/grid12/train/0"} <= left_over
