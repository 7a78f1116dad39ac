"""Adapts trained networks to other latents: a VAE to fewer channels, a transformer to another VAE.

Both keep what the networks know: what is new is fitted by linear algebra, and a short training mends the rest.
"""

from __future__ import annotations

import numpy as np
import torch
from einops import rearrange

RIDGE = 0.02  # of the latents' variance


@torch.no_grad()
def narrow_vae(vae, channels: int, latents: np.ndarray):
    """The VAE with the `channels` directions of its latent channels in which these latents vary most.

    Args:
        vae: An AutoencoderKLCogVideoX.
        channels: Fewer than its own.
        latents: Float (B, F, C, h, w), at any scale.

    Returns:
        A new one in float32, whose scaling factor is 1.
    """
    from diffusers import AutoencoderKLCogVideoX

    values = rearrange(torch.from_numpy(latents).double(), "b f c h w -> (b f h w) c")
    _, directions = torch.linalg.eigh(torch.cov(values.T))  # by rising variance
    directions = directions[:, -channels:].T.float()
    wide, state = vae.config.latent_channels, vae.float().state_dict()
    for part in ("weight", "bias"):
        name = f"encoder.conv_out.conv.{part}"
        mean, log_variance = state[name][:wide], state[name][wide:]
        # An average for the logarithms, which a few steps set right: the KL term alone reads them.
        state[name] = torch.cat([torch.tensordot(directions, mean, 1), torch.tensordot(directions**2, log_variance, 1)])
    for name, weight in state.items():
        if name == "decoder.conv_in.conv.weight" or name.endswith(("conv_y.conv.weight", "conv_b.conv.weight")):
            state[name] = torch.einsum("oc...,nc->on...", weight, directions)
    config = {name: value for name, value in vae.config.items() if not name.startswith("_")}
    narrow = AutoencoderKLCogVideoX(**config | {"latent_channels": channels, "scaling_factor": 1.0})
    narrow.load_state_dict(state)
    return narrow


@torch.no_grad()
def carry_over(transformer, old_latents: torch.Tensor, new_latents: torch.Tensor, **changes: object):
    """The transformer for other latents: what it reads and writes is mapped, by least squares over the same pictures.

    Args:
        transformer: A CogVideoXTransformer3DModel.
        old_latents: Float (B, F, C, h, w), scaled, as it was trained on.
        new_latents: Float (B, F, D, h, w), scaled, of the same pictures.
        changes: Of its configuration besides, which leave its weights their shapes.

    Returns:
        A new one in float32 for D channels.
    """
    patch, channels = transformer.config.patch_size, new_latents.shape[2]
    old, new = (_tokens(latents, patch) for latents in (old_latents, new_latents))
    to_old, old_offset = _fit(new, old)
    to_new, _ = _fit(old, new)
    # A velocity is noise and signal; the offset belongs to the signal alone, so the way out goes without.
    config = {name: value for name, value in transformer.config.items() if not name.startswith("_")}
    carried = type(transformer)(**config | {"in_channels": channels, "out_channels": channels} | changes)
    state = transformer.float().state_dict()
    weight = state["patch_embed.proj.weight"].flatten(1).double()
    state["patch_embed.proj.weight"] = (weight @ to_old.T).float().view(len(weight), channels, patch, patch)
    state["patch_embed.proj.bias"] = state["patch_embed.proj.bias"] + (weight @ old_offset).float()
    for part in ("weight", "bias"):
        state[f"proj_out.{part}"] = (to_new.T @ state[f"proj_out.{part}"].double()).float()
    carried.load_state_dict(state)
    return carried


def _tokens(latents: torch.Tensor, patch: int) -> torch.Tensor:
    """Float64 (tokens, values of a patch), channel-major as both layers are."""
    return rearrange(latents.double(), "b f c (h p) (w q) -> (b f h w) (c p q)", p=patch, q=patch)


def _fit(inputs: torch.Tensor, outputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Matrix and offset with inputs @ matrix + offset near outputs (N, values)."""
    centred, mean = inputs - inputs.mean(0), outputs.mean(0)
    ridge = RIDGE * len(inputs) * centred.var() * torch.eye(inputs.shape[1], dtype=inputs.dtype)
    matrix = torch.linalg.solve(centred.T @ centred + ridge, centred.T @ (outputs - mean))
    return matrix, mean - inputs.mean(0) @ matrix
