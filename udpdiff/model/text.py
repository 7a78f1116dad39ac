"""Prompt embeddings and prompt lengths as CogVideoX's pipeline makes them, without loading its other parts."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from udpdiff.tasks import TASKS, task_prompt


class PromptLength:
    """Counts tokens as a CogVideoX checkpoint does, end mark included, with its tokenizer alone.

    limit: how many a caption may have. The prompt has room for a task's name too, so that every task condition reads
    the same words.
    """

    def __init__(self, tokenizer, max_tokens: int):
        self._tokenizer = tokenizer
        named = max(self.count(task_prompt("", task)) for task in TASKS) - self.count("")
        self.limit = max_tokens - named

    @classmethod
    def from_pretrained(cls, base: str, max_tokens: int | None = None) -> PromptLength:
        """From a pipeline folder or a hub id; max_tokens: of a prompt, None for as many as the transformer reads.

        ValueError for more than that.
        """
        from transformers import T5Tokenizer
        from transformers.utils import cached_file

        # The file rather than the class's own loader: counting words should not load torch.
        config = cached_file(base, "config.json", subfolder="transformer")
        read = json.loads(Path(config).read_text())["max_text_seq_length"]
        if max_tokens is not None and max_tokens > read:
            raise ValueError(f"Got max_tokens={max_tokens}. Expected at most {read}, which is what {base!r} reads.")
        return cls(T5Tokenizer.from_pretrained(base, subfolder="tokenizer"), max_tokens or read)

    def count(self, text: str) -> int:
        """Tokens of a text without any cut."""
        return len(self._tokenizer(text, verbose=False).input_ids)


class PromptEncoder:
    """T5 encoder and tokenizer of a CogVideoX checkpoint.

    The stock pipeline's own `encode_prompt` does the work, so that cached embeddings equal those at sampling: padded to
    the transformer's text length and without an attention mask.
    """

    def __init__(self, pipeline, max_sequence_length: int):
        self._pipeline = pipeline
        self.max_sequence_length = max_sequence_length

    @classmethod
    def from_pretrained(cls, base: str, device: str | None = None) -> PromptEncoder:
        """From a pipeline folder or a hub id."""
        from diffusers import CogVideoXPipeline, CogVideoXTransformer3DModel

        from udpdiff.model.latents import default_device

        config = CogVideoXTransformer3DModel.load_config(base, subfolder="transformer")
        pipeline = CogVideoXPipeline.from_pretrained(base, transformer=None, vae=None, scheduler=None)
        pipeline.text_encoder.eval().requires_grad_(False).to(device or default_device())
        return cls(pipeline, config["max_text_seq_length"])

    def encode(self, prompts: list[str]) -> np.ndarray:
        """float32 (B, L, D)."""
        import torch

        with torch.inference_mode():
            embeds, _ = self._pipeline.encode_prompt(
                prompts,
                do_classifier_free_guidance=False,
                max_sequence_length=self.max_sequence_length,
                device=self._pipeline.text_encoder.device,
            )
        return embeds.float().cpu().numpy()
