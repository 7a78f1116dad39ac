"""Prompt embeddings as CogVideoX's pipeline makes them, without loading its other parts."""

from __future__ import annotations

import numpy as np


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
