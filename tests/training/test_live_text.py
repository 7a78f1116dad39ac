"""A text encoder beside the trainer gives what stored embeddings give."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest

from udpdiff import jobs
from udpdiff.model.live_text import LivePrompts
from udpdiff.model.text import encode_captions
from udpdiff.storage import captions as storage
from udpdiff.storage.captions import Caption, CaptionWriter
from udpdiff.storage.dataset import LatentSource
from udpdiff.training.loop import train

CLIPS = 6
NEAR = ("red", "green", "blue", "yellow", "white", "black")


@pytest.fixture(scope="module")
def captions(tmp_path_factory):
    """Two tables; the last clip's caption was rejected."""
    paths = [tmp_path_factory.mktemp("captions") / f"{number}.parquet" for number in (0, 1)]
    for first, path in zip((0, 3), paths, strict=True):
        with CaptionWriter(path, {}) as table:
            for number in range(first, first + 3):
                words = [
                    Caption(f"a {size} ball moves near {NEAR[number]} cube", "films", 9) for size in ("small", "large")
                ]
                if number == CLIPS - 1:
                    table.reject(f"clip-{number:03d}", "a looping caption")
                else:
                    table.add(f"clip-{number:03d}", *words)
    return paths


@pytest.fixture
def sources(base, streams, captions, tmp_path):
    """(stored, live) of the style that names the task, of the same captions."""

    def make(*styles: str, dtype: str = "float32") -> tuple[LatentSource, LatentSource]:
        stored, live = {}, LivePrompts(captions, base, dtype, "cpu")
        for style in styles:
            stored[style] = [tmp_path / f"{style}{number}.h5" for number in range(len(captions))]
            for table, path in zip(captions, stored[style], strict=True):
                job = jobs.EncodeText(base=base, dtype=dtype, task=None if style == "plain" else style)
                encode_captions(job, jobs.Execution(device="cpu"), table, path)
        latents = [streams["video"]], {"depth": [streams["depth"]]}
        return LatentSource(*latents, stored), LatentSource(*latents, {style: live.style(style) for style in styles})

    return make


def test_every_table_is_read_once(captions, base, monkeypatch):
    read, paths = storage.read_table, []
    monkeypatch.setattr(storage, "read_table", lambda path: paths.append(path) or read(path))
    prompts = LivePrompts(captions, base, "float32", "cpu")
    assert paths == captions
    assert list(prompts.texts) == [f"clip-{number:03d}" for number in range(CLIPS - 1)]
    assert prompts.rejected == {f"clip-{CLIPS - 1:03d}": "a looping caption"}


@pytest.mark.parametrize("style", ["plain", "depth"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_prompts_equal_stored_ones(sources, style, dtype):
    """But for one step of float16: prompts are encoded alone here, and in batches there."""
    stored, live = sources(style, dtype=dtype)
    assert live.clip_ids(["depth"]) == stored.clip_ids(["depth"]) and len(live.clip_ids(["depth"])) == CLIPS - 1
    assert live.missing(["depth"]) == stored.missing(["depth"]) == {"clip-005": f"text {style}: a looping caption"}
    for clip_id in live.clip_ids(["depth"]):
        for caption in ("brief", "detailed", "empty"):
            first, second = (each.read(clip_id, ["depth"], caption).prompt_embeds for each in (stored, live))
            assert first.dtype == second.dtype and first.shape == second.shape
            np.testing.assert_allclose(second, first, rtol=2**-10, atol=2**-12)
    with pytest.raises(ValueError, match="has no clip 'clip-005': a looping caption"):
        live.read("clip-005", ["depth"], "brief")


def test_styles_differ_and_so_do_captions(sources):
    _, live = sources("plain", "depth")
    base_prompt = live.read("clip-000", [], "brief").prompt_embeds
    assert (live.read("clip-000", ["depth"], "brief").prompt_embeds != base_prompt).any(), "the task is named"
    assert (live.read("clip-000", [], "detailed").prompt_embeds != base_prompt).any()
    assert (live.read("clip-001", [], "brief").prompt_embeds != base_prompt).any()


def test_what_prompts_depend_on_enters_a_runs_identity(base, streams, captions, tmp_path):
    def identity(tables, dtype="float32", style="plain") -> str:
        live = LivePrompts(tables, base, dtype, "cpu")
        return LatentSource([streams["video"]], {}, {"plain": live.style(style)}).digest()

    other = tmp_path / "other.parquet"
    with CaptionWriter(other, {}) as table:
        table.add("clip-000", *[Caption("another ball", "films", 3)] * 2)
    found = [identity(captions), identity(captions[:1]), identity([other]), identity(captions, "bfloat16")]
    found.append(identity(captions, style="depth"))
    assert len(set(found)) == len(found) and identity(captions[::-1]) == found[0]


def test_a_source_may_be_handed_to_another_process(sources):
    _, live = sources("plain")
    copied = pickle.loads(pickle.dumps(live))
    first, second = (each.read("clip-002", [], "detailed").prompt_embeds for each in (live, copied))
    np.testing.assert_array_equal(first, second)


def test_training_gives_the_same_losses(sources, make_settings, tmp_path):
    losses = []
    for name, source in zip(("stored", "live"), sources("plain"), strict=True):
        settings = make_settings(tasks={"depth": 1.0}, steps=4, log_every_steps=1)
        train(settings, source, tmp_path / name, tmp_path / f"{name}-out", cpu=True)
        entries = [json.loads(line) for line in (tmp_path / name / "train.jsonl").read_text().splitlines()]
        losses.append([entry["loss"] for entry in entries if "loss" in entry])
    assert len(losses[0]) == 4
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-3)
