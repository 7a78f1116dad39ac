"""Mask propagation with SAM 2: the seams to the sam2 package, chunking, forgetting, loading, errors."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
import torch
from PIL import Image

from udpdiff.labelling.cleanup import resolve_overlap
from udpdiff.labelling.propagation import MaskTracker, init_state, keep_highest, preprocess_frames
from udpdiff.labelling.sam2_checkpoint import build_predictor

CONFIG = "configs/sam2.1/sam2.1_hiera_t.yaml"
NUM_FRAMES, SIZE = 8, 48


def tiny_overrides() -> list[str]:
    """A model with every part of the published ones, object pointers and scores included, at toy size."""
    width, memory_width = 32, 16
    attention = [f"embedding_dim={width}", "feat_sizes=[4,4]"]
    return [
        "++model.image_size=64",
        "++model.num_maskmem=3",
        "++model.max_obj_ptrs_in_encoder=4",
        "++model.image_encoder.trunk.embed_dim=8",
        "++model.image_encoder.trunk.stages=[1,1,2,1]",
        "++model.image_encoder.trunk.global_att_blocks=[3]",
        f"++model.image_encoder.neck.d_model={width}",
        f"++model.image_encoder.neck.position_encoding.num_pos_feats={width}",
        "++model.image_encoder.neck.backbone_channel_list=[64,32,16,8]",
        f"++model.memory_attention.d_model={width}",
        "++model.memory_attention.num_layers=1",
        f"++model.memory_attention.layer.d_model={width}",
        "++model.memory_attention.layer.dim_feedforward=32",
        *(f"++model.memory_attention.layer.self_attention.{setting}" for setting in attention),
        *(f"++model.memory_attention.layer.cross_attention.{setting}" for setting in attention),
        f"++model.memory_attention.layer.cross_attention.kv_in_dim={memory_width}",
        f"++model.memory_encoder.in_dim={width}",
        f"++model.memory_encoder.out_dim={memory_width}",
        f"++model.memory_encoder.position_encoding.num_pos_feats={memory_width}",
        f"++model.memory_encoder.mask_downsampler.embed_dim={width}",
        f"++model.memory_encoder.fuser.layer.dim={width}",
    ]


@pytest.fixture(scope="module")
def tracker() -> MaskTracker:
    torch.manual_seed(0)
    predictor = build_predictor(CONFIG, tiny_overrides())
    # Objects count as present, else random weights may replace every mask by one constant.
    torch.nn.init.constant_(predictor.sam_mask_decoder.pred_obj_score_head.layers[-1].bias, 5.0)
    return MaskTracker(predictor)


@pytest.fixture(scope="module")
def jpg_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("frames")
    rng = np.random.default_rng(0)
    scene = np.asarray(Image.fromarray(rng.integers(0, 255, (12, 16, 3), np.uint8)).resize((SIZE + 16, SIZE + 8)))
    for frame_idx in range(NUM_FRAMES):
        frame = scene[: SIZE - 8, frame_idx : SIZE + frame_idx]
        Image.fromarray(frame).save(folder / f"{frame_idx}.jpg", quality=95)
    return folder


@pytest.fixture(scope="module")
def video(jpg_folder) -> np.ndarray:
    """The same frames as the package decodes them, (T, 40, 48, 3): not square, not the model's size."""
    return np.stack([np.asarray(Image.open(jpg_folder / f"{frame_idx}.jpg")) for frame_idx in range(NUM_FRAMES)])


@pytest.fixture(scope="module")
def entity_ids0(video) -> np.ndarray:
    entity_ids = np.zeros(video.shape[1:3], np.uint16)
    entity_ids[20:] = 1
    entity_ids[4:18, 5:20] = 300
    entity_ids[15:30, 28:40] = 7
    return entity_ids


@pytest.fixture(scope="module")
def tracks(tracker, video, entity_ids0):
    return tracker.track(video, entity_ids0)


def test_same_logits_as_the_package_one_object_at_a_time_from_files(tracker, jpg_folder, tracks, entity_ids0):
    """Guards the legacy batched predictor, the in-memory frames and the forgetting (clip longer than the memory)."""
    from sam2.build_sam import build_sam2_video_predictor

    reference = build_sam2_video_predictor(
        CONFIG, device="cpu", hydra_overrides_extra=tiny_overrides(), apply_postprocessing=False
    )
    reference.load_state_dict(tracker.predictor.state_dict())
    state = reference.init_state(str(jpg_folder))
    for entity_id in tracks.entity_ids:
        reference.add_new_mask(state, 0, entity_id, entity_ids0 == entity_id)
    for frame_idx, obj_ids, masks in reference.propagate_in_video(state):
        assert obj_ids == tracks.entity_ids
        np.testing.assert_allclose(tracks.logits[:, frame_idx], masks[:, 0].numpy(), atol=1e-4)
    assert tracks.logits[:, 1:].std(axis=(2, 3)).min() > 0


def test_state_from_memory_equals_the_state_from_files(tracker, jpg_folder, video):
    from_files = tracker.predictor.init_state(str(jpg_folder))
    with torch.inference_mode():
        images = preprocess_frames(video, tracker.predictor.image_size)
        from_memory = init_state(tracker.predictor, images, *video.shape[1:3])
    assert from_memory.keys() == from_files.keys()
    torch.testing.assert_close(from_memory["images"], from_files["images"], atol=1e-6, rtol=0)
    assert (from_memory["video_height"], from_memory["video_width"]) == video.shape[1:3]


def test_first_frame_keeps_the_prompt(tracks, entity_ids0):
    labels = resolve_overlap(tracks.logits, tracks.entity_ids)
    assert tracks.entity_ids == [1, 7, 300]
    assert (labels[0] == entity_ids0).mean() > 0.9


def test_chunks_do_not_change_the_result(tracker, video, entity_ids0, tracks):
    chunked = tracker.track(video, entity_ids0, max_objects_per_batch=2)
    np.testing.assert_allclose(chunked.logits, tracks.logits, atol=1e-4)


def test_track_ids_is_the_argmax_of_track(tracker, video, entity_ids0, tracks):
    labels = tracker.track_ids(video, entity_ids0, max_objects_per_batch=2)
    assert labels.dtype == np.uint16
    assert (labels == resolve_overlap(tracks.logits, tracks.entity_ids)).mean() > 0.999


def test_folder_round_trip(tracker, tmp_path, video, entity_ids0, tracks):
    tracker.save_pretrained(tmp_path, CONFIG, tiny_overrides())
    loaded = MaskTracker.from_pretrained(tmp_path, device="cpu")
    for name, value in loaded.predictor.state_dict().items():
        torch.testing.assert_close(value, tracker.predictor.state_dict()[name].half().float())
    scale = np.abs(tracks.logits).max()
    np.testing.assert_allclose(loaded.track(video, entity_ids0).logits, tracks.logits, atol=0.05 * scale)


def test_a_narrower_mask_decoder_comes_back_from_its_folder(tmp_path, video, entity_ids0):
    torch.manual_seed(0)
    narrow = MaskTracker(build_predictor(CONFIG, tiny_overrides(), mask_decoder_mlp_dim=24))
    narrow.save_pretrained(tmp_path, CONFIG, tiny_overrides(), mask_decoder_mlp_dim=24)
    loaded = MaskTracker.from_pretrained(tmp_path, device="cpu")
    for layer in loaded.predictor.sam_mask_decoder.transformer.layers:
        assert [part.out_features for part in layer.mlp.layers] == [24, 32]
    expected = narrow.track_ids(video, entity_ids0)
    assert (loaded.track_ids(video, entity_ids0) == expected).mean() > 0.99


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"overrides": ["++model._target_=os.system"]}, "_target_"),
        ({"overrides": ["++model.memory_encoder._target_=os.system"]}, "_target_"),
        ({"overrides": ["++model.image_size={_target_: os.system, command: ls}"]}, "_target_"),
        ({"overrides": ["++model.image_size=${oc.env:HOME}"]}, "HOME"),
        ({"overrides": ["hydra.run.dir=/tmp/elsewhere"]}, "hydra.run.dir"),
        ({"config": "../elsewhere.yaml"}, "elsewhere"),
        ({"config": "configs/sam2.1/../../elsewhere.yaml"}, "elsewhere"),
        ({"mask_decoder_mlp_dim": "wide"}, "mask_decoder_mlp_dim"),
        ({"more": 1}, "keys"),
    ],
)
def test_a_folder_cannot_name_other_code_or_files(tracker, tmp_path, changed, message):
    tracker.save_pretrained(tmp_path, CONFIG, tiny_overrides())
    path = tmp_path / "sam2.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changed))
    with pytest.raises(ValueError, match=re.escape(message)) as error:
        MaskTracker.from_pretrained(tmp_path)
    assert "sam2.json" in str(error.value)


def test_low_precision_stays_close(tracker, video, entity_ids0, tracks):
    logits = MaskTracker(tracker.predictor, dtype=torch.bfloat16).track(video, entity_ids0).logits
    assert logits.dtype == np.float32
    np.testing.assert_allclose(logits, tracks.logits, atol=0.1 * np.abs(tracks.logits).max())


def test_first_frame_without_entities_is_refused(tracker, video, entity_ids0):
    with pytest.raises(ValueError, match="without entities"):
        tracker.track(video, np.zeros_like(entity_ids0))


def test_wrong_shapes_are_refused(tracker, video, entity_ids0):
    with pytest.raises(ValueError, match="first frame alone"):
        tracker.track(video, np.stack([entity_ids0] * 2))
    with pytest.raises(ValueError, match="uint8"):
        tracker.track(video.astype(np.float32), entity_ids0)


def test_unknown_reference_is_refused(tmp_path):
    with pytest.raises(ValueError, match="sam2-hiera-large"):
        MaskTracker.from_pretrained(tmp_path)


def test_trainer_tracks_as_the_tracker_does():
    """The mini checkpoint is trained through its own differentiable loop; it must see what the predictor sees."""
    from udpdiff.mini.sam2 import track
    from udpdiff.mini.sam2_model import build_model
    from udpdiff.mini.sam2_samples import normalise

    model = build_model(seed=0)
    rng = np.random.default_rng(0)
    video = np.asarray(Image.fromarray(rng.integers(0, 255, (8, 8, 3), np.uint8)).resize((64, 64)))
    video = np.stack([np.roll(video, shift, axis=1) for shift in range(4)])
    entity_ids0 = np.ones((64, 64), np.uint8)
    entity_ids0[20:44, 12:30] = 2
    masks0 = torch.from_numpy(np.stack([entity_ids0 == 1, entity_ids0 == 2])).float()
    with torch.no_grad():
        trained = track(model.train(), normalise(video), masks0).numpy()
    predicted = MaskTracker(model).track(video, entity_ids0).logits[:, 1:]
    # The predictor keeps memories in bfloat16 and rounds resized frames to 8 bits.
    np.testing.assert_allclose(trained, predicted, atol=0.05 * np.abs(predicted).max())


def test_shipped_checkpoint_follows_entities_of_an_unseen_scene():
    from udpdiff.measures.segmentation import tube_mean_iou
    from udpdiff.mini.scenes import HELD_OUT_SEED, VARIED_SCENES
    from udpdiff.sources.scenes import render_clip

    tracker = MaskTracker.from_pretrained("mini:sam2", device="cpu")
    clip = render_clip(VARIED_SCENES, HELD_OUT_SEED + 3)
    labels = tracker.track_ids(clip.video, clip.entity_ids[0])
    standing_still = np.repeat(clip.entity_ids[:1], len(labels), axis=0)
    ours, still = (tube_mean_iou(ids[1:], clip.entity_ids[1:], min_pixels=12).mean for ids in (labels, standing_still))
    assert ours > 0.8 and ours > still


@pytest.mark.parametrize("objects", [1, 2, 5])
def test_masks_are_kept_apart_as_the_package_does_it(tracker, objects):
    logits = 20 * torch.randn(objects, 1, 33, 40, generator=torch.Generator().manual_seed(objects))
    logits[:, :, :9] = logits[:, :, :9].round()
    logits[-1, :, :5] = logits[0, :, :5]  # equal ones
    expected = type(tracker.predictor)._apply_non_overlapping_constraints(tracker.predictor, logits)
    assert torch.equal(keep_highest(logits), expected)
    assert tracker.predictor._apply_non_overlapping_constraints is keep_highest
