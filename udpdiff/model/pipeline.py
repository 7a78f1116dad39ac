"""Sampling: one prompt in, a video and its dense predictions out, through diffusers' own CogVideoX loop.

The denoising loop is the stock `CogVideoXPipeline.__call__`; this module gives it the noise of all streams and the
task, splits what it returns and decodes every stream. How colours become entity ids or depth is the task's concern.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from diffusers import (
    AutoencoderKLCogVideoX,
    CogVideoXDDIMScheduler,
    CogVideoXDPMScheduler,
    CogVideoXPipeline,
)
from transformers import PreTrainedTokenizerBase, T5EncoderModel

from udpdiff.model.call_checks import check_conditions, check_size, check_steps, check_streams, check_transformer
from udpdiff.model.lora import WidenedLoraLoader
from udpdiff.model.noise import Generators, dense_generators
from udpdiff.model.output import DenseOutput, UDPDiffPipelineOutput
from udpdiff.model.streams import VIDEO, Stream, Streams
from udpdiff.model.transformer import UDPDiffTransformer3DModel
from udpdiff.tasks import TASKS, Task, get_task, task_prompt
from udpdiff.timing import timed

TASK_CONDITIONS = ("embedding", "text")


class UDPDiffPipeline(WidenedLoraLoader, CogVideoXPipeline):
    """Text to video and dense predictions; components as in CogVideoX, with a widened transformer.

    What follows the components is saved in model_index.json, so that sampling needs no other settings.

    Args:
        task_condition: `embedding` sends task rows to the transformer, `text` names the task in the prompt (table 5).
        tasks: The tasks that the transformer was trained on, in the order of the rows of its task embedding, each with
            the colormap it was trained with, such as {"seg": "pixelplanes"}; None for every known task with its
            standard one.
        streams: The dense streams in their order, each with the tasks it serves, such as {"seg": ["seg"], "depth":
            ["depth"]} for a model that makes both at once; None for the paper's, one that serves all tasks in turn.

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
        streams: dict[str, list[str]] | None = None,
    ) -> None:
        super().__init__(tokenizer, text_encoder, vae, transformer, scheduler)
        if task_condition not in TASK_CONDITIONS:
            raise ValueError(f"Unknown task_condition: got {task_condition!r}, expected one of {TASK_CONDITIONS}.")
        tasks = {name: task.colormaps[0] for name, task in TASKS.items()} if tasks is None else dict(tasks)
        for name in tasks:
            get_task(name)
        # Mappings, never lists: downloading from the hub, diffusers takes every list in the index for a component.
        self.register_to_config(task_condition=task_condition, tasks=tasks, streams=streams)
        if transformer is not None and vae is not None:  # diffusers allows loading some components only
            check_streams(self.streams, list(tasks), task_condition)
            check_transformer(transformer.config, self.streams, len(tasks) if task_condition == "embedding" else 0)
        self.timings: dict[str, float] = {}

    @property
    def streams(self) -> Streams:
        """What the transformer denoises together."""
        channels = self.vae.config.latent_channels
        if self.config.streams is None:
            return Streams.in_turn(list(self.config.tasks), channels)
        dense = (Stream(name, tuple(tasks)) for name, tasks in self.config.streams.items())
        return Streams((Stream(VIDEO), *dense), channels)

    def to_json_string(self) -> str:
        """Return the configuration with tasks and streams in their order, which is that of rows and channels.

        Diffusers alone would sort their names.
        """
        content = json.loads(super().to_json_string())
        content |= {name: self.config[name] for name in ("tasks", "streams")}
        return json.dumps({name: value for name, value in content.items() if value is not None}, indent=2) + "\n"

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
        conditions: Mapping[str, torch.Tensor] | None = None,
    ) -> UDPDiffPipelineOutput | tuple:
        """Generate one video and its dense predictions per prompt.

        Arguments that are not named here are diffusers' own.

        Args:
            task: `seg` or `depth`; may be left out when the model knows only one, and is when it makes all at once.
            generator: One or a list of one per prompt; gives the video the noise that the stock pipeline would draw
                from it, so that with the deterministic DDIM scheduler the two are comparable seed by seed.
            latents: Noise float (B, F, S * C, h, w) of all streams, see `noise.paired_latents`.
            prompt_embeds: With `task_condition="text"`, those of `task_prompt(prompt, task)`.
            max_sequence_length: Defaults to the transformer's text length.
            decode_prediction: False leaves predictions None and saves their time.
            conditions: Clean latents (B, F, C, h, w) by name of the stream, as `latents.encode_videos` makes them: the
                others are generated to go with them. For models with `independent_timesteps`.

        Returns:
            The video and the dense streams; with `return_dict=False` the same two in a tuple. After the call
            `self.timings` holds seconds of `text_encoder`, `transformer` (the denoising loop), `vae` (decoding of all
            streams) and `prediction`.

        Raises:
            ValueError: The task is unknown or untrained, the model cannot tile the size or take the conditions, or the
                scheduler would step through the number of steps wrongly.
        """
        # 1. Check what the stock call does not
        chosen = self._choose_tasks(task)
        config = self.transformer.config
        height = height or config.sample_height * self.vae_scale_factor_spatial
        width = width or config.sample_width * self.vae_scale_factor_spatial
        num_frames = num_frames or config.sample_frames
        pixels = self.vae_scale_factor_spatial * config.patch_size
        check_size(height, width, num_frames, pixels, self.vae_scale_factor_temporal)
        check_steps(self.scheduler, num_inference_steps)
        latent_frames = (num_frames - 1) // self.vae_scale_factor_temporal + 1
        prompt = [prompt] if isinstance(prompt, str) else prompt
        conditions = dict(conditions or {})

        # 2. Tell the model the task and what is given
        attention_kwargs = dict(attention_kwargs or {})
        first = next(iter(chosen.values()))
        if self.config.task_condition == "text":
            prompt = prompt and [task_prompt(each, first) for each in prompt]
        elif config.num_tasks and len(chosen) == 1:
            row = list(self.config.tasks).index(first.name)
            attention_kwargs["task_ids"] = torch.tensor([row], device=self._execution_device)
        if conditions:
            batch = len(prompt if prompt_embeds is None else prompt_embeds)
            size = (height // self.vae_scale_factor_spatial, width // self.vae_scale_factor_spatial)
            shape = (batch, latent_frames, self.streams.channels, *size)
            check_conditions(conditions, self.streams, config.independent_timesteps, shape)
            numbers = map(self.streams.names.index, conditions)
            attention_kwargs["conditions"] = dict(zip(numbers, map(self._pad_frames, conditions.values()), strict=True))

        # 3. Denoise all streams together
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

        # 4. Drop the frames that CogVideoX 1.5 pads in front, split, and put back what was given
        parts = self.streams.split(latents[:, -latent_frames:])
        parts |= {name: clean.to(latents) for name, clean in conditions.items()}

        # 5. Decode
        output = self._decode(parts, output_type, chosen, decode_prediction)
        self.maybe_free_model_hooks()
        return output if return_dict else (output.frames, output.dense)

    def encode_prompt(self, *args: Any, **kwargs: Any) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Encode prompts as the stock pipeline does, and note the time."""
        with timed(self.timings, "text_encoder", self._execution_device):
            return super().encode_prompt(*args, **kwargs)

    def decode_latents(self, latents: torch.Tensor) -> torch.Tensor:
        """Decode one stream, (B, F, C, h, w) -> [-1, 1] (B, 3, T, H, W), as the stock pipeline does; note the time."""
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
        """Return (B, F, S * C, h, w): the baseline's own draw for the video, then each dense stream's (see `noise`)."""
        streams, prepare = self.streams, super().prepare_latents
        size = (num_frames, height, width, dtype, device)
        if latents is not None:
            if latents.ndim != 5 or latents.shape[2] != num_channels_latents:
                raise ValueError(
                    f"Got latents of shape {tuple(latents.shape)}, expected (B, F, {num_channels_latents}, h, w): noise"
                    f" of {streams.names}. Draw it with udpdiff.model.noise.paired_latents."
                )
            return prepare(batch_size, num_channels_latents, *size, generator, latents)
        # Before the video's draw, which advances `generator`.
        generators = [generator, *dense_generators(generator, len(streams.dense))]
        draws = [prepare(batch_size, streams.channels, *size, each) for each in generators]
        return streams.join(dict(zip(streams.names, draws, strict=True)))

    def _choose_tasks(self, name: str | None) -> dict[str, Task]:
        """Return the task that each dense stream makes in this call, by name of the stream."""
        dense, trained = self.streams.dense, list(self.config.tasks)
        if len(dense) > 1:
            if name is not None:
                raise ValueError(f"Got task={name!r}, expected None: this model makes {trained} at once.")
            return {stream.name: get_task(*stream.tasks) for stream in dense}
        if name is None and len(trained) == 1:
            name = trained[0]
        if name not in trained:
            raise ValueError(
                f"Got task={name!r}, expected one of {trained}, the tasks of this model. Pass one of them, or load a"
                " model trained on it."
            )
        return {dense[0].name: get_task(name)}

    def _pad_frames(self, latents: torch.Tensor) -> torch.Tensor:
        """Repeat the first frame in front where CogVideoX 1.5 patches several, as the stock loop does with noise."""
        missing = -latents.shape[1] % (self.transformer.config.patch_size_t or 1)
        return torch.cat((latents[:, :1].expand(-1, missing, -1, -1, -1), latents), dim=1)

    def _decode(
        self, parts: Mapping[str, torch.Tensor], output_type: str, tasks: Mapping[str, Task], decode_prediction: bool
    ) -> UDPDiffPipelineOutput:
        """Decode one stream after the other, so that the VAE's peak memory stays the stock pipeline's."""
        if output_type == "latent":
            dense = {name: DenseOutput(parts[name], None, task.name) for name, task in tasks.items()}
            return UDPDiffPipelineOutput(parts[VIDEO], dense)
        post = self.video_processor.postprocess_video
        frames, dense = post(self.decode_latents(parts[VIDEO]), output_type=output_type), {}
        for name, task in tasks.items():
            decoded, prediction = self.decode_latents(parts[name]), None
            if decode_prediction:
                colormaps = np.rint(post(decoded.float(), output_type="np") * 255).astype(np.uint8)
                with timed(self.timings, "prediction", self._execution_device):
                    prediction = np.stack([task.decode(colormap) for colormap in colormaps])
            dense[name] = DenseOutput(post(decoded, output_type=output_type), prediction, task.name)
        return UDPDiffPipelineOutput(frames, dense)
