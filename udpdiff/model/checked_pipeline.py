"""Diffusers' CogVideoX pipeline with timings, a smooth dynamic guidance, and an error for values that are not finite.

Stock code goes on with such values, and ends in a black video. The seams are the stock pipeline's own methods.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from diffusers import CogVideoXPipeline

from udpdiff.checkpoints import hub, local_folder
from udpdiff.finite import check_finite
from udpdiff.model.base_parts import parts_left_out
from udpdiff.model.call_checks import check_returned
from udpdiff.model.noise_schedule import dynamic_guidance
from udpdiff.timing import timed


class CheckedPipeline(CogVideoXPipeline):
    """The stock pipeline with finite embeddings and frames, or an error; `check_step` is for its denoising loop.

    Source: diffusers, pipelines/cogvideo/pipeline_cogvideox.py (0.42).
    """

    _dynamic_guidance: float | None = None  # the scale that a call's guidance grows to, where it does

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | Path, **options: Any) -> CheckedPipeline:
        """Load a pipeline; what the folder of a run leaves to its base comes from there.

        Args:
            pretrained_model_name_or_path: A folder, `mini:NAME`, or of the hub, `ID` or `ID@REVISION`.
            options: Diffusers' own, and parts to take in place of stored ones.

        Raises:
            ValueError: There is no such mini checkpoint, or the base is not to be found.
            StorageError: The weights of a mini checkpoint are damaged.
        """
        reference = str(pretrained_model_name_or_path)
        if Path(reference).is_dir() or not hub.split(reference):
            folder = local_folder(reference)
        else:
            name, revision = hub.split(reference)
            folder = cls.download(name, **({"revision": revision} if revision else {}) | options)
        loading = {name: options[name] for name in ("dtype", "torch_dtype") if name in options}
        options.pop("trust_remote_code", None)  # whoever asks for it
        parts = parts_left_out(folder, options, **loading)
        return super().from_pretrained(folder, trust_remote_code=False, **parts | options)

    @property
    def guidance_scale(self) -> float:
        """Of the present step, which the stock loop asks for."""
        if self._dynamic_guidance is None or self.current_timestep is None:
            return super().guidance_scale
        total = self.scheduler.config.num_train_timesteps
        return dynamic_guidance(self._dynamic_guidance, float(self.current_timestep), total)

    @cached_property
    def timings(self) -> dict[str, float]:
        """Seconds of `text_encoder` and `vae` so far."""
        return {}

    def encode_prompt(
        self,
        prompt: str | list[str],
        negative_prompt: str | list[str] | None = None,
        do_classifier_free_guidance: bool = True,
        num_videos_per_prompt: int = 1,
        prompt_embeds: torch.Tensor | None = None,
        negative_prompt_embeds: torch.Tensor | None = None,
        max_sequence_length: int = 226,
        device: torch.device | None = None,
        dtype: torch.dtype | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Encode prompts as the stock pipeline does.

        Raises:
            NotFinite: The embeddings are not.
        """
        given = (prompt, negative_prompt, do_classifier_free_guidance, num_videos_per_prompt)
        given += (prompt_embeds, negative_prompt_embeds, max_sequence_length, device, dtype)
        with timed(self.timings, "text_encoder", self._execution_device):
            embeds = super().encode_prompt(*given)
        for each in embeds:
            if each is not None:
                check_finite(each, "the prompt embeddings", each.dtype)
        return embeds

    def _denoise(self, **arguments: Any) -> torch.Tensor:
        """Return the latents (B, F, C, h, w) that the stock call makes of its arguments; `timings` begin anew with it."""
        self.timings = {}
        with timed(self.timings, "transformer", self._execution_device):
            latents = super().__call__(**arguments, output_type="latent").frames
        self.timings["transformer"] -= self.timings.get("text_encoder", 0.0)
        return latents

    def decode_latents(self, latents: torch.Tensor) -> torch.Tensor:
        """Decode latents (B, F, C, h, w) to frames in [-1, 1] (B, 3, T, H, W), as the stock pipeline does.

        Raises:
            NotFinite: The frames are not.
        """
        with timed(self.timings, "vae", self._execution_device):
            frames = super().decode_latents(latents)
        check_finite(frames, "the frames that the VAE decodes", frames.dtype)
        return frames

    def check_step(self, step: int, timestep: Any, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Return the tensors of a denoising step as they are; for use as `callback_on_step_end`.

        Raises:
            NotFinite: Its latents are not.
        """
        if "latents" in tensors:
            latents = tensors["latents"]
            what = f"the latents after step {step + 1} of {self.num_timesteps}"
            check_finite(latents, what, latents.dtype)
        return tensors

    def each_step(self, callback: Callable | None, names: Sequence[str] | None) -> dict[str, Any]:
        """Return the stock arguments for a callback that checks the latents after the user's has had its own tensors."""
        own = getattr(callback, "tensor_inputs", names or ())  # diffusers' callback objects bring their names

        def after_step(pipeline: CheckedPipeline, step: int, timestep: Any, tensors: dict) -> dict:
            if callback is None:
                return self.check_step(step, timestep, tensors)
            returned = callback(pipeline, step, timestep, {name: tensors[name] for name in own})
            check_returned(returned, tensors["latents"])
            self.check_step(step, timestep, tensors | returned)
            return returned

        inputs = list(dict.fromkeys((*own, "latents")))
        return {"callback_on_step_end": after_step, "callback_on_step_end_tensor_inputs": inputs}
