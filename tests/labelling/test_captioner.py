"""Video-LLaVA and the Qwen-VL family, real classes at tiny random size, as captioners."""

from __future__ import annotations

import json
import struct

import numpy as np
import pytest
from tiny_captioners import write_checkpoint

from udpdiff.labelling.captioner import FAMILIES, Captioner, two_frames_a_second, uniform_frames
from udpdiff.video_io import decode_mp4, encode_mp4, write_mp4


@pytest.fixture(scope="module", params=sorted(FAMILIES))
def captioner(request, tmp_path_factory):
    folder = write_checkpoint(request.param, tmp_path_factory.mktemp(request.param))
    return Captioner.from_pretrained(folder, device="cpu", max_new_tokens=12)


def noise(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (*shape, 3), np.uint8)


VIDEOS = [noise(0, 9, 64, 64), noise(1, 5, 48, 80), noise(2, 1, 32, 32), noise(3, 40, 64, 64)]


def test_a_batch_says_what_each_video_alone_says(captioner):
    together = captioner.caption(VIDEOS, fps=8.0, batch_size=3)
    assert together == [captioner.caption([video], fps=8.0)[0] for video in VIDEOS]
    assert len(set(together)) == len(VIDEOS), "what is said must depend on what is seen"


def test_the_instruction_is_asked_and_not_repeated(captioner, monkeypatch):
    answers = []
    for instruction in ("the dog", "a cat sits on the green grass"):
        monkeypatch.setattr(captioner, "instruction", instruction)
        prompt = captioner.family.write_prompt(captioner.processor, instruction)
        assert prompt.count(instruction) == 1 and prompt.count(captioner.processor.video_token) == 1
        answers.append(captioner.caption(VIDEOS, fps=8.0))
        assert all(len(said.split()) <= captioner.max_new_tokens for said in answers[-1])
    assert answers[0] != answers[1]


def test_only_the_chosen_frames_count(captioner):
    video = noise(4, 40, 64, 64)
    shown = captioner.family.choose_frames(40, 8.0)
    hidden = np.setdiff1d(np.arange(40), shown)
    assert len(hidden)
    other = video.copy()
    other[hidden] = 255 - other[hidden]
    assert captioner.caption([video], 8.0) == captioner.caption([other], 8.0)
    other[shown] = 255 - other[shown]
    assert captioner.caption([video], 8.0) != captioner.caption([other], 8.0)


def test_sampling_is_repeatable_and_leaves_the_random_state_alone(captioner):
    import torch

    state = torch.random.get_rng_state()
    drawn = [captioner.caption(VIDEOS[:2], 8.0, seed=seed) for seed in (1, 1, 2, 3, 4)]
    assert drawn[0] == drawn[1]
    assert len({tuple(each) for each in drawn}) > 1
    assert torch.equal(torch.random.get_rng_state(), state)


def test_one_file_in_three_lines(captioner, tmp_path):
    write_mp4(tmp_path / "film.mp4", noise(5, 9, 64, 64), fps=8)
    assert captioner.caption_file(tmp_path / "film.mp4")


def test_a_file_is_seen_as_players_show_it(captioner, tmp_path):
    """A telephone's video is turned by a matrix in its header, behind the track's first 44 bytes."""
    data = bytearray(encode_mp4(VIDEOS[0], 8))
    start = data.index(b"tkhd") + 44
    data[start : start + 36] = struct.pack(">9i", 0, 1 << 16, 0, -1 << 16, 0, 0, 0, 0, 1 << 30)
    (tmp_path / "film.mp4").write_bytes(data)
    upright = np.rot90(decode_mp4(encode_mp4(VIDEOS[0], 8)), -1, axes=(1, 2))
    assert captioner.caption_file(tmp_path / "film.mp4") == captioner.caption([upright], 8.0)[0]


def test_half_precision(captioner, tmp_path):
    captioner.model.save_pretrained(tmp_path)
    captioner.processor.save_pretrained(tmp_path)
    half = Captioner.from_pretrained(str(tmp_path), "cpu", "bfloat16", max_new_tokens=4)
    assert half.model.dtype.itemsize == 2
    assert half.caption(VIDEOS[:1], 8.0)[0]


def test_other_checkpoints_are_refused(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "t5"}))
    with pytest.raises(ValueError, match=r"of type 't5'\. Expected one of .*'qwen3_vl'.*'video_llava'"):
        Captioner.from_pretrained(tmp_path)


def test_code_of_a_checkpoint_is_never_run(tmp_path):
    mark = tmp_path / "ran"
    (tmp_path / "evil.py").write_text(f"open({str(mark)!r}, 'w')\n")
    (tmp_path / "config.json").write_text(
        json.dumps({"model_type": "video_llava2", "auto_map": {"AutoConfig": "evil.Config"}})
    )
    with pytest.raises(ValueError):
        Captioner.from_pretrained(tmp_path)
    assert not mark.exists()


def test_wrong_inputs_are_refused(captioner):
    with pytest.raises(ValueError, match="float32"):
        captioner.caption([VIDEOS[0].astype(np.float32)], 8.0)
    with pytest.raises(ValueError, match="fps=0"):
        captioner.caption(VIDEOS, 0)
    assert captioner.caption([], 8.0) == []


@pytest.mark.parametrize(
    "choose, total, fps, chosen",
    [
        (uniform_frames, 8, 8.0, list(range(8))),
        (uniform_frames, 49, 8.0, [0, 6, 13, 20, 27, 34, 41, 48]),
        (uniform_frames, 1, 8.0, [0] * 8),
        (two_frames_a_second, 17, 8.0, [0, 3, 6, 10, 13, 16]),
        (two_frames_a_second, 9, 8.0, [0, 3, 5, 8]),
        (two_frames_a_second, 2, 8.0, [0, 0, 1, 1]),
    ],
)
def test_which_frames_are_shown(choose, total, fps, chosen):
    assert choose(total, fps).tolist() == chosen


def test_long_films_are_shown_in_so_many_frames():
    frames = two_frames_a_second(100_000, 25.0)
    assert len(frames) == 128 and frames[-1] == 99_999
