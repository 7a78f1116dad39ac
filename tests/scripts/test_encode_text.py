"""Prompts of a shard: rejected captions stay listed, and a job that was killed goes on to the same content."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from scripts import encode_text
from udpdiff import jobs
from udpdiff.checkpoints import resolve
from udpdiff.gpu_memory import recorded_peak
from udpdiff.model.text import PromptEncoder
from udpdiff.storage.captions import Caption, CaptionWriter
from udpdiff.storage.shards import ShardReader
from udpdiff.tasks import TASKS, task_prompt


def test_rejected_captions_leave_the_clip_out_of_training_with_the_reason(monkeypatch, tmp_path):
    table, text = tmp_path / "captions.parquet", tmp_path / "text.h5"
    with CaptionWriter(table, {}) as captions:
        captions.add("good", Caption("A red ball.", "films", 5), Caption("A red ball rolls.", "films", 6))
        captions.reject("bad", "looping caption: 'a dog' 4 times in a row")
    with encode(monkeypatch, table, text) as shard:
        assert shard.clip_ids == ["", "good"]
        assert [(each["clip_id"], each["reason"]) for each in shard.rejected] == [
            ("bad", "looping caption: 'a dog' 4 times in a row")
        ]
    assert recorded_peak(text.with_suffix(".tsv")) == (True, None), "on a CPU it says that it took no GPU"


def encode(monkeypatch, table: Path, text: Path) -> ShardReader:
    described = ["--job", jobs.EncodeText(base="mini:cogvideox", dtype="float32", task="seg").dump()]
    described += ["--execution", jobs.Execution(device="cpu").dump()]
    monkeypatch.setattr(
        sys,
        "argv",
        [
            "encode_text",
            *described,
            "--captions",
            str(table),
            "--text",
            str(text),
            "--timing",
            str(text.with_suffix(".json")),
        ],
    )
    encode_text.main()
    return ShardReader(text)


def test_a_killed_text_encoder_goes_on_to_the_same_content(monkeypatch, tmp_path):
    table = tmp_path / "captions.parquet"
    with CaptionWriter(table, {}) as captions:
        for number in range(19):
            captions.add(f"clip{number}", Caption(f"A ball, {number}.", "films", 5), Caption("A ball.", "films", 4))
    whole = encode(monkeypatch, table, tmp_path / "whole.h5")
    assert whole.clip_ids == ["", *(f"clip{number}" for number in range(19))]
    alone = PromptEncoder.from_pretrained(resolve("mini:cogvideox"), "cpu").encode(
        [task_prompt("A ball, 9.", TASKS["seg"])]
    )
    np.testing.assert_allclose(whole.read("clip9", "brief"), alone[0], atol=4e-3)

    calls, encode_prompts = [], PromptEncoder.encode

    def encode_or_die(encoder, prompts):
        calls.append(len(prompts))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return encode_prompts(encoder, prompts)

    monkeypatch.setattr(PromptEncoder, "encode", encode_or_die)
    with pytest.raises(KeyboardInterrupt):
        encode(monkeypatch, table, tmp_path / "killed.h5")
    assert not (tmp_path / "killed.h5").exists()
    assert encode(monkeypatch, table, tmp_path / "killed.h5").sha256 == whole.sha256
    assert calls == [2, 16, 16, 16, 6], "what was finished is not encoded again"
