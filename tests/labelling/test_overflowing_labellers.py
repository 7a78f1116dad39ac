"""A labeller whose network overflows says so: it gives no far wall, no empty frame and no word of its own choice."""

from __future__ import annotations

import math
import sys

import numpy as np
import pytest
import torch
from tiny_captioners import write_checkpoint

from scripts import segment_entities
from udpdiff import jobs
from udpdiff.config.labels import Cleanup, EntitySegmenter, Tracker
from udpdiff.finite import NotFinite
from udpdiff.labelling import propagation, segmenter
from udpdiff.labelling.captioner import Captioner
from udpdiff.labelling.cropformer import CropFormer
from udpdiff.labelling.depth_anything import DepthAnything
from udpdiff.labelling.depthcrafter import DepthCrafter
from udpdiff.labelling.point_grid import PointGridSegmenter
from udpdiff.labelling.propagation import MaskTracker
from udpdiff.storage.shards import ShardWriter
from udpdiff.video_io import encode_mp4

VIDEO = np.random.default_rng(0).integers(0, 256, (5, 64, 64, 3), np.uint8)


@pytest.mark.parametrize("bad", [math.inf, math.nan])
def test_depth_anything(bad):
    estimator = DepthAnything.from_pretrained("mini:depth_anything", device="cpu")
    torch.nn.init.constant_(estimator.model.head.conv3.bias, bad)
    with pytest.raises(NotFinite, match=r"'float32'.*Depth Anything"):
        estimator.estimate(VIDEO)


@pytest.mark.parametrize("bad", [math.inf, -math.inf, math.nan])
@pytest.mark.parametrize(
    ("part", "layer", "what"),
    [
        ("vae", "decoder.time_conv_out", "pictures"),
        ("unet", "conv_out", "latents"),
        ("image_encoder", "visual_projection", "image embeddings"),
    ],
)
def test_depthcrafter(bad, part, layer, what):
    """An infinite picture must not be clamped to the nearest of all."""
    estimator = DepthCrafter.from_pretrained("mini:depthcrafter", device="cpu", dtype=torch.float32)
    module = getattr(estimator, part).get_submodule(layer)
    torch.nn.init.constant_(module.weight if module.bias is None else module.bias, bad)
    with pytest.raises(NotFinite, match=rf"'float32'.*{what}"):
        estimator.estimate(VIDEO, num_inference_steps=1)


@pytest.mark.parametrize("kind", [CropFormer, segmenter.EntitySegmenter])
@pytest.mark.parametrize("layer", ["class_predictor", "model.transformer_module.decoder.layernorm"])
def test_segmenters(kind, layer):
    found = kind.from_pretrained("mini:cropformer", device="cpu")
    torch.nn.init.constant_(found.model.get_submodule(layer).bias, math.nan)
    with pytest.raises(NotFinite, match="logits"):
        found.segment(VIDEO[0])


def broken_tracker(dtype=torch.float32) -> MaskTracker:
    tracker = MaskTracker.from_pretrained("mini:sam2", device="cpu", dtype=dtype)
    torch.nn.init.constant_(tracker.predictor.sam_mask_decoder.conv_s0.bias, math.nan)
    return tracker


def test_the_tracker_and_the_grid_of_points():
    first = np.zeros((64, 64), np.uint16)
    first[:20, :20] = 1
    with pytest.raises(NotFinite, match=r"labels\.tracker\.dtype: got 'bfloat16'.*of frame.*float32"):
        broken_tracker(torch.bfloat16).track_ids(VIDEO, first)
    with pytest.raises(NotFinite, match=r"labels\.tracker\.dtype: got 'float32'"):
        PointGridSegmenter(broken_tracker().predictor, 2).segment(VIDEO[0])


@pytest.mark.parametrize("bad", [math.inf, -math.inf, math.nan])
@pytest.mark.parametrize("seed", [None, 1])
def test_the_captioner(tmp_path, bad, seed):
    captioner = Captioner.from_pretrained(write_checkpoint("qwen2_5_vl", tmp_path), device="cpu", max_new_tokens=4)
    assert captioner.caption([VIDEO], 8.0, seed=seed)
    torch.nn.init.constant_(captioner.model.lm_head.weight, bad)
    with pytest.raises(NotFinite, match="next words"):
        captioner.caption([VIDEO], 8.0, seed=seed)


def run_job(monkeypatch, folder, dtype) -> None:
    """Label three clips with a tracker that gives no numbers."""
    size = {"height": 64, "width": 64, "num_frames": 5, "fps": 8.0, "source": "scenes"}
    with ShardWriter(folder / "clips.h5", "clips", size) as shard:
        for name in "abc":
            texts = dict.fromkeys(("brief", "detailed", "source_id", "source_sha256", "record_sha256"), "")
            shard.add(name, {"video_mp4": encode_mp4(VIDEO, 8.0)} | texts)
    tracker = Tracker(checkpoint="mini:sam2", max_objects=4, dtype=dtype)
    cleanup = Cleanup(min_area_share=0.001, min_coverage=0.0, reprompt_below=None)
    labeller = EntitySegmenter(segmenter="mini:cropformer", score_threshold=0.0)
    job = jobs.SegmentEntities(labeller=labeller, tracker=tracker, cleanup=cleanup)
    execution = jobs.Execution(device="cpu", max_failed_share=1.0)
    monkeypatch.setattr(propagation, "read_folder", lambda folder, device: broken_tracker_parts(folder, device))
    words = ["--job", job.dump(), "--execution", execution.dump(), "--clips", str(folder / "clips.h5")]
    words += ["--entities", str(folder / "labels.h5"), "--summary", str(folder / "summary.json")]
    monkeypatch.setattr(sys, "argv", ["segment_entities", *words])
    segment_entities.main()


READ_FOLDER = propagation.read_folder


def broken_tracker_parts(folder, device):
    predictor = READ_FOLDER(folder, device)
    torch.nn.init.constant_(predictor.sam_mask_decoder.conv_s0.bias, math.nan)
    return predictor


def test_a_dtype_that_a_key_sets_stops_the_job_and_is_no_clips_fault(monkeypatch, tmp_path):
    with pytest.raises(NotFinite, match=r"labels\.tracker\.dtype: got 'bfloat16'"):
        run_job(monkeypatch, tmp_path, "bfloat16")
    assert not (tmp_path / "labels.h5").exists()


def test_depthcrafter_in_half_precision_overflows_by_its_own_dtype():
    """Its files say nothing of it, and no key sets it: the clip is left out, and too many stop the job."""
    estimator = DepthCrafter.from_pretrained("mini:depthcrafter", device="cpu", dtype=torch.float16)
    estimator.unet.conv_out.weight.data.mul_(60000)
    with pytest.raises(NotFinite, match="dtype: got 'float16'") as error:
        estimator.estimate(VIDEO, num_inference_steps=2)
    assert not error.value.can_be_mended
