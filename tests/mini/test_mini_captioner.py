"""The mini captioner: its words, what it learns from, and what the shipped one says of scenes it has not seen."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from udpdiff.checkpoints import resolve
from udpdiff.clip import FIRST_SOLID_ID
from udpdiff.labelling.captioner import INSTRUCTION, Captioner, write_vicuna_prompt
from udpdiff.measures.captions import read_solids
from udpdiff.mini import captioner_clips
from udpdiff.mini.captioner import captions_quality, seen_orders
from udpdiff.mini.captioner_clips import draw_lesson, put_in, solid_boxes
from udpdiff.mini.captioner_model import (
    FRAME_TOKENS,
    IMAGE_SIDE,
    NUM_FRAMES,
    build_model,
    build_processor,
    build_tokenizer,
    start_towers,
)
from udpdiff.mini.captioner_targets import LABELS, UNNAMED, mirrored, patch_solids, seen_caption, solid_labels
from udpdiff.mini.scenes import DEFAULT_SCENES, HELD_OUT_SEED, Scenes, load_scenes
from udpdiff.sources.scenes import COLORS, SHAPES, render_clip


@pytest.fixture(scope="module")
def scenes(cache):
    return load_scenes(DEFAULT_SCENES, HELD_OUT_SEED, 6, cache)


def test_every_caption_of_a_scene_comes_back_from_its_tokens(scenes):
    tokenizer = build_tokenizer()
    for text in [*scenes.detailed, *scenes.brief, INSTRUCTION]:
        tokens = tokenizer(text)["input_ids"]
        assert tokenizer.decode(tokens) == text and tokenizer.unk_token_id not in tokens


def test_the_prompt_has_a_place_for_every_patch(scenes):
    processor = build_processor()
    video = scenes.video[0][:NUM_FRAMES]
    prompt = write_vicuna_prompt(processor, INSTRUCTION)
    inputs = processor(text=[prompt], videos=[video], return_tensors="pt", do_sample_frames=False)
    assert inputs["pixel_values_videos"].shape == (1, NUM_FRAMES, 3, IMAGE_SIDE, IMAGE_SIDE)
    assert (inputs["input_ids"] == processor.video_token_id).sum() == NUM_FRAMES * FRAME_TOKENS


def test_both_towers_start_from_the_image_encoder():
    """With patches of another size: a picture of one colour gives the same patch as in the encoder."""
    from transformers import CLIPModel

    model, encoder = build_model(), CLIPModel.from_pretrained(resolve("mini:image_encoder"))
    start_towers(model, resolve("mini:image_encoder"))
    flat = torch.ones(1, 3, 64, 64) * torch.tensor([0.5, -1.0, 1.0])[:, None, None]
    expected = encoder.vision_model.embeddings.patch_embedding(flat)[..., 0, 0]
    for tower in (model.model.video_tower, model.model.image_tower):
        found = tower.embeddings.patch_embedding(flat[..., :IMAGE_SIDE, :IMAGE_SIDE])[..., 0, 0]
        torch.testing.assert_close(found, expected, atol=0.02, rtol=0.05)
        for ours, theirs in zip(tower.encoder.parameters(), encoder.vision_model.encoder.parameters(), strict=True):
            torch.testing.assert_close(ours, theirs)


def test_solids_are_described_from_left_to_right_and_hidden_ones_not():
    scene = {
        "solids": [
            {"shape": shape, "color": color, "pattern": "plain", "shiny": False, "size": ""}
            | {"action": "moves", "heading": heading}
            for shape, color, heading in (("ball", "red", "left"), ("cube", "blue", "away"), ("cone", "pink", "right"))
        ],
        "ground": {"color": "grey", "pattern": "plain"},
        "backdrop": "night",
        "camera": "left",
    }
    ids = np.ones((2, 20, 20), np.uint8)
    ids[:, :10, 10:], ids[:, 10:, :10] = 3, 4
    video = np.zeros((2, 20, 20, 3), np.uint8)
    [order] = seen_orders(Scenes(video[None], ids[None], None, [], [], [scene]))
    assert order == [1, 0]
    words = seen_caption(scene, order)
    assert words == (
        "A blue cube slides away and a red ball rolls left. The floor is grey, the backdrop a night sky. The camera moves left."
    )
    assert seen_caption(mirrored(scene), order[::-1]).startswith("A red ball rolls right and a blue cube slides away.")
    table = solid_labels(scene, order)
    owners = patch_solids(ids, 10)
    assert owners.tolist() == [[-1, 0, 1, -1]] * 2
    places = table[owners][0, :, list(LABELS).index("place")]
    assert places.tolist() == [UNNAMED, 1, 0, UNNAMED]


def test_a_rendered_scene_mirrored_is_described_mirrored(scenes):
    scene, order = scenes.descriptions[0], seen_orders(scenes)[0]
    ids = np.ascontiguousarray(scenes.entity_ids[:1, :, :, ::-1])
    flipped = Scenes(scenes.video[:1], ids, scenes.z[:1], [], [], [scene])
    assert seen_orders(flipped) == [order[::-1]]


def test_boxes_by_hand():
    ids = np.ones((2, 20, 40), np.uint8)
    ids[0, 5:10, 10:30] = 4
    boxes = solid_boxes(ids)
    np.testing.assert_allclose(boxes[0, 1], [-0.5, 0.5, -0.5, 0.0])
    assert np.isnan(boxes[1]).all() and np.isnan(boxes[0, [0, 2, 3, 4, 5]]).all()


def test_a_lesson_says_what_its_frames_show(scenes, monkeypatch):
    """Cropped, mirrored, and with a solid of another scene: names, boxes and words are those of what is seen."""
    monkeypatch.setattr(captioner_clips, "PASTED_SHARE", 1.0)
    rng, frames, third = np.random.default_rng(0), np.array([0, 4, 8]), 0
    for index in range(30):
        lesson = draw_lesson(scenes, index % len(scenes), frames, 54, rng)
        assert lesson.video.shape == (3, 54, 54, 3)
        solids = read_solids(lesson.caption, SHAPES, list(COLORS))
        third += len(solids) > len(scenes.descriptions[index % len(scenes)]["solids"])
        named = lesson.names[..., list(LABELS).index("place")]
        for place, solid in enumerate(solids):
            shapes = lesson.names[named == place][:, 0]
            assert (shapes == SHAPES.index(solid.shape)).all()
        known = named != UNNAMED
        assert np.isfinite(lesson.boxes[known]).all() and np.isnan(lesson.boxes[~known]).all()
        assert (np.abs(lesson.boxes[known]) <= 1).all() and not lesson.moved[0][known[0]].any()
    assert third, "no scene got a third solid"


def test_a_solid_put_in_hides_only_what_is_farther(scenes, monkeypatch):
    monkeypatch.setattr(captioner_clips, "PASTED_SHARE", 1.0)
    frames, changed, rng = np.arange(9), 0, np.random.default_rng(0)
    for index in [*range(len(scenes))] * 5:
        video, ids, scene = put_in(scenes, index, frames, rng)
        new = ids != scenes.entity_ids[index]
        changed += new.any()
        assert (video[~new] == scenes.video[index][~new]).all()
        if new.any():
            assert set(ids[new].tolist()) == {FIRST_SOLID_ID + len(scene["solids"]) - 1}
            assert any(
                (scenes.video[other][new] == video[new]).all() and (scenes.z[other][new] < scenes.z[index][new]).all()
                for other in range(len(scenes))
            )
    assert changed


def test_the_shipped_captioner_describes_unseen_scenes():
    captioner = Captioner.from_pretrained("mini:captioner", device="cpu", dtype="bfloat16", max_new_tokens=64)
    unseen = Scenes.stack([render_clip(DEFAULT_SCENES, HELD_OUT_SEED + 500_000 + index) for index in range(8)])
    said = captioner.caption(list(unseen.video), DEFAULT_SCENES.fps, batch_size=8)
    quality = captions_quality(said, unseen, seen_orders(unseen))
    # What its card says, less the spread of eight clips.
    assert quality["caption_attributes"] >= 0.7 and quality["caption_inventions"] <= 0.2
    shuffled = captions_quality([*said[1:], said[0]], unseen, seen_orders(unseen))
    assert shuffled["caption_attributes"] < quality["caption_attributes"] - 0.3
    assert all(text.endswith(".") and " ." not in text and "<" not in text for text in said), "whole sentences"
