"""The base model's folder: what one stage leaves is a pipeline, and the next stage goes on with it."""

from __future__ import annotations

import json

import torch


def test_a_stage_leaves_a_pipeline_that_the_next_goes_on_with(train_briefly):
    from diffusers import CogVideoXPipeline

    first = train_briefly("cogvideox_first", steps=1)
    folder = train_briefly("cogvideox", steps=1, start_from=first)
    before, after = (CogVideoXPipeline.from_pretrained(path) for path in (first, folder))
    gaps = {}
    for part in ("transformer", "text_encoder"):
        models = [getattr(pipeline, part) for pipeline in (before, after)]
        assert {model.dtype for model in models} == {torch.float32}
        pairs = zip(*(model.parameters() for model in models), strict=True)
        gaps[part] = max((old - new).abs().max().item() for old, new in pairs)
    # The text encoder stands still as long as the gates of the blocks are nearly shut.
    assert 0 < gaps["transformer"] < 0.05 and gaps["text_encoder"] < 0.05, "one step further, not another start"
    assert torch.equal(after.text_encoder.shared.weight, after.text_encoder.encoder.embed_tokens.weight)
    assert after.tokenizer.get_vocab() == before.tokenizer.get_vocab()
    assert json.loads((folder / "training.json").read_text())["steps"] == 2
    assert json.loads((folder / "vae" / "training.json").read_text())["name"] == "cogvideox/vae"


def test_the_base_hears_the_batch(train_briefly, monkeypatch):
    from udpdiff.mini.base import Objective

    seen, forward = [], Objective.forward

    def watched(self, latents, *rest):
        seen.append(len(latents))
        return forward(self, latents, *rest)

    monkeypatch.setattr(Objective, "forward", watched)
    train_briefly("cogvideox_first", steps=1, batch=3)
    assert seen[0] == 3
