"""What `acceleration` needs of diffusers' caches: which steps they answer, and how to make them answer given ones.

A cache decides by activations, and random weights say nothing of those. So times are taken with a schedule that is
forced: as many answered steps as a trained model's were, evenly spread.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from diffusers import CogVideoXPipeline, CogVideoXTransformer3DModel, FirstBlockCacheConfig
from diffusers.hooks import HookRegistry, MagCacheConfig

_FIRST_BLOCK_HOOK = "fbc_leader_block_hook"
_NEVER, _ALWAYS = -1.0, float("inf")  # changes are 0 or more
_COMPUTED = 1e9  # so large a change of magnitude is never answered


class Passes:
    """Context manager that counts samples through the last block's attention, which answered steps leave out.

    Attributes:
        computed: Samples that passed.
        steps: For each call of the transformer, whether any passed.
        samples: Samples that came in.
    """

    def __init__(self, transformer: CogVideoXTransformer3DModel) -> None:
        self.transformer, self.computed, self.samples = transformer, 0, 0
        self.steps: list[bool] = []

    def __enter__(self) -> Passes:
        query = self.transformer.transformer_blocks[-1].attn1.to_q
        self._handles = [
            self.transformer.register_forward_pre_hook(self._entered, with_kwargs=True),
            query.register_forward_hook(self._passed),
        ]
        return self

    def __exit__(self, *_: object) -> None:
        for handle in self._handles:
            handle.remove()

    @property
    def hit_rate(self) -> float:
        """Share of the samples whose attention in the last block was not computed."""
        return 1 - self.computed / self.samples

    def _entered(self, module, inputs, options) -> None:
        self.samples += len(options["hidden_states"])
        self.steps.append(False)

    def _passed(self, module, inputs, output) -> None:
        self.computed += len(output)
        self.steps[-1] = True


def spread(steps: int, hit_rate: float) -> list[bool]:
    """Return which steps are answered, as many as the hit rate says, evenly and never the first."""
    answered = min(round(hit_rate * steps), steps - 1)
    chosen = {steps - 1 - (index * (steps - 1)) // answered for index in range(answered)}
    return [step in chosen for step in range(steps)]


def force(pipeline: CogVideoXPipeline, method: str, answered: Sequence[bool]) -> None:
    """Put a cache into the pipeline's transformer that answers these steps, whatever the activations are.

    Args:
        method: first_block_cache or mag_cache; a faster_cache follows the timesteps alone and needs no force.
    """
    transformer, steps = pipeline.transformer, len(answered)
    if method == "mag_cache":
        ratios = [1.0 if each else _COMPUTED for each in answered]
        transformer.enable_cache(
            MagCacheConfig(
                threshold=0.5, max_skip_steps=steps, retention_ratio=0.0, num_inference_steps=steps, mag_ratios=ratios
            )
        )
        return
    transformer.enable_cache(FirstBlockCacheConfig(threshold=_NEVER))
    hook = HookRegistry.check_if_exists_or_initialize(transformer.transformer_blocks[0]).get_hook(_FIRST_BLOCK_HOOK)
    step = -1

    def choose(module, inputs) -> None:
        nonlocal step
        step = (step + 1) % steps
        hook.threshold = _ALWAYS if answered[step] else _NEVER

    transformer.register_forward_pre_hook(choose)


def shared_copy(transformer: CogVideoXTransformer3DModel) -> CogVideoXTransformer3DModel:
    """Return a transformer of its own, for hooks and compilation, with the very same weights in memory."""
    tensors = [*transformer.parameters(), *transformer.buffers()]
    return copy.deepcopy(transformer, {id(tensor): tensor for tensor in tensors})


def compile_blocks(transformer: CogVideoXTransformer3DModel, method: str | None) -> None:
    """Compile every block, or its parts where a cache works inside it; before the cache is put in."""
    for block in transformer.transformer_blocks:
        inside = method == "faster_cache"
        for part in (block.norm1, block.attn1, block.norm2, block.ff) if inside else (block,):
            part.forward = torch.compile(part.forward)


def to_fp8(transformer: CogVideoXTransformer3DModel) -> str:
    """Turn the blocks' linear layers into float8 ones; return in words what was done.

    Raises:
        ValueError: torchao is not installed.
    """
    try:
        from torchao.quantization import Float8DynamicActivationFloat8WeightConfig, Float8WeightOnlyConfig, quantize_
    except ImportError:
        raise ValueError(
            "fp8: got no package `torchao`, which turns layers into float8 ones. Install it (pip install -e '.[fp8]'), or"
            " name --precisions bf16."
        ) from None
    if next(transformer.parameters()).is_cuda:
        quantize_(transformer.transformer_blocks, Float8DynamicActivationFloat8WeightConfig())
        return "weights and activations in float8"
    quantize_(transformer.transformer_blocks, Float8WeightOnlyConfig())
    return "weights alone in float8: products of float8 need a GPU"
