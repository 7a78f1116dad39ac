"""The caption script: where captions come from, what is retried, rejected, cut, resumed."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from tiny_captioners import write_checkpoint

from scripts import write_captions
from udpdiff import jobs
from udpdiff.config.labels import Captions
from udpdiff.labelling.captioner import Captioner
from udpdiff.storage.captions import read_captions, read_rejections, whole_caption
from udpdiff.storage.failures import TooManyFailures
from udpdiff.storage.shards import ShardWriter
from udpdiff.video_io import encode_mp4

SETTINGS = {
    "batch_clips": 2,
    "captioner": None,
    "dtype": "float32",
    "instruction": None,
    "max_new_tokens": 8,
    "max_tokens": None,
}
EXECUTION = jobs.Execution(device="cpu", max_failed_share=0.4)
LONG = "A red ball rolls left. " * 12


@pytest.fixture
def write_clips(tmp_path):
    """A function that writes a shard of clips of random colours with the given (brief, detailed) captions."""

    def write(*captions: tuple[str, str]):
        path, rng = tmp_path / "clips.h5", np.random.default_rng(0)
        attrs = {"height": 64, "width": 64, "num_frames": 5, "fps": 8.0, "source": "films"}
        with ShardWriter(path, "clips", attrs) as shard:
            for number, (brief, detailed) in enumerate(captions):
                video = np.repeat(rng.integers(0, 256, (5, 8, 8, 3), np.uint8), 8, axis=1).repeat(8, axis=2)
                words = {"brief": brief, "detailed": detailed, "source_id": f"{number}"}
                words |= {"source_sha256": "", "record_sha256": ""}
                shard.add(f"clip{number}", {"video_mp4": encode_mp4(video, 8.0)} | words)
        return path

    return write


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return write_checkpoint("qwen3_vl", tmp_path_factory.mktemp("captioner"))


def run(monkeypatch, clips, **changes):
    table = clips.with_name("captions.parquet")
    job = jobs.WriteCaptions(
        captions=Captions(**SETTINGS | changes), base="mini:cogvideox", named_tasks=("seg", "depth"), seed=7
    )
    described = ["--job", job.dump(), "--execution", EXECUTION.dump()]
    monkeypatch.setattr(sys, "argv", ["write_captions", *described, "--clips", str(clips), "--captions", str(table)])
    write_captions.main()
    return read_captions([table]), read_rejections([table])


def answering(monkeypatch, answer):
    """The real captioner with its words replaced: answer(batch number, videos, seed) -> their captions."""
    calls = []

    def caption(self, videos, fps, batch_size=8, seed=None):
        calls.append((len(videos), seed))
        return answer(len(calls) - 1, videos, seed)

    monkeypatch.setattr(Captioner, "caption", caption)
    return calls


def test_captions_of_the_source_are_named_so(monkeypatch, write_clips):
    captions, rejected = run(monkeypatch, write_clips(("A ball.", "A red ball rolls."), ("A cube.", "")))
    assert captions["clip0"] == {
        "brief": "A ball.",
        "detailed": "A red ball rolls.",
        "brief_whole": "",
        "detailed_whole": "",
        "prompt": "A red ball rolls.",
        "brief_source": "films",
        "detailed_source": "films",
        "rejected": "",
        "brief_tokens": 4,
        "brief_cut_tokens": 0,
        "detailed_tokens": 6,
        "detailed_cut_tokens": 0,
    }
    assert captions["clip1"]["detailed"] == "A cube." and captions["clip1"]["detailed_source"] == "brief caption"
    assert rejected == {}


def test_long_captions_are_cut_and_the_cut_recorded(monkeypatch, write_clips):
    clips = write_clips((LONG, LONG))
    words = run(monkeypatch, clips)[0]["clip0"]
    assert words["detailed"] == ("A red ball rolls left. " * 7).strip()
    # Six tokens a sentence, one end mark; 48 are read, of which the words that name a task take three.
    assert (words["detailed_tokens"], words["detailed_cut_tokens"]) == (43, 30)
    # The model's share is cut, what people are given is not.
    assert whole_caption(words, "detailed") == whole_caption(words, "brief") == LONG
    clips.with_name("captions.parquet").unlink()
    assert run(monkeypatch, clips, max_tokens=20)[0]["clip0"]["brief_tokens"] == 13


def test_a_real_captioner_describes(monkeypatch, write_clips, checkpoint, capfd):
    clips = write_clips(*[("A ball.", "A red ball rolls."), ("", "")] * 3)
    captions, rejected = run(monkeypatch, clips, captioner=str(checkpoint), max_new_tokens=16)
    assert captions, "random words loop seldom"
    assert set(captions) | set(rejected) == {f"clip{number}" for number in range(6)}
    for clip_id, words in captions.items():
        assert words["detailed_source"] == str(checkpoint) and len(words["detailed"].split()) >= 3
        odd = int(clip_id[-1]) % 2
        assert words["prompt"] == (words["detailed"] if odd else "A red ball rolls.")
        assert words["brief_source"] == ("first sentence of detailed caption" if odd else "films")
        assert words["detailed"].startswith(words["brief"]) if odd else words["brief"] == "A ball."


def test_what_a_captioner_says_beyond_the_cut_is_kept(monkeypatch, write_clips, checkpoint):
    said = " ".join(f"Dog number {number} runs away." for number in range(20))
    answering(monkeypatch, lambda number, videos, seed: [said] * len(videos))
    words = run(monkeypatch, write_clips(("A clip.", "")), captioner=str(checkpoint))[0]["clip0"]
    assert words["detailed_cut_tokens"] and words["detailed"] != said == whole_caption(words, "detailed")
    assert words["prompt"] == words["detailed"] and whole_caption(words, "brief") == words["brief"] == "A clip."


def test_useless_words_are_asked_for_once_more_then_rejected(monkeypatch, write_clips, checkpoint):
    loop, good = "The dog runs. " * 5, "The video shows a dog that runs."

    def answer(number, videos, seed):
        return [loop, good][: len(videos)] if seed is None else [good if number == 1 else "a dog"]

    calls = answering(monkeypatch, answer)
    clips = write_clips(*[("A clip.", "")] * 4)
    captions, rejected = run(monkeypatch, clips, captioner=str(checkpoint))
    assert calls == [(2, None), (1, 7), (2, None), (1, 7)]
    assert {clip_id: words["detailed"] for clip_id, words in captions.items()} == dict.fromkeys(
        ["clip0", "clip1", "clip3"], "A dog that runs."
    )
    assert rejected == {"clip2": "empty caption: 'a dog', 3 words needed"}


def test_a_clip_that_fails_is_listed_and_its_neighbours_go_on(monkeypatch, write_clips, checkpoint):
    bad = []

    def answer(number, videos, seed):
        bad[:] = bad or [videos[1].sum()]
        if any(video.sum() == bad[0] for video in videos):
            raise ValueError("no\nluck")
        return ["A dog that runs."] * len(videos)

    answering(monkeypatch, answer)
    captions, rejected = run(monkeypatch, write_clips(*[("A clip.", "")] * 4), captioner=str(checkpoint))
    assert sorted(captions) == ["clip0", "clip2", "clip3"]
    assert rejected == {"clip1": "failed: ValueError: no luck"}


def test_too_many_failures_stop_the_job(monkeypatch, write_clips, checkpoint):
    def answer(number, videos, seed):
        raise ValueError("no luck")

    answering(monkeypatch, answer)
    clips = write_clips(*[("A clip.", "")] * 5)
    with pytest.raises(TooManyFailures, match=r"3 of 5 clips failed"):
        run(monkeypatch, clips, captioner=str(checkpoint))
    assert not clips.with_name("captions.parquet").exists()


def interrupted(number, videos, seed):
    """Words for every batch but the second, at which the job is stopped."""
    if number == 1:
        raise KeyboardInterrupt
    return ["A dog that runs."] * len(videos)


def test_a_killed_job_goes_on_where_it_stopped(monkeypatch, write_clips, checkpoint):
    calls = answering(monkeypatch, interrupted)
    clips = write_clips(*[("A clip.", "")] * 5)
    with pytest.raises(KeyboardInterrupt):
        run(monkeypatch, clips, captioner=str(checkpoint))
    assert not clips.with_name("captions.parquet").exists()
    captions, _ = run(monkeypatch, clips, captioner=str(checkpoint))
    assert list(captions) == [f"clip{number}" for number in range(5)]
    assert [videos for videos, _ in calls] == [2, 2, 2, 1]


def test_what_was_said_of_other_clips_is_not_gone_on_with(monkeypatch, write_clips, checkpoint):
    calls = answering(monkeypatch, interrupted)
    clips = write_clips(*[("A clip.", "")] * 3)
    with pytest.raises(KeyboardInterrupt):
        run(monkeypatch, clips, captioner=str(checkpoint))
    clips.unlink()
    with pytest.warns(UserWarning, match="starting again"):
        captions, _ = run(monkeypatch, write_clips(*[("Another.", "")] * 3), captioner=str(checkpoint))
    assert [words["brief"] for words in captions.values()] == ["Another."] * 3
    assert [videos for videos, _ in calls] == [2, 1, 2, 1]
