"""Which rules a change of each key of the configuration reruns: those whose job or whose inputs it changes, no others.

Further rules follow by their inputs. The report shows the whole configuration, so every change renders it anew.
"""

from __future__ import annotations

import copy
import json

import pytest
from every_job import DEFAULT, ROOT, changed, every_job, workflow_of

SIZE = "measure_runtime render_scenes sample"
LABELLED = "encode_latents estimate_depth render_scenes segment_entities train write_captions mean_labels"
# dotted key -> (another value, the rules); of a Panda-70M source for keys that only it reads. A training is told who labelled
# its clips, for its card; with another checkpoint its latents are others in any case.
RERUNS = {
    "preset": ("rehearsal", ""),
    "seed": (
        8,
        "codec_quality encode_latents evaluate_samples fill_table judge_claims label_quality "
        "measure_runtime render_scenes train write_captions",
    ),
    "device": ("cpu", ""),
    "gpu": ("h200", ""),
    "gpus": (2, ""),
    "gpu_price": (2.0, ""),
    "source.path": ("elsewhere", ""),
    "source.captions": ("x.csv", ""),
    "source.min_solids": (1, "render_scenes"),
    "source.max_solids": (4, "render_scenes"),
    "source.solid_size": (1.2, "render_scenes"),
    "panda70m.gates.max_seconds": (50, "choose_clips"),
    "panda70m.gates.min_matching_score": (0.5, "choose_clips"),
    "panda70m.gates.desirable_only": (False, "choose_clips"),
    "panda70m.gates.single_shot": (False, "choose_clips"),
    "panda70m.gates.clips_per_video": (2, "choose_clips"),
    "panda70m.reserve": (0.6, "choose_clips"),
    "panda70m.fetch": ("plugin:a:b", ""),
    "panda70m.height": (360, "download_clips"),
    "panda70m.rate_limit": (1000, ""),
    "panda70m.cookies": ("c.txt", ""),
    "panda70m.attempts": (5, ""),
    "clips.height": (72, f"{SIZE} judge_claims"),
    "clips.width": (72, f"{SIZE} judge_claims"),
    "clips.num_frames": (17, f"{SIZE} judge_claims"),
    "clips.fps": (10, SIZE),
    "clips.train": (143, "render_scenes judge_claims"),
    "clips.evaluation": (41, "render_scenes"),
    "clips.evaluation_share": (0.3, ""),
    "clips.shard_clips": (72, LABELLED),
    **{f"filters.{name}": (0.123, "render_scenes") for name in DEFAULT["filters"]},
    "labels.max_failed_share": (0.1, ""),
    "labels.entities.entityseg.segmenter": ("a/b", "segment_entities train"),
    "labels.entities.entityseg.score_threshold": (0.4, "segment_entities"),
    **{
        f"labels.entities.grid12.{key}": (value, "segment_entities")
        for key, value in {
            "points_per_side": 13,
            "filtering": "none",
            "predicted_iou_threshold": 0.6,
            "stability_threshold": 0.8,
        }.items()
    },
    "labels.tracker.checkpoint": ("a/b", "segment_entities train"),
    "labels.tracker.max_objects": (16, "segment_entities"),
    "labels.tracker.dtype": ("bfloat16", "segment_entities"),
    "labels.cleanup.min_area_share": (0.002, "segment_entities"),
    "labels.cleanup.min_coverage": (0.4, "segment_entities"),
    "labels.cleanup.reprompt_below": (0.5, "segment_entities"),
    "labels.depth.depthcrafter.checkpoint": ("a/b", "estimate_depth train"),
    "labels.depth.depth_anything.checkpoint": ("a/b", "estimate_depth train"),
    "labels.depth.depth_anything.batch_frames": (16, "estimate_depth"),
    "labels.depth.depth_anything.normalise": ("frame", "estimate_depth"),
    "labels.captions.captioner": ("a/b", "write_captions train"),
    "labels.captions.instruction": ("Say what is in {split}.", "write_captions"),
    "labels.captions.max_new_tokens": (9, "write_captions"),
    "labels.captions.batch_clips": (5, "write_captions"),
    "labels.captions.dtype": ("float32", "write_captions"),
    "labels.captions.max_tokens": (30, "write_captions"),
    "tasks.seg.colourings": (2, "encode_latents"),
    "tasks.seg.min_color_distance": (32, "codec_quality encode_latents"),
    "tasks.seg.location_grid": (10, "codec_quality encode_latents"),
    "tasks.normals.field_of_view": (50.0, ""),  # no run of the default configuration learns normals
    "tasks.normals.disparity_offset": (0.5, ""),
    "storage.depth_bits": (8, "estimate_depth sample"),
    "storage.keep": ("needed", ""),
    "encoding.batch_clips": (2, "codec_quality encode_latents"),
    "encoding.vae_dtype": ("bfloat16", "codec_quality encode_latents"),
    "encoding.text_dtype": ("bfloat16", "encode_text"),
    "encoding.text": ("live", "encode_text train"),
    "model.base": ("a/b", "codec_quality encode_latents encode_text judge_claims train write_captions"),
    "model.init_in": ("zero", "train"),
    "model.init_out": ("copy", "train"),
    "models.udpdiff.checkpoint": ("a/b", "take_model"),
    "models.udpdiff.tasks": (
        ["depth"],
        "compare_samples estimate_depth evaluate_samples extract_features sample segment_entities take_model",
    ),
    **{
        f"training.{key}": (value, "train judge_claims" if key == "steps" else "train")
        for key, value in {
            "steps": 370,
            "batch_size": 4,
            "optimizer": "adamw",
            "learning_rate": 1e-3,
            "warmup_steps": 4,
            "schedule": "constant",
            "weight_decay": 0.1,
            "max_grad_norm": 2.0,
            "ema_decay": 0.9,
            "objective": "eps_weighted",
            "detailed_share": 0.5,
            "caption_dropout": 0.2,
            "mixed_precision": "no",
            "lora_rank": 4,
            "export": "transformer",
        }.items()
    },
    "training.gradient_checkpointing": (True, ""),
    "training.sharding": ("full", ""),
    "training.keep_optimizer": (True, ""),
    "training.trackers": (["tensorboard"], ""),
    "training.gradient_accumulation_steps": (2, ""),
    "training.compile": (True, ""),
    "training.offload_optimizer": (True, ""),
    "training.checkpoint_every_steps": (90, ""),
    "training.log_every_steps": (5, ""),
    "training.validation_every_steps": (45, ""),
    "sampling.prompts": (23, "sample judge_claims"),
    "sampling.shard_prompts": (
        12,
        "compare_samples estimate_depth evaluate_samples extract_features sample segment_entities",
    ),
    "sampling.codec": ("h264", "sample"),
    "sampling.caption": ("brief", "extract_features sample"),
    "sampling.num_inference_steps": (20, "measure_runtime sample"),
    "sampling.guidance_scale": (4.0, "measure_runtime sample"),
    "sampling.seed": (1, "sample"),
    "sampling.batch_size": (4, "sample"),
    "sampling.dtype": ("float32", "measure_runtime sample"),
    "sampling.offload": (True, ""),
    "sampling.acceleration": ("mag_cache", "sample"),
    "metrics.subject_encoder": ("a/b", "extract_features"),
    "metrics.image_encoder": ("a/b", "extract_features"),
    "metrics.video_encoder": ("a/b", "extract_features"),
    "metrics.kernel_encoder": ("a/b", "extract_features"),
    "metrics.interpolator": ("plugin:a:b", "extract_features"),
    "metrics.flow": ("raft_large", "extract_features"),
    "metrics.judges.entities": ("grid8", "codec_quality compare_samples evaluate_samples label_quality"),
    "metrics.judges.depth": ("depth_anything", "codec_quality compare_samples evaluate_samples label_quality"),
    "metrics.judged_runs.entities": (["multi", "seg"], "compare_samples evaluate_samples"),
    "metrics.judged_runs.depth": (["multi"], "compare_samples evaluate_samples"),
    "metrics.bootstrap_samples": (10, "codec_quality evaluate_samples fill_table judge_claims label_quality"),
    "metrics.codec_clips": (8, "codec_quality"),
    "metrics.runtime_repeats": (6, "measure_runtime"),
    # Without table 3 no labeller is set beside the run that it shows.
    "report.tables": ([1, 2], "compare_samples compare_with_base evaluate_samples fill_table judge_claims"),
    "report.goals": ([], ""),
    "report.examples": (7, ""),
    "report.films": (12, ""),
    "report.worst_films": (2, ""),
    "report.contact_sheet": (100, ""),
}
# What decides which class reads the section, or is a section of no keys.
# With another value elsewhere; of the threshold see test_a_threshold_counts_where_the_acceleration_has_one.
NO_VALUES = {"source.kind", "tasks.depth", "sampling.acceleration_threshold"} | {
    f"labels.{kind}.{name}.model" for kind in ("entities", "depth") for name in DEFAULT["labels"][kind]
}
# Keys of which no other value goes with muon.
WITH_ADAMW = (
    "training.sharding",
    "training.offload_optimizer",
)
# Labellers whose keys are those of one above.
ALIKE = ("labels.entities.grid8.", "labels.entities.grid8_unfiltered.")


def keys(section: dict, above: str = ""):
    for name, value in section.items():
        key = f"{above}{name}"
        if isinstance(value, dict) and value and key != "runs":
            yield from keys(value, f"{key}.")
        else:
            yield key


def rules_that_differ(before: dict, after: dict) -> set[str]:
    old, new = every_job(workflow_of(before)), every_job(workflow_of(after))
    return {key[0] for key in old.keys() | new.keys() if old.get(key) != new.get(key)}


@pytest.mark.parametrize("key", sorted(RERUNS))
def test_a_change_reruns_what_it_must_and_no_more(key):
    value, rules = RERUNS[key]
    before, after = copy.deepcopy(DEFAULT), changed(key, value)
    if key.startswith("panda70m"):
        for raw in (before, after):
            raw["source"] |= {"kind": "panda70m", "path": str(ROOT / "README.md")}
    if key in WITH_ADAMW:
        for raw in (before, after):
            raw["training"]["optimizer"] = "adamw"
    assert rules_that_differ(before, after) - {"render_report"} == set(rules.split())


def test_every_key_of_the_configuration_is_looked_at():
    left_out = {key for key in keys(DEFAULT) if not key.startswith(ALIKE)} - NO_VALUES - {"runs"} - set(RERUNS)
    assert not left_out


@pytest.mark.parametrize(
    "run, value, rules",
    [
        ("multi_30_70", {"tasks": {"seg": 0.4, "depth": 0.6}}, {"train"}),
        ("multi_70_30", {"training": {"learning_rate": 1e-3}}, {"train"}),
        ("multi_70_30", {"training": {"log_every_steps": 3}}, set()),
        ("multi", {"entities": "grid8"}, {"train"}),
        ("multi_30_70", {"init_in": "zero", "init_out": "copy"}, {"train"}),
        ("seg_location", {"colormaps": {}}, {"train", "encode_latents"}),
        ("multi_text", {"task_condition": "embedding"}, {"train", "encode_text", "write_captions"}),
    ],
)
def test_a_change_of_one_run_concerns_it_alone(run, value, rules):
    after = copy.deepcopy(DEFAULT)
    after["runs"][run] |= value
    old, new = every_job(workflow_of(DEFAULT)), every_job(workflow_of(after))
    assert rules_that_differ(DEFAULT, after) - {"render_report"} == rules
    assert all(old.get(key) == new.get(key) for key in old if key[0] == "train" and key[1] != run)


def test_further_trainings_of_a_run_change_nothing_that_is_there():
    """Only tables and claims read more; every other job is a new one, told as the first is but for name and seed."""
    more = copy.deepcopy(DEFAULT)
    more["runs"]["multi"]["replicates"] = 3
    old, new = every_job(workflow_of(DEFAULT)), every_job(workflow_of(more))
    assert {key[0] for key in old if old[key] != new.get(key)} == {"fill_table", "judge_claims", "render_report"}
    added = {key for key in new if key not in old}
    assert {("train", "multi-1"), ("train", "multi-2"), ("evaluate_samples", "multi-2", "seg")} <= added
    assert all("multi-1" in str(key) or "multi-2" in str(key) for key in added)
    told = [json.loads(new["train", name][0]) for name in ("multi", "multi-1", "multi-2")]
    assert len({each.pop("seed") for each in told}) == 3 == len({each.pop("run") for each in told})
    assert told[0] == told[1] == told[2]
    seeds = [json.loads(new["sample", name, "seg", 0][0])["seed"] for name in ("multi", "multi-1")]
    assert seeds[0] == seeds[1], "the same noise for every training"


def test_prompts_encoded_beside_the_trainer_need_captions_and_no_text_streams():
    live = workflow_of(changed("encoding.text", "live"))
    assert not [path for path in live.run_latents("multi_text") if "/text-" in path]
    assert live.run_captions() == live.caption_tables("train") and not workflow_of(DEFAULT).run_captions()
    assert "encode_text" not in {rule for rule, *_ in every_job(live)}


def test_with_a_captioner_its_settings_count():
    asked = changed("labels.captions.captioner", "a/b")
    other = copy.deepcopy(asked)
    other["labels"]["captions"]["instruction"] = 'Say "what" is in {split}.'
    assert rules_that_differ(asked, other) - {"render_report"} == {"write_captions"}


def test_a_threshold_counts_where_the_acceleration_has_one():
    for method, rules in {"mag_cache": {"sample"}, "first_block_cache": {"sample"}}.items():
        accelerated = changed("sampling.acceleration", method)
        other = copy.deepcopy(accelerated)
        other["sampling"]["acceleration_threshold"] = 0.1
        assert rules_that_differ(accelerated, other) - {"render_report"} == rules


def test_another_task_changes_no_run_that_is_there():
    more = copy.deepcopy(DEFAULT)
    more["runs"]["normals"] = {"tasks": {"normals": 1.0}}
    old, new = every_job(workflow_of(DEFAULT)), every_job(workflow_of(more))
    changed_jobs = {key[0] for key in old if old[key] != new.get(key)}
    measuring = {"codec_quality", "compare_with_base", "label_quality", "render_report"}
    assert changed_jobs <= measuring, "what measures it too"


def test_runs_that_are_not_named_are_not_judged():
    flow = workflow_of(changed("metrics.judged_runs.entities", ["multi"]))
    assert flow.judge_of("multi", "seg") == "entityseg" and flow.judge_of("seg", "seg") is None
    assert flow.judge_of("depth", "depth") == "depthcrafter" and flow.judge_of("base", "video") is None
    assert flow.evaluation_inputs("seg", "seg")["comparisons"] == []
