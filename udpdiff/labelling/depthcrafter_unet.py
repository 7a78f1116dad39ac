"""DepthCrafter's network: the U-Net of Stable Video Diffusion, with an image embedding of its own for every frame."""

from __future__ import annotations

import torch
from diffusers import UNetSpatioTemporalConditionModel


class DepthCrafterUNet(UNetSpatioTemporalConditionModel):
    """Stable Video Diffusion repeats one embedding for all frames of a clip; here frame t attends to embedding t.

    Weights and configuration are those of the parent class.

    Source: DepthCrafter (arXiv 2409.02095); Tencent/DepthCrafter, depthcrafter/unet.py (what differs).
    """

    def forward(
        self,
        sample: torch.Tensor,
        timestep: torch.Tensor,
        encoder_hidden_states: torch.Tensor,
        added_time_ids: torch.Tensor,
    ) -> torch.Tensor:
        """Return the prediction (B, T, C, h, w), C being 4 in the published model.

        sample: (B, T, 2 C, h, w), noisy latents and those of the video; h and w multiples of the U-Net's total stride.
        timestep: scalar, or one for each clip (B,). encoder_hidden_states: (B, T, D). added_time_ids: (B, 3).
        """
        batch, frames = sample.shape[:2]
        hidden = self.conv_in(sample.to(self.conv_in.weight.dtype).flatten(0, 1))
        shared = {
            "temb": self._time_embedding(timestep, added_time_ids, hidden.dtype).repeat_interleave(frames, dim=0),
            "image_only_indicator": hidden.new_zeros(batch, frames),
        }
        context = {"encoder_hidden_states": encoder_hidden_states.to(hidden.dtype).flatten(0, 1)[:, None]}
        skipped = [hidden]
        for block in self.down_blocks:
            hidden, outputs = block(hidden_states=hidden, **shared, **(context if _attends(block) else {}))
            skipped.extend(outputs)
        hidden = self.mid_block(hidden_states=hidden, **shared, **context)
        for block in self.up_blocks:
            count = len(block.resnets)
            outputs, skipped = tuple(skipped[-count:]), skipped[:-count]
            hidden = block(
                hidden_states=hidden,
                res_hidden_states_tuple=outputs,
                **shared,
                **(context if _attends(block) else {}),
            )
        hidden = self.conv_out(self.conv_act(self.conv_norm_out(hidden)))
        return hidden.unflatten(0, (batch, frames))

    def _time_embedding(self, timestep, added_time_ids, dtype) -> torch.Tensor:
        """Noise level plus frame rate, motion and noise augmentation, (B, width)."""
        batch = len(added_time_ids)
        level = self.time_embedding(self.time_proj(timestep.reshape(-1).expand(batch)).to(dtype))
        added = self.add_time_proj(added_time_ids.flatten()).reshape(batch, -1).to(dtype)
        return level + self.add_embedding(added)


def _attends(block) -> bool:
    return getattr(block, "has_cross_attention", False)
