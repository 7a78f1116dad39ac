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
)
from transformers import PreTrainedTokenizerBase, T5EncoderModel

from udpdiff.model import call_checks as checks
from udpdiff.model.call_arguments import asked_size, choose_tasks, count_prompts, padded_frames, repeated, task_rows
from udpdiff.model.call_numbers import check_guidance, check_size
from udpdiff.model.checked_pipeline import CheckedPipeline
from udpdiff.model.lora import WidenedLoraLoader
from udpdiff.model.noise import Generators, dense_generators
from udpdiff.model.noise_schedule import check_schedule, check_steps, trained_alphas
from udpdiff.model.output import DenseOutput, UDPDiffPipelineOutput
from udpdiff.model.streams import VIDEO, Stream, Streams
from udpdiff.model.transformer import UDPDiffTransformer3DModel
from udpdiff.tasks import TASKS, Task, get_task, task_prompt
from udpdiff.timing import timed

TASK_CONDITIONS = ("embedding", "text")


class UDPDiffPipeline(WidenedLoraLoader, CheckedPipeline):
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
            raise ValueError(
                f"Unknown task_condition: got {task_condition!r}, expected one of {TASK_CONDITIONS}. Take the one that the"
                " transformer was trained with."
            )
        tasks = {name: task.colormaps[0] for name, task in TASKS.items()} if tasks is None else dict(tasks)
        for name in tasks:
            get_task(name)
        # Mappings, never lists: downloading from the hub, diffusers takes every list in the index for a component.
        self.register_to_config(task_condition=task_condition, tasks=tasks, streams=streams)
        if transformer is not None and vae is not None:  # diffusers allows loading some components only
            checks.check_streams(self.streams, list(tasks), task_condition)
            self._check_transformer()
        self._trained_alphas = None if scheduler is None else trained_alphas(scheduler)
        if scheduler is not None:
            check_schedule(scheduler, self._trained_alphas)

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
        task: str | Sequence[str] | None = None,
        negative_prompt: str | list[str] | None = None,
        height: int | None = None,
        width: int | None = None,
        num_frames: int | None = None,
        num_inference_steps: int = 50,
        guidance_scale: float = 6.0,
        use_dynamic_cfg: bool = False,
        num_videos_per_prompt: int = 1,
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
        """Generate videos and their dense predictions, those of one prompt after each other.

        Arguments that are not named here are diffusers' own.

        Args:
            task: `seg` or `depth`, or a list with one for each prompt; may be left out when the model knows only one, and
                is when it makes all at once.
            use_dynamic_cfg: See `noise_schedule.dynamic_guidance`.
            num_videos_per_prompt: Of each prompt; latents and lists of generators have an entry for every video.
            generator: One or a list of one per video; gives the video the noise that the stock pipeline would draw
                from it, so that with the deterministic DDIM scheduler the two are comparable seed by seed.
            latents: Noise float (B, F, S * C, h, w) of all streams, see `noise.paired_latents`.
            prompt_embeds: With `task_condition="text"`, those of `task_prompt(prompt, task)`.
            attention_kwargs: May name the tasks in place of `task`, as `task_ids`: rows of the task embedding.
            max_sequence_length: Defaults to the transformer's text length.
            decode_prediction: False leaves predictions None and saves their time.
            conditions: Clean latents (B, F, C, h, w) by name of the stream, for each prompt, as `latents.encode_videos`
                makes them: the others are generated to go with them. For models with `independent_timesteps`.

        Returns:
            The video and the dense streams; with `return_dict=False` the same two in a tuple. After the call
            `self.timings` holds seconds of `text_encoder`, `transformer` (the denoising loop), `vae` (decoding of all
            streams) and `prediction`.

        Raises:
            ValueError: The task is unknown or untrained, the model cannot tile the size or take the latents or conditions,
                or the scheduler is not the model's or would step through the number of steps wrongly.
            NotFinite: Embeddings, latents of a step or frames are not: the dtype is too narrow, or weights are damaged.
        """
        # 1. Check what the stock call does not
        self._check_parts(num_inference_steps)
        check_guidance(guidance_scale), checks.check_generator(generator)
        config, scale = self.transformer.config, self.vae_scale_factor_spatial
        height, width, num_frames = asked_size(height, width, num_frames, config, scale)
        check_size(height, width, num_frames, scale * config.patch_size, self.vae_scale_factor_temporal)
        latent_frames = (num_frames - 1) // self.vae_scale_factor_temporal + 1
        prompt = [prompt] if isinstance(prompt, str) else prompt
        prompts = count_prompts(prompt, prompt_embeds, num_videos_per_prompt)
        embeds = {"prompt_embeds": prompt_embeds, "negative_prompt_embeds": negative_prompt_embeds}
        checks.check_texts(embeds, max_sequence_length, config)
        checks.check_attention_kwargs(attention_kwargs or {})

        # 2. Tell the model the task and what is given
        attention_kwargs, trained = dict(attention_kwargs or {}), list(self.config.tasks)
        chosen = choose_tasks(self.streams, trained, task, attention_kwargs.pop("task_ids", None), prompts)
        if self.config.task_condition == "text":
            prompt = prompt and [task_prompt(*pair) for pair in zip(prompt, *chosen.values(), strict=True)]
        shape = (prompts, latent_frames, self.streams.channels, height // scale, width // scale)
        conditions = checks.check_conditions(conditions or {}, self.streams, config.independent_timesteps, shape)
        chosen = {name: repeated(tasks, num_videos_per_prompt) for name, tasks in chosen.items()}
        given = {name: repeated(clean, num_videos_per_prompt) for name, clean in conditions.items()}
        attention_kwargs |= self._task_and_conditions(chosen, given)

        # 3. Denoise all streams together
        self._dynamic_guidance = guidance_scale if use_dynamic_cfg else None
        latents = self._denoise(
            prompt=repeated(prompt, num_videos_per_prompt),
            negative_prompt=repeated(negative_prompt, num_videos_per_prompt),
            height=height,
            width=width,
            num_frames=num_frames,
            num_inference_steps=num_inference_steps,
            guidance_scale=guidance_scale,
            generator=generator,
            latents=latents,
            **{name: repeated(value, num_videos_per_prompt) for name, value in embeds.items()},
            attention_kwargs=attention_kwargs,
            max_sequence_length=max_sequence_length or config.max_text_seq_length,
            **self.each_step(callback_on_step_end, callback_on_step_end_tensor_inputs),
        )

        # 4. Drop the frames that CogVideoX 1.5 pads in front, split, and put back what was given
        parts = self.streams.split(latents[:, -latent_frames:])
        parts |= {name: clean.to(latents) for name, clean in given.items()}

        # 5. Decode
        output = self._decode(parts, output_type, chosen, decode_prediction)
        self.maybe_free_model_hooks()
        return output if return_dict else (output.frames, output.dense)

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
            scale = self.vae_scale_factor_spatial
            frames = (num_frames - 1) // self.vae_scale_factor_temporal + 1
            shape = (batch_size, frames, num_channels_latents, height // scale, width // scale)
            checks.check_latents(latents, shape, dtype, streams.names)
            return prepare(batch_size, num_channels_latents, *size, generator, latents)
        # Before the video's draw, which advances `generator`.
        generators = [generator, *dense_generators(generator, len(streams.dense))]
        draws = [prepare(batch_size, streams.channels, *size, each) for each in generators]
        return streams.join(dict(zip(streams.names, draws, strict=True)))

    def _check_transformer(self) -> None:
        rows = len(self.config.tasks) if self.config.task_condition == "embedding" else 0
        checks.check_transformer(self.transformer, self.streams, rows)

    def _check_parts(self, num_inference_steps: int) -> None:
        """Raise ValueError where a part was exchanged for one that is not the model's, or takes no such steps."""
        checks.check_present(self.components, ("transformer", "vae", "scheduler"))
        self._check_transformer()
        if self._trained_alphas is None:
            self._trained_alphas = trained_alphas(self.scheduler)
        check_schedule(self.scheduler, self._trained_alphas)
        check_steps(self.scheduler, num_inference_steps)

    def _task_and_conditions(
        self, chosen: Mapping[str, tuple[Task, ...]], given: Mapping[str, torch.Tensor]
    ) -> dict[str, Any]:
        """Return what the transformer takes of tasks and clean latents, by stream and video: `task_ids`, `conditions`."""
        config, arguments = self.transformer.config, {}
        if self.config.task_condition == "embedding" and config.num_tasks and len(chosen) == 1:
            (tasks,) = chosen.values()
            arguments["task_ids"] = task_rows(tasks, list(self.config.tasks), self._execution_device)
        if given:
            number_of = self.streams.names.index
            arguments["conditions"] = {number_of(name): padded_frames(clean, config) for name, clean in given.items()}
        return arguments

    def _decode(
        self,
        parts: Mapping[str, torch.Tensor],
        output_type: str,
        chosen: Mapping[str, tuple[Task, ...]],
        decode_prediction: bool,
    ) -> UDPDiffPipelineOutput:
        """Decode one stream after the other, so that the VAE's peak memory stays the stock pipeline's."""
        named = {name: tuple(task.name for task in tasks) for name, tasks in chosen.items()}
        named = {name: names[0] if len(set(names)) == 1 else names for name, names in named.items()}
        if output_type == "latent":
            return UDPDiffPipelineOutput(
                parts[VIDEO], {name: DenseOutput(parts[name], None, named[name]) for name in chosen}
            )
        post = self.video_processor.postprocess_video
        frames, dense = post(self.decode_latents(parts[VIDEO]), output_type=output_type), {}
        for name, tasks in chosen.items():
            decoded, prediction = self.decode_latents(parts[name]), None
            if decode_prediction:
                colormaps = np.rint(post(decoded.float(), output_type="np") * 255).astype(np.uint8)
                with timed(self.timings, "prediction", self._execution_device):
                    prediction = [task.decode(colormap) for task, colormap in zip(tasks, colormaps, strict=True)]
                    # Tasks differ in dtype and shape.
                    prediction = np.stack(prediction) if isinstance(named[name], str) else prediction
            dense[name] = DenseOutput(post(decoded, output_type=output_type), prediction, named[name])
        return UDPDiffPipelineOutput(frames, dense)
