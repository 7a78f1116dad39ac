"""Compiling what a training spends its time in."""

from __future__ import annotations

from diffusers import CogVideoXTransformer3DModel


def compile_blocks(transformer: CogVideoXTransformer3DModel) -> None:
    """Have the blocks compiled when they first run, one after the other, which takes as long as one of them.

    In place: names of weights, checkpoints and exports stay as they are. Call it before blocks are sharded, as torch advises,
    and before the network is wrapped for data parallelism.

    Source: PyTorch's regional compilation; diffusers' `compile_repeated_blocks` (0.42) knows no blocks of CogVideoX.
    """
    for block in transformer.transformer_blocks:
        block.compile()
