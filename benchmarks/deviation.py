"""How far caches lead a trained model from its own samples, both streams, and how many steps they answer.

Every sample is set against that of the same prompt and noise without a cache: the video's PSNR, entity IoU, depth
delta-1. Two rows say what such numbers mean: rounding alone (float32 for the run's dtype), and another seed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from benchmarks.caches import Passes, to_fp8
from udpdiff.metrics.bootstrap import bootstrap_difference, bootstrap_mean
from udpdiff.model.acceleration import accelerate
from udpdiff.model.loading import load_run
from udpdiff.model.output import UDPDiffPipelineOutput
from udpdiff.model.pipeline import UDPDiffPipeline
from udpdiff.progress import progress
from udpdiff.tasks import get_task

FIGURES = {"seg": ("entity IoU", "entity_tube_iou"), "depth": ("depth delta-1", "depth_delta1_unaligned")}
VIDEO_FIGURE, HIT_RATE = "video PSNR, dB", "hit rate"
_MAX_PSNR = 99.0  # of equal videos
_SEED, _OTHER_SEED = 0, 10_000


@dataclass(frozen=True)
class Variant:
    """One way of sampling.

    Attributes:
        method: Of `accelerate`, with its threshold; None for no cache.
        steps: Where they are others.
        precision: float32 or fp8; None for the run's.
    """

    name: str
    method: str | None = None
    threshold: float | None = None
    steps: int | None = None
    precision: str | None = None
    seed: int = _SEED


@dataclass
class Deviation:
    """Figures of one variant: by name, the values of all prompts, nan left out."""

    figures: dict[str, list[float]] = field(default_factory=dict)

    def add(self, name: str, value: float) -> None:
        if np.isfinite(value):
            self.figures.setdefault(name, []).append(float(value))

    def mean(self, name: str) -> float | None:
        """None where nothing was measured."""
        return float(np.mean(self.figures[name])) if self.figures.get(name) else None

    def describe(self, name: str) -> str | None:
        """Return the mean with its 95 % interval over prompts."""
        if not self.figures.get(name):
            return None
        found = bootstrap_mean(self.figures[name])
        return f"{found.value:.3f}" if found.n < 3 else f"{found.value:.3f} [{found.low:.3f}, {found.high:.3f}]"


def variants(steps: int, fp8: bool) -> list[Variant]:
    """Return all ways that are set against sampling with so many steps."""
    return [
        Variant("another seed", seed=_OTHER_SEED),
        Variant("float32", precision="float32"),
        *([Variant("fp8", precision="fp8")] if fp8 else []),
        Variant(f"{steps // 2} steps", steps=steps // 2),
        *(Variant(f"FirstBlockCache {each:g}", "first_block_cache", each) for each in (0.05, 0.1, 0.15, 0.2)),
        Variant("FasterCache", "faster_cache"),
        *(Variant(f"MagCache {each:g}", "mag_cache", each) for each in (0.03, 0.06, 0.12, 0.24)),
    ]


def measure(
    run: str | Path,
    prompts: Sequence[str],
    steps: int,
    size: dict[str, int],
    guidance_scale: float,
    device: str,
    dtype: str,
    batch_size: int,
    chosen: Sequence[Variant],
) -> dict[str, Deviation]:
    """Return the deviation of each variant from sampling without a cache, over all prompts and the run's tasks.

    Args:
        run: Folder of an exported run with a dense stream.
        size: height, width, num_frames.
    """
    dtypes = {None: dtype, "float32": "float32", "fp8": dtype}
    pipelines = {
        precision: load_run(run, getattr(torch, dtypes[precision]), device)
        for precision in {None} | {variant.precision for variant in chosen}
    }
    if "fp8" in pipelines:
        to_fp8(pipelines["fp8"].transformer)
    for each in pipelines.values():
        each.set_progress_bar_config(disable=True)
    pipeline = pipelines[None]
    deviations = {variant.name: Deviation() for variant in chosen}
    common = size | {"guidance_scale": guidance_scale, "output_type": "np"}
    common["max_sequence_length"] = pipeline.transformer.config.max_text_seq_length
    for task in pipeline.config.tasks:
        options = common | {"num_inference_steps": steps, "task": task}
        reference = list(_sample(pipeline, prompts, options, _SEED, batch_size))
        for variant in progress(chosen, f"ways to sample {task}"):
            used = pipelines[variant.precision]
            own = options | {"num_inference_steps": variant.steps or steps}
            if variant.method:
                accelerate(used, variant.method, variant.threshold, own)
            with Passes(used.transformer) as passes:
                _compare(deviations[variant.name], _sample(used, prompts, own, variant.seed, batch_size), reference)
            if variant.method:
                deviations[variant.name].add(HIT_RATE, passes.hit_rate)
                used.transformer.disable_cache()
    return deviations


def _sample(
    pipeline: UDPDiffPipeline, prompts: Sequence[str], options: dict, seed: int, batch_size: int
) -> Iterator[UDPDiffPipelineOutput]:
    """Yield the outputs batch by batch; the noise of prompt i comes from seed + i."""
    for first in range(0, len(prompts), batch_size):
        texts = list(prompts[first : first + batch_size])
        generators = [torch.Generator().manual_seed(seed + first + index) for index in range(len(texts))]
        yield pipeline(prompt=texts, generator=generators, **options)


def _compare(
    deviation: Deviation, samples: Iterator[UDPDiffPipelineOutput], reference: Sequence[UDPDiffPipelineOutput]
) -> None:
    for output, other in zip(samples, reference, strict=True):
        (task,) = {dense.task for dense in other.dense.values()}
        name, figure = FIGURES[task]
        for index in range(len(other.frames)):
            deviation.add(VIDEO_FIGURE, _psnr(output.frames[index], other.frames[index]))
            found = get_task(task).compare(output.prediction[index], other.prediction[index])
            deviation.add(name, found.get(figure, float("nan")))


def _psnr(video: np.ndarray, reference: np.ndarray) -> float:
    error = float(np.mean((video.astype(np.float64) - reference) ** 2))
    return min(-10 * np.log10(error), _MAX_PSNR) if error else _MAX_PSNR


def recommended(method: str, chosen: Sequence[Variant], deviations: dict[str, Deviation], plain: str) -> Variant:
    """Return a method's variant with the most hits of those that lead no farther off than fewer steps do.

    Where every one leads farther off it is the one with the fewest hits.

    Args:
        plain: Name of the variant with fewer steps.
    """
    own = [variant for variant in chosen if variant.method == method]
    hits = {variant: deviations[variant.name].mean(HIT_RATE) for variant in own}
    good = [variant for variant in own if no_farther(deviations[variant.name], deviations[plain])]
    return max(good, key=hits.get) if good else min(own, key=hits.get)


def no_farther(own: Deviation, other: Deviation) -> bool:
    """Return whether no figure of either stream is worse than the other's by more than chance, prompt by prompt."""
    names = (VIDEO_FIGURE, *(name for name, _ in FIGURES.values()))
    pairs = [(own.figures[name], other.figures[name]) for name in names if name in own.figures]
    differences = [bootstrap_difference(first, second) for first, second in pairs]
    return not any(each.high < 0 or (each.n == 1 and each.value < 0) for each in differences)
