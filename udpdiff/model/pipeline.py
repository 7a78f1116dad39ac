"""Sampling: one prompt in, a video and its dense prediction out, through diffusers' own CogVideoX loop.

The denoising loop is the stock `CogVideoXPipeline.__call__`; this module gives it paired noise and the task,
splits what it returns and decodes both halves. How colours become entity ids or depth is the task's decoder's
concern.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from diffusers import (
    AutoencoderKLCogVideoX,
    CogVideoXDDIMScheduler,
    CogVideoXDPMScheduler,
    CogVideoXPipeline,
)
from diffusers.utils import BaseOutput
from transformers import PreTrainedTokenizerBase, T5EncoderModel

from udpdiff.model.call_checks import check_channels, check_size, check_steps
from udpdiff.model.noise import Generators, dense_generators
from udpdiff.model.transformer import UDPDiffTransformer3DModel
from udpdiff.tasks import TASKS, Task, get_task, task_prompt
from udpdiff.timing import timed

TASK_CONDITIONS = ("embedding", "text")


@dataclass
class UDPDiffPipelineOutput(BaseOutput):
    """What a call returns.

    frames, dense_frames: the video and its colormap in the call's `output_type`, as diffusers defines it:
    `pil` lists of images, `np` float [0, 1] (B, T, H, W, 3), `pt` float [0, 1] (B, T, 3, H, W), `latent` (B,
    F, C, h, w). prediction: (B, T, H, W), entity ids uint16 or depth float32 [0, 1]; None for latents or when
    not asked for.
    """

    frames: Any
    dense_frames: Any
    prediction: np.ndarray | None


class UDPDiffPipeline(CogVideoXPipeline):
    """Text to video and dense prediction; components as in CogVideoX, with a widened transformer.

    task_condition: `embedding` sends task ids to the transformer, `text` names the task in the prompt (table
    5). tasks: the tasks that the transformer was trained on, each with the colormap it was trained with, such
    as {"seg": "pixelplanes"}; None stands for every known task with its standard colormap. Both are saved in
    model_index.json, so that sampling needs no other settings.

    Source: UDPDiff, sections 3.3 and 3.4; diffusers, pipelines/cogvideo/pipeline_cogvideox.py (0.42).
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        text_encoder: T5EncoderModel,
        vae: AutoencoderKLCogVideoX,
        transformer: UDPDiffTransformer3DModel,
        scheduler: CogVideoXDDIMScheduler | CogVideoXDPMScheduler,
        task_condition: str = "embedding",
        tasks: dict[str, str] | None = None,
    ) -> None:
        super().__init__(tokenizer, text_encoder, vae, transformer, scheduler)
        if task_condition not in TASK_CONDITIONS:
            raise ValueError(f"Unknown task_condition: got {task_condition!r}, expected one of {TASK_CONDITIONS}.")
        if transformer is not None and vae is not None:  # diffusers allows loading some components only
            check_channels(transformer.config, vae.config)
        tasks = {name: task.colormaps[0] for name, task in TASKS.items()} if tasks is None else dict(tasks)
        for name in tasks:
            get_task(name)
        # A mapping, never a list: downloading from the hub, diffusers takes every list in the index for a component.
        self.register_to_config(task_condition=task_condition, tasks=tasks)
        self.timings: dict[str, float] = {}

    @classmethod
    def download(cls, pretrained_model_name: str, **kwargs: Any) -> str:
        """Download a hub repository for `from_pretrained` and return its folder.

        Diffusers' own download refuses components of other packages unless their code lies in the repository.
        This one takes weights and settings only: safetensors and text, never code and never pickles.
        """
        from huggingface_hub import snapshot_download

        options = ("cache_dir", "force_download", "local_files_only", "token", "revision")
        return snapshot_download(
            pretrained_model_name,
            allow_patterns=["*.json", "*.safetensors", "*.model", "*.txt", "*.md"],
            **{name: kwargs[name] for name in options if name in kwargs},
        )

    @torch.no_grad()
    def __call__(
        self,
        prompt: str | list[str] | None = None,
        task: str | None = None,
        negative_prompt: str | list[str] | None = None,
        height: int | None = None,
        width: int | None = None,
        num_frames: int | None = None,
        num_inference_steps: int = 50,
        guidance_scale: float = 6.0,
        use_dynamic_cfg: bool = False,
        generator: Generators = None,
        latents: torch.Tensor | None = None,
        prompt_embeds: torch.Tensor | None = None,
        negative_prompt_embeds: torch.Tensor | None = None,
        output_type: str = "pil",
        return_dict: bool = True,
        attention_kwargs: dict[str, Any] | None = None,
        callback_on_step_end: Callable[..., dict[str, torch.Tensor]] | None = None,
        callback_on_step_end_tensor_inputs: Sequence[str] = ("latents",),
        max_sequence_length: int | None = None,
        decode_prediction: bool = True,
    ) -> UDPDiffPipelineOutput | tuple:
        """Generate one video and its dense prediction per prompt.

        Arguments are diffusers' own but for three. task: `seg` or `depth`; may be left out when the model
        knows only one. max_sequence_length: defaults to the transformer's text length. decode_prediction:
        False leaves `prediction` None and saves its time. `generator`, one or a list of one per prompt, gives
        the video half the noise that the stock pipeline would draw from it; with the deterministic DDIM
        scheduler the two are comparable seed by seed. `latents`, if given, are noise float (B, F, 2C, h, w),
        see `noise.paired_latents`. With `task_condition="text"`, `prompt_embeds` must be those of
        `task_prompt(prompt, task)`.

        After the call `self.timings` holds seconds of `text_encoder`, `transformer` (the denoising loop) and
        `vae` (both decodes) and `prediction`. Raises ValueError for an unknown or untrained task, sizes that
        the model cannot tile, and step numbers that the scheduler would step through wrongly.
        """
        # 1. Check what the stock call does not
        chosen = self._choose_task(task)
        config = self.transformer.config
        height = height or config.sample_height * self.vae_scale_factor_spatial
        width = width or config.sample_width * self.vae_scale_factor_spatial
        num_frames = num_frames or config.sample_frames
        check_size(
            height,
            width,
            num_frames,
            self.vae_scale_factor_spatial * config.patch_size,
            self.vae_scale_factor_temporal,
        )
        check_steps(self.scheduler, num_inference_steps)

        # 2. Tell the model the task
        attention_kwargs = dict(attention_kwargs or {})
        if self.config.task_condition == "text":
            prompt = self._name_task(prompt, chosen)
        elif config.num_tasks:
            attention_kwargs["task_ids"] = torch.tensor([list(self.config.tasks).index(chosen.name)], device=self._execution_device)

        # 3. Denoise video and dense latents together
        self.timings = {}
        with timed(self.timings, "transformer", self._execution_device):
            latents = (
                super()
                .__call__(
                    prompt=prompt,
                    negative_prompt=negative_prompt,
                    height=height,
                    width=width,
                    num_frames=num_frames,
                    num_inference_steps=num_inference_steps,
                    guidance_scale=guidance_scale,
                    use_dynamic_cfg=use_dynamic_cfg,
                    generator=generator,
                    latents=latents,
                    prompt_embeds=prompt_embeds,
                    negative_prompt_embeds=negative_prompt_embeds,
                    output_type="latent",
                    attention_kwargs=attention_kwargs,
                    callback_on_step_end=callback_on_step_end,
                    callback_on_step_end_tensor_inputs=list(callback_on_step_end_tensor_inputs),
                    max_sequence_length=max_sequence_length or config.max_text_seq_length,
                )
                .frames
            )
        self.timings["transformer"] -= self.timings.get("text_encoder", 0.0)

        # 4. Drop the frames that CogVideoX 1.5 pads in front, then split
        latent_frames = (num_frames - 1) // self.vae_scale_factor_temporal + 1
        video_latents, dense_latents = latents[:, -latent_frames:].chunk(2, dim=2)

        # 5. Decode
        if output_type == "latent":
            output = UDPDiffPipelineOutput(video_latents, dense_latents, None)
        else:
            output = self._decode(video_latents, dense_latents, output_type, chosen if decode_prediction else None)
        self.maybe_free_model_hooks()
        return output if return_dict else output.to_tuple()

    def encode_prompt(self, *args: Any, **kwargs: Any) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Encode prompts as the stock pipeline does, and note the time."""
        with timed(self.timings, "text_encoder", self._execution_device):
            return super().encode_prompt(*args, **kwargs)

    def decode_latents(self, latents: torch.Tensor) -> torch.Tensor:
        """Decode one half, (B, F, C, h, w) -> [-1, 1] (B, 3, T, H, W), as the stock pipeline does; note the time."""
        with timed(self.timings, "vae", self._execution_device):
            return super().decode_latents(latents)

    def prepare_latents(
        self,
        batch_size: int,
        num_channels_latents: int,
        num_frames: int,
        height: int,
        width: int,
        dtype: torch.dtype,
        device: torch.device,
        generator: Generators,
        latents: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Return (B, F, 2C, h, w): the baseline's own draw for the video half, then the dense half's (see `noise`)."""
        size = (num_frames, height, width, dtype, device)
        if latents is not None:
            if latents.ndim != 5 or latents.shape[2] != num_channels_latents:
                raise ValueError(
                    f"Got latents of shape {tuple(latents.shape)}, expected (B, F, {num_channels_latents}, h, w): video"
                    " and dense noise. Draw them with udpdiff.model.noise.paired_latents."
                )
            return super().prepare_latents(batch_size, num_channels_latents, *size, generator, latents)
        dense_generator = dense_generators(generator)  # before the video draw, which advances `generator`
        channels = num_channels_latents // 2
        video_noise = super().prepare_latents(batch_size, channels, *size, generator)
        dense_noise = super().prepare_latents(batch_size, channels, *size, dense_generator)
        return torch.cat((video_noise, dense_noise), dim=2)

    def _choose_task(self, name: str | None) -> Task:
        trained = list(self.config.tasks)
        if name is None and len(trained) == 1:
            name = trained[0]
        if name not in trained:
            raise ValueError(
                f"Got task={name!r}, expected one of {trained}, the tasks of this model. Pass one of them, or load a"
                " model trained on it."
            )
        return get_task(name)

    def _name_task(self, prompt: str | list[str] | None, task: Task) -> str | list[str] | None:
        if isinstance(prompt, list):
            return [task_prompt(each, task) for each in prompt]
        return prompt if prompt is None else task_prompt(prompt, task)

    def _decode(
        self, video_latents: torch.Tensor, dense_latents: torch.Tensor, output_type: str, task: Task | None
    ) -> UDPDiffPipelineOutput:
        """Decode one half after the other, so that the VAE's peak memory stays the stock pipeline's."""
        post = self.video_processor.postprocess_video
        frames = post(self.decode_latents(video_latents), output_type=output_type)
        decoded = self.decode_latents(dense_latents)
        dense_frames = post(decoded, output_type=output_type)
        if task is None:
            return UDPDiffPipelineOutput(frames, dense_frames, None)
        colormaps = np.rint(post(decoded.float(), output_type="np") * 255).astype(np.uint8)
        with timed(self.timings, "prediction", self._execution_device):
            prediction = np.stack([task.decode(colormap) for colormap in colormaps])
        return UDPDiffPipelineOutput(frames, dense_frames, prediction)
