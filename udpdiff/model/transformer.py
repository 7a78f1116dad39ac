"""The denoiser f_theta of UDPDiff: CogVideoX with the latent channels of several streams and a task embedding.

The streams lie side by side along the channel axis, the video first, at the input and at the output. How base weights
are widened is `expansion`'s concern; what streams and task rows are called is the pipeline's.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import torch

# ModelMixin is not used here: loading a pipeline, diffusers looks it up in the module that defines the component.
from diffusers import CogVideoXTransformer3DModel, ModelMixin  # noqa: F401
from diffusers.configuration_utils import register_to_config
from diffusers.models.modeling_outputs import Transformer2DModelOutput

from udpdiff.model.timestep_embedding import StreamTimestepEmbedding, TimestepCondition

PARENT_PARAMETERS = tuple(inspect.signature(CogVideoXTransformer3DModel.__init__).parameters)[1:]


class UDPDiffTransformer3DModel(CogVideoXTransformer3DModel):
    """CogVideoX transformer over the latents of several streams, with a task embedding.

    All parameters of the parent are repeated because diffusers restores only those in the signature; the defaults are
    the parent's but for the doubled channels.

    Args:
        num_tasks: Rows of the task embedding; 0 builds none (the single-task and task-as-text variants).
        num_streams: How many streams share the channels.
        independent_timesteps: Whether streams may have noise levels of their own, see `StreamTimestepEmbedding`.

    Source: UDPDiff, sections 3.3 and 3.4; diffusers, models/transformers/cogvideox_transformer_3d.py (0.42).
    """

    @register_to_config
    def __init__(
        self,
        num_attention_heads: int = 30,
        attention_head_dim: int = 64,
        in_channels: int = 32,
        out_channels: int | None = 32,
        flip_sin_to_cos: bool = True,
        freq_shift: int = 0,
        time_embed_dim: int = 512,
        ofs_embed_dim: int | None = None,
        text_embed_dim: int = 4096,
        num_layers: int = 30,
        dropout: float = 0.0,
        attention_bias: bool = True,
        sample_width: int = 90,
        sample_height: int = 60,
        sample_frames: int = 49,
        patch_size: int = 2,
        patch_size_t: int | None = None,
        temporal_compression_ratio: int = 4,
        max_text_seq_length: int = 226,
        activation_fn: str = "gelu-approximate",
        timestep_activation_fn: str = "silu",
        norm_elementwise_affine: bool = True,
        norm_eps: float = 1e-5,
        spatial_interpolation_scale: float = 1.875,
        temporal_interpolation_scale: float = 1.0,
        use_rotary_positional_embeddings: bool = False,
        use_learned_positional_embeddings: bool = False,
        patch_bias: bool = True,
        num_tasks: int = 2,
        num_streams: int = 2,
        independent_timesteps: bool = False,
    ) -> None:
        # register_to_config has filled self.config before this body runs: the one list of names is the signature.
        super().__init__(**{name: self.config[name] for name in PARENT_PARAMETERS if name in self.config})
        projections = num_streams - 1 if independent_timesteps else 0
        if num_tasks or projections:
            inner_dim = num_attention_heads * attention_head_dim
            self.time_embedding = StreamTimestepEmbedding(
                inner_dim, time_embed_dim, timestep_activation_fn, num_tasks, projections
            )

    def forward(
        self,
        hidden_states: torch.Tensor,
        encoder_hidden_states: torch.Tensor,
        timestep: int | float | torch.LongTensor,
        timestep_cond: torch.Tensor | None = None,
        ofs: int | float | torch.LongTensor | None = None,
        image_rotary_emb: tuple[torch.Tensor, torch.Tensor] | None = None,
        attention_kwargs: dict[str, Any] | None = None,
        return_dict: bool = True,
    ) -> tuple[torch.Tensor] | Transformer2DModelOutput:
        """Predict from the noisy latents of all streams.

        Args:
            hidden_states: float (B, F, S * C, h, w) of S streams.
            encoder_hidden_states: As in CogVideoX, as all that is not named here.
            timestep: long (B,), or (B, S) with one for each stream.
            timestep_cond: None; the seam carries tasks and timesteps.
            attention_kwargs: Those of CogVideoX, and `task_ids`, long (B,), rows of the task embedding, none added
                where it is None or absent; and `conditions`, clean latents float (B, F, C, h, w) by number of the
                stream, which take the place of its noisy ones, at timestep 0. Both may be of a batch that
                `hidden_states` repeats k times, as classifier-free guidance does.

        Returns:
            float (B, F, S * C, h, w).

        Raises:
            ValueError: Task ids or timesteps do not match the batch, the model was built without what they need, or
                `timestep_cond` is given.
        """
        if timestep_cond is not None:
            raise ValueError(
                f"Got timestep_cond of shape {tuple(timestep_cond.shape)}, expected None: CogVideoX has no projection"
                ' for it. Pass the task as attention_kwargs={"task_ids": ids}.'
            )
        attention_kwargs = dict(attention_kwargs or {})
        task_ids = attention_kwargs.pop("task_ids", None)
        conditions = attention_kwargs.pop("conditions", None)
        if task_ids is not None:
            task_ids = self._match_batch(task_ids, hidden_states)
        if conditions:
            hidden_states, timestep = self._give_clean(hidden_states, timestep, conditions)
        dense_samples = ()
        if torch.is_tensor(timestep) and timestep.ndim == 2:
            timestep, dense_samples = self._split_timesteps(timestep, hidden_states)
        condition = TimestepCondition(task_ids, dense_samples)
        return super().forward(
            hidden_states,
            encoder_hidden_states,
            timestep,
            timestep_cond=condition if task_ids is not None or dense_samples else None,
            ofs=ofs,
            image_rotary_emb=image_rotary_emb,
            attention_kwargs=attention_kwargs,
            return_dict=return_dict,
        )

    def _give_clean(
        self, hidden_states: torch.Tensor, timestep: torch.Tensor, conditions: Mapping[int, torch.Tensor]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the latents with clean ones in their places, and timesteps (B, S) that are 0 there."""
        parts = list(hidden_states.chunk(self.config.num_streams, dim=2))
        timestep = timestep[:, None].repeat(1, len(parts)) if timestep.ndim == 1 else timestep.clone()
        for number, clean in conditions.items():
            parts[number] = clean.to(hidden_states).repeat(len(hidden_states) // len(clean), 1, 1, 1, 1)
            timestep[:, number] = 0
        return torch.cat(parts, dim=2), timestep

    def _split_timesteps(
        self, timestep: torch.Tensor, hidden_states: torch.Tensor
    ) -> tuple[torch.Tensor, tuple[torch.Tensor, ...]]:
        """Return the video's timesteps (B,) of (B, S), and each dense stream's as `TimestepCondition` has them."""
        expected = (len(hidden_states), self.config.num_streams)
        if timestep.shape != expected:
            raise ValueError(
                f"Got timesteps of shape {tuple(timestep.shape)}, expected ({expected[0]},) or {expected}: one for each"
                " latent, or one for each latent and stream."
            )
        video, *dense = timestep.unbind(1)
        if not self.config.independent_timesteps:
            if (timestep != timestep[:, :1]).any():
                raise ValueError(
                    "Got streams with different timesteps, expected equal ones: this transformer has"
                    " independent_timesteps=False. Widen the base with"
                    " udpdiff.model.expansion.expand_transformer(..., independent_timesteps=True)."
                )
            return video, ()
        return video, tuple(self.time_proj(each).to(hidden_states.dtype) for each in dense)

    def _match_batch(self, task_ids: torch.Tensor, hidden_states: torch.Tensor) -> torch.Tensor:
        """Return task ids on the latents' device, tiled to their batch size."""
        if not self.config.num_tasks:
            raise ValueError(
                "Got task_ids, expected none: this transformer has num_tasks=0. Drop the ids, or build it with"
                " num_tasks >= 1."
            )
        batch_size = hidden_states.shape[0]
        valid = task_ids.ndim == 1 and task_ids.shape[0] > 0 and batch_size % task_ids.shape[0] == 0
        if not valid or task_ids.is_floating_point():
            raise ValueError(
                f"Got task_ids {task_ids.dtype} of shape {tuple(task_ids.shape)}, expected integers of shape"
                f" ({batch_size},) or a divisor of it. Give one task id per latent, before guidance doubles the batch."
            )
        return task_ids.to(hidden_states.device).repeat(batch_size // task_ids.shape[0])
