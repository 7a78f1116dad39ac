from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch
from reference_weights import clip_visual_as_clip, dino_as_vit, rebuild

from udpdiff.metrics import features, preprocessing, video_encoders
from udpdiff.metrics.i3d import I3D

WORDS = ("<pad>", "red", "<end>", "ball", "rolls", "cube")
SIZES = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}


@pytest.fixture(scope="module")
def video():
    rng = np.random.default_rng(3)
    steps = rng.integers(-12, 13, (6, 1, 1, 3)).cumsum(0)
    return (rng.integers(40, 200, (1, 20, 30, 3)) + steps).astype(np.uint8)


@pytest.fixture(scope="module")
def subject_folder(tmp_path_factory):
    from transformers import ViTConfig, ViTModel

    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("subject")
    ViTModel(ViTConfig(**SIZES, image_size=24, patch_size=8), add_pooling_layer=False).save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def image_folder(tmp_path_factory):
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import CLIPConfig, CLIPModel, PreTrainedTokenizerFast

    torch.manual_seed(1)
    folder = tmp_path_factory.mktemp("image")
    vision = SIZES | {"image_size": 24, "patch_size": 8}
    text = SIZES | {"vocab_size": 20, "max_position_embeddings": 8}
    CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=8)).save_pretrained(folder)
    tokenizer = Tokenizer(models.WordLevel({word: index for index, word in enumerate(WORDS)}, unk_token="<end>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(single="$A <end>", special_tokens=[("<end>", 2)])
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", eos_token="<end>").save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def video_folder(tmp_path_factory):
    from transformers import VideoMAEConfig, VideoMAEForVideoClassification

    torch.manual_seed(2)
    folder = tmp_path_factory.mktemp("video")
    config = VideoMAEConfig(**SIZES, image_size=16, patch_size=8, num_frames=3, tubelet_size=3, num_labels=5)
    VideoMAEForVideoClassification(config).save_pretrained(folder)
    return str(folder)


def test_subject_features_are_the_class_token_of_the_uncropped_frames(subject_folder, video):
    encoder = features.SubjectEncoder.from_pretrained(subject_folder, batch_frames=4)
    found = encoder.encode(video)
    assert found.shape == (6, 16)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(found, encoder.encode(video.copy()), atol=1e-6)
    single = np.concatenate([encoder.encode(video[index : index + 1]) for index in range(6)])
    np.testing.assert_allclose(found, single, atol=1e-5)
    changed = video.copy()
    changed[:, :, 0] = 255  # a crop would not see the first column
    assert np.abs(encoder.encode(changed) - found).max() > 1e-4


def test_image_features_see_the_centre_only(image_folder, video):
    encoder = features.ImageEncoder.from_pretrained(image_folder)
    found = encoder.encode(video)
    assert found.shape == (6, 8)
    changed = video.copy()
    changed[:, :, 0] = 255
    np.testing.assert_array_equal(encoder.encode(changed), found)


def test_prompts_are_read_by_the_other_tower_and_cut_where_it_ends(image_folder):
    encoder = features.ImageEncoder.from_pretrained(image_folder)
    found, cut = encoder.encode_text("red ball rolls")
    assert found.shape == (8,) and np.linalg.norm(found) == pytest.approx(1, abs=1e-6) and not cut
    assert np.abs(found - encoder.encode_text("cube rolls")[0]).max() > 1e-3
    model = encoder.model
    ids = torch.tensor([[1, 3, 4, 2]])  # end of text counts
    expected = model.text_projection(model.text_model(input_ids=ids).pooler_output)[0].detach()
    np.testing.assert_allclose(found, expected / expected.norm(), atol=1e-6)
    longest, cut = encoder.encode_text("ball " * 7)
    assert not cut, "8 tokens with the end mark"
    np.testing.assert_array_equal(encoder.encode_text("ball " * 7 + "cube")[0], longest)
    assert encoder.encode_text("ball " * 7 + "cube")[1]


@pytest.mark.parametrize(("layer", "size"), [("logits", 5), ("pooled", 16)])
def test_video_features(video_folder, video, layer, size):
    encoder = video_encoders.VideoMAE.from_pretrained(video_folder, layer=layer, batch_videos=2)
    found = encoder.encode_videos([video, video[::-1], video + 20])
    assert found.shape == (3, size)
    assert found.dtype == np.float64
    assert np.abs(found[0] - found[1]).max() > 1e-6  # the order of frames matters
    np.testing.assert_allclose(found[2], encoder.encode_videos([video + 20])[0], atol=1e-6)
    assert encoder.name.endswith(layer)


@pytest.fixture(scope="module")
def vjepa_folder(tmp_path_factory):
    from transformers import VJEPA2Config, VJEPA2Model

    torch.manual_seed(3)
    folder = tmp_path_factory.mktemp("vjepa")
    sizes = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2, "mlp_ratio": 2.0}
    predictor = {"pred_hidden_size": 24, "pred_num_attention_heads": 2, "pred_num_hidden_layers": 1}
    config = VJEPA2Config(**sizes, **predictor, patch_size=8, crop_size=16, frames_per_clip=4, tubelet_size=2)
    VJEPA2Model(config).save_pretrained(folder)
    return str(folder)


def test_the_checkpoint_says_which_encoder_it_is(video_folder, vjepa_folder, subject_folder, video):
    encoder = video_encoders.load_video_encoder(vjepa_folder)
    assert type(encoder) is video_encoders.VJEPA2 and encoder.name.endswith("(VJEPA2Model) mean of tokens")
    assert type(video_encoders.load_video_encoder(video_folder)) is video_encoders.VideoMAE
    with pytest.raises(ValueError, match=r"of the type 'vit', expected videomae or vjepa2, or i3d:FILE"):
        video_encoders.load_video_encoder(subject_folder)
    found = encoder.encode_videos([video, video[::-1], video + 20])
    assert found.shape == (3, 24) and found.dtype == np.float64
    assert np.abs(found[0] - found[1]).max() > 1e-6, "the order of frames matters"
    with torch.inference_mode():
        tokens = encoder.model.get_vision_features(encoder.prepare(video)[None])
    assert tokens.shape == (1, 2 * 2 * 2, 24)
    np.testing.assert_allclose(found[0], tokens.mean(1)[0], atol=1e-6)


def test_v_jepa_sees_all_frames_of_a_short_video_in_whole_tubelets(vjepa_folder):
    encoder = video_encoders.load_video_encoder(vjepa_folder)
    assert [encoder.count_frames(length) for length in (1, 2, 3, 4, 5, 49)] == [2, 2, 2, 4, 4, 4]
    one = np.full((1, 20, 30, 3), 90, np.uint8)
    np.testing.assert_allclose(encoder.encode_videos([one]), encoder.encode_videos([one.repeat(3, 0)]), atol=1e-6)


def test_names_hold_no_path(subject_folder):
    name = features.SubjectEncoder.from_pretrained(subject_folder).name
    assert name == f"{Path(subject_folder).name} (ViTModel)"
    with pytest.raises(ValueError, match="mini"):
        features.SubjectEncoder.from_pretrained("mini:no_such_encoder")


def test_frames_must_be_eight_bit_colour():
    with pytest.raises(ValueError, match="uint8"):
        preprocessing.as_float_frames(np.zeros((2, 4, 4, 3)))


def test_short_side_is_resized_and_the_long_one_cut_to_a_whole_number():
    frames = torch.rand(1, 3, 360, 640)
    assert preprocessing.resize_short_side(frames, 224, "bilinear").shape == (1, 3, 224, 398)
    assert preprocessing.resize_short_side(frames.mT, 224, "bilinear").shape == (1, 3, 398, 224)
    assert preprocessing.centre_crop(torch.rand(1, 3, 224, 398), 224).shape == (1, 3, 224, 224)


def test_bicubic_overshoot_is_kept():
    step = torch.zeros(1, 3, 8, 8)
    step[..., 4:] = 255
    assert preprocessing.resize(step, (32, 32), "bicubic").max() > 256


class _Network(torch.nn.Module):
    """Has the signature of the torchscript I3D; mean and deviation over all pixels."""

    def forward(self, x, rescale: bool = False, resize: bool = False, return_features: bool = False):
        x = x / 127.5 - 1 if rescale else x
        return torch.stack([x.mean(dim=(1, 2, 3, 4)), x.std(dim=(1, 2, 3, 4))], 1)


def test_i3d_runs_only_with_the_digest_named(tmp_path):
    path = tmp_path / "network.pt"
    torch.jit.script(_Network()).save(str(path))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    encoder = video_encoders.load_video_encoder(f"i3d:{path}#{digest}")
    assert encoder.name == f"i3d torchscript {digest[:12]} logits"
    videos = [np.full((9, 8, 8, 3), value, np.uint8) for value in (0, 255, 51)]
    np.testing.assert_allclose(encoder.encode_videos(videos)[:, 0], [-1, 1, -0.6], atol=1e-6)
    with pytest.raises(ValueError, match=digest):
        I3D.from_reference(f"i3d:{path}")
    with pytest.raises(ValueError, match="publisher"):
        I3D.from_reference(f"i3d:{path}#{'0' * 64}")
    with pytest.raises(ValueError, match="no file"):
        I3D.from_reference(f"i3d:{tmp_path / 'none.pt'}#{digest}")
    with pytest.raises(ValueError, match="at least 9"):
        encoder.encode_videos([video[:8] for video in videos])


def test_dino_features_equal_the_reference(golden):
    from transformers import ViTConfig, ViTModel

    from udpdiff.metrics.dino_embeddings import use_dino_embeddings

    weights = dino_as_vit(rebuild(golden.json("vbench", "weights_dino_vitb16.json")))
    model = ViTModel(ViTConfig(layer_norm_eps=1e-6), add_pooling_layer=False)
    model.load_state_dict(weights)
    encoder = features.SubjectEncoder(use_dino_embeddings(model), "reference")
    reference = golden.tensors("vbench", "features.safetensors")
    frames = golden.tensors("vbench", "inline_video.safetensors")["frames"][:2]
    prepared = encoder.prepare(preprocessing.as_float_frames(frames))
    assert prepared.shape == (2, 3, 280, 224)
    corner = reference["inline_video.dino_input_frame0_topleft16"]
    np.testing.assert_allclose(prepared[0, :, :16, :16], corner, atol=2e-6)
    np.testing.assert_allclose(encoder.encode(frames), reference["inline_video.dino_feat"][:2], atol=1e-6)


def test_clip_features_equal_the_reference(golden):
    from transformers import CLIPConfig, CLIPModel

    weights = clip_visual_as_clip(rebuild(golden.json("vbench", "weights_clip_vitb32_visual.json")))
    text = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 8}
    model = CLIPModel(CLIPConfig(text_config=text | {"vocab_size": 10}))
    missing, unexpected = model.load_state_dict(weights, strict=False)
    assert not unexpected
    assert all(name.startswith("text") or name == "logit_scale" for name in missing)
    encoder = features.ImageEncoder(model, "reference")
    reference = golden.tensors("vbench", "features.safetensors")
    frames = golden.tensors("vbench", "inline_video.safetensors")["frames"][:3]
    corner = reference["inline_video.clip_input_frame0_topleft16"]
    prepared = encoder.prepare(preprocessing.as_float_frames(frames))
    np.testing.assert_allclose(prepared[0, :, :16, :16], corner, atol=2e-6)
    np.testing.assert_allclose(encoder.encode(frames), reference["inline_video.clip_feat"][:3], atol=1e-6)
