"""The denoiser f_theta of UDPDiff: CogVideoX with twice the latent channels and a task embedding.

Video channels come first, dense channels second, at the input and at the output. How base weights are widened
is `expansion`'s concern; what a task id means is `udpdiff.tasks`'s.
"""

from __future__ import annotations

import inspect
from typing import Any

import torch

# ModelMixin is not used here: loading a pipeline, diffusers looks it up in the module that defines the component.
from diffusers import CogVideoXTransformer3DModel, ModelMixin  # noqa: F401
from diffusers.configuration_utils import register_to_config
from diffusers.models.modeling_outputs import Transformer2DModelOutput

from udpdiff.model.task_embedding import TaskTimestepEmbedding

PARENT_PARAMETERS = tuple(inspect.signature(CogVideoXTransformer3DModel.__init__).parameters)[1:]


class UDPDiffTransformer3DModel(CogVideoXTransformer3DModel):
    """CogVideoX transformer over (video, dense) latents, told the task by `attention_kwargs={"task_ids": ids}`.

    All parameters of the parent are repeated because diffusers restores only those in the signature; the
    defaults are the parent's but for the doubled channels. `num_tasks`: rows of the task embedding; 0 builds
    no embedding (the single-task and task-as-text variants).

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
    ) -> None:
        # register_to_config has filled self.config before this body runs: the one list of names is the signature.
        super().__init__(**{name: self.config[name] for name in PARENT_PARAMETERS if name in self.config})
        if num_tasks:
            inner_dim = num_attention_heads * attention_head_dim
            self.time_embedding = TaskTimestepEmbedding(inner_dim, time_embed_dim, timestep_activation_fn, num_tasks)

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
        """Predict from noisy latents float (B, F, 32, h, w); same shape out.

        `attention_kwargs["task_ids"]`: long (B,), or (B / k,) when the batch is tiled k times, as
        classifier-free guidance does; None or absent adds no task embedding. Raises ValueError when ids
        cannot match the batch, when the model has no task embedding, or when `timestep_cond` is given (the
        seam carries the task ids).
        """
        if timestep_cond is not None:
            raise ValueError(
                f"Got timestep_cond of shape {tuple(timestep_cond.shape)}, expected None: CogVideoX has no projection"
                ' for it. Pass the task as attention_kwargs={"task_ids": ids}.'
            )
        attention_kwargs = dict(attention_kwargs or {})
        task_ids = attention_kwargs.pop("task_ids", None)
        if task_ids is not None:
            task_ids = self._match_batch(task_ids, hidden_states)
        return super().forward(
            hidden_states,
            encoder_hidden_states,
            timestep,
            timestep_cond=task_ids,
            ofs=ofs,
            image_rotary_emb=image_rotary_emb,
            attention_kwargs=attention_kwargs,
            return_dict=return_dict,
        )

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
