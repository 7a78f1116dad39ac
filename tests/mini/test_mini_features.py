from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from udpdiff.metrics.features import ImageEncoder, SubjectEncoder
from udpdiff.metrics.video_encoders import VideoMAE
from udpdiff.mini.feature_corruptions import CORRUPTIONS, corrupt, corrupt_some
from udpdiff.mini.feature_labels import (
    CLIP_LABELS,
    FRAME_LABELS,
    clip_labels,
    frame_labels,
    label_scenes,
    visible_pixels,
)
from udpdiff.mini.feature_models import (
    ImageLearner,
    SubjectLearner,
    VideoLearner,
    label_quality,
    word_tokenizer,
)
from udpdiff.mini.feature_warm_start import start_image_encoder, start_video_encoder
from udpdiff.mini.scenes import HELD_OUT_SEED, VARIED_SCENES, load_scenes
from udpdiff.mini.training import save_half


@pytest.fixture(scope="module")
def scenes(cache):
    return load_scenes(VARIED_SCENES, HELD_OUT_SEED, 6, cache)


def _solid(shape, color, action="stays", heading=""):
    return {
        "shape": shape,
        "color": color,
        "pattern": "plain",
        "shiny": False,
        "size": "",
        "action": action,
        "heading": heading,
        "speed": 0.0,
    }


SCENE = {
    "solids": [_solid("ball", "red", "moves", "left"), _solid("cube", "blue")],
    "ground": {"color": "grey", "pattern": "plain"},
    "backdrop": "night",
    "camera": "still",
}


def test_only_solids_in_sight_are_labelled():
    ids = np.ones((2, 10, 10), np.uint16)
    ids[:, :4, :4] = 3
    ids[1, 6:, 6:] = 4
    visible = visible_pixels(ids, 2)
    assert visible.tolist() == [[16, 0], [16, 16]]
    first, second = (
        {name for name, present in zip(FRAME_LABELS, row, strict=True) if present}
        for row in frame_labels(SCENE, visible)
    )
    assert second - first == {"solids 2", "shape cube", "color blue", "blue cube"}
    assert first - second == {"solids 1"}
    assert {"red ball", "ground grey", "backdrop night"} <= first
    whole = {name for name, present in zip(CLIP_LABELS, clip_labels(SCENE, visible), strict=True) if present}
    assert {"ball moves", "cube stays", "heading left", "camera still", "solids 2"} <= whole
    assert "cube moves" not in whole


def test_label_quality_by_hand():
    truth = np.array([[1, 0], [0, 0], [1, 1], [0, 1]], np.float32)
    scores = np.array([[3, -1], [2, -2], [1, 4], [-1, -3]], np.float32)
    quality = label_quality(scores, truth)
    assert quality["label_accuracy"] == 6 / 8
    assert quality["label_accuracy_of_commonest"] == 0.5
    first, second = (1 + 2 / 3) / 2, (1 + 2 / 4) / 2
    assert quality["mean_average_precision"] == pytest.approx((first + second) / 2)


def test_every_word_of_the_captions_is_known(scenes):
    tokenizer = word_tokenizer()
    for text in [*scenes.brief, *scenes.detailed]:
        tokens = tokenizer(text)["input_ids"]
        assert tokenizer.unk_token_id not in tokens, text
        assert (tokens[0], tokens[-1]) == (tokenizer.bos_token_id, tokenizer.eos_token_id)


def test_scenes_are_labelled_by_what_is_seen_of_them(scenes):
    labelled = label_scenes(scenes)
    assert labelled.frame_labels.shape == (6, 9, len(FRAME_LABELS))
    assert labelled.clip_labels.shape == (6, len(CLIP_LABELS))
    colors = {solid["color"] for solid in scenes.descriptions[0]["solids"]}
    seen = {name for name, present in zip(CLIP_LABELS, labelled.clip_labels[0], strict=True) if present}
    assert {name.removeprefix("color ") for name in seen if name.startswith("color ")} <= colors
    assert f"camera {scenes.descriptions[0]['camera']}" in seen


def test_image_and_video_encoders_start_with_what_the_subject_encoder_sees(tmp_path):
    torch.manual_seed(3)
    subject = SubjectLearner()
    save_half(subject.model, tmp_path)
    frames = torch.randn(2, 3, 64, 64)
    seen = subject.model.embeddings(frames)
    image, video = ImageLearner(), VideoLearner()
    start_image_encoder(image.model, tmp_path)
    start_video_encoder(video.model, tmp_path)
    torch.testing.assert_close(image.model.vision_model.embeddings(frames), seen, atol=5e-3, rtol=1e-3)
    still = frames[:, None].expand(-1, 9, -1, -1, -1)
    patches = video.model.videomae.embeddings.patch_embeddings(still).unflatten(1, (3, 64))
    expected = subject.model.embeddings.patch_embeddings(frames)
    for tubelet in range(3):
        torch.testing.assert_close(patches[:, tubelet], expected, atol=5e-3, rtol=1e-3)
    hidden = torch.randn(2, 5, subject.model.config.hidden_size)
    through = subject.model.layers[2].mlp(hidden)
    torch.testing.assert_close(image.model.vision_model.encoder.layers[2].mlp(hidden), through, atol=5e-3, rtol=1e-2)


@pytest.mark.parametrize(
    ("which", "load"),
    [
        ("subject_encoder", lambda ref: SubjectEncoder.from_pretrained(ref).encode),
        ("image_encoder", lambda ref: ImageEncoder.from_pretrained(ref).encode),
        ("video_encoder", lambda ref: lambda video: VideoMAE.from_pretrained(ref).encode_videos([video])),
    ],
)
def test_training_leaves_a_checkpoint_that_loads(which, load, scenes, train_briefly):
    out = train_briefly(which)
    card = json.loads((out / "training.json").read_text())
    assert (card["name"], card["steps"]) == (which, 2)
    assert card["quality"]
    assert (out / "model.safetensors").stat().st_size < 1_500_000
    features = load(str(out))(scenes.video[0])
    assert np.isfinite(features).all()


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_each_fault_changes_a_clip_and_keeps_its_form(name, scenes):
    video = scenes.video[0]
    faulty = corrupt(video, name, np.random.default_rng(1))
    assert (faulty.shape, faulty.dtype) == (video.shape, np.uint8)
    assert np.abs(faulty.astype(int) - video).mean() > 0.2
    if name == "frames out of order":
        assert sorted(frame.tobytes() for frame in faulty) == sorted(frame.tobytes() for frame in video)
    if name == "frozen":
        assert (faulty == faulty[0]).all()


def test_half_of_the_clips_get_one_fault_each(scenes):
    clips = np.concatenate([scenes.video] * 20)
    faulty, labels = corrupt_some(clips, np.random.default_rng(2))
    assert set(labels.sum(1)) == {0, 1}
    assert 0.35 < labels.sum(1).mean() < 0.65
    np.testing.assert_array_equal(faulty[labels.sum(1) == 0], clips[labels.sum(1) == 0])
    with pytest.raises(ValueError, match="expected one of"):
        corrupt(clips[0], "upside down", np.random.default_rng(3))
