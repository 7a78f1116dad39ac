"""How fast a stage goes: measured on this machine, or cited from others at the paper's scale.

Every cited number names its source, hardware and resolution; where no source is known there is no number.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from udpdiff.labelling.depthcrafter import working_size
from udpdiff.planning.devices import DEVICES, Device
from udpdiff.timing import Throughput, combined

_A100 = DEVICES["a100-80g"]  # that all cited speeds were found on


@dataclass(frozen=True)
class Speed:
    """Clips per hour of one device, and where that is from.

    Attributes:
        clips_per_hour: Of one device.
        origin: measured, cited or counted.
        basis: The same in words.
        bound: Whether the number is an upper bound.
    """

    clips_per_hour: float
    origin: str
    basis: str
    bound: bool = False


# Frames a second, by checkpoint.
_SAM2_FPS = {
    "facebook/sam2.1-hiera-tiny": 47.2,
    "facebook/sam2.1-hiera-small": 43.3,
    "facebook/sam2.1-hiera-base-plus": 34.8,
    "facebook/sam2.1-hiera-large": 24.2,
}
_SAM2_SOURCE = (
    "SAM 2.1 not compiled, {fps:g} frames/s on an A100 at 1024 x 1024, bfloat16 (facebookresearch/sam2, README of "
    "September 2024). A bound: further objects and the first frame's segmentation come on top; no speed for them was found"
)
_DEPTHCRAFTER_CHECKPOINT = "tencent/DepthCrafter"
# (pixels, seconds per frame) at 512 x 256 and at 1024 x 576, with 5 steps and without guidance.
_DEPTHCRAFTER = ((512 * 256, 1 / 8.6), (1024 * 576, 0.46584))
_DEPTHCRAFTER_SOURCE = (
    "DepthCrafter 1.0.1, 5 steps, no guidance, A100: 465.84 ms a frame at 1024 x 576, 8.6 frames/s at 512 x 256 "
    "(Tencent/DepthCrafter, README); on the line through both at {width} x {height}"
)
_DEPTH_ANYTHING_LARGE = "depth-anything/Depth-Anything-V2-Large-hf"
_DEPTH_ANYTHING_SOURCE = (
    "Depth Anything V2, 180 ms a frame at 1024 x 576 on an A100 (Tencent/DepthCrafter, README; the size of the model is "
    "not said there); not scaled to other sizes"
)


def labeller_speed(
    stage: str, job: dict[str, Any], size: dict[str, int], records: Iterable[Throughput], device: Device = _A100
) -> Speed | None:
    """Return a labeller's speed: measured where it was; else cited; else None.

    Args:
        device: That cited speeds are wanted for; the others are `measured_speed`'s.
    """
    return measured_speed(stage, job, size, records) or scaled(cited_speed(stage, job, size), device)


def scaled(cited: Speed | None, device: Device) -> Speed | None:
    """Return a speed that was found on an A100 as of another device: in the ratio of their peaks in half precision."""
    ratio = device.half_flops / _A100.half_flops
    if cited is None or ratio == 1:
        return cited
    rule = f"speed taken times {ratio:.2f}, the ratio of the peaks in half precision of {device.label} and A100"
    return Speed(cited.clips_per_hour * ratio, cited.origin, f"{cited.basis}; {rule}", cited.bound)


def measured_speed(
    stage: str, job: dict[str, Any], size: dict[str, int], records: Iterable[Throughput]
) -> Speed | None:
    """Return the speed of finished jobs of a stage with the same job, at the same size; None without any.

    Args:
        stage: As in `Throughput`.
        job: The job as json-able data.
        size: num_frames, height and width of the clips, pixels.
        records: Of finished jobs.
    """
    measured = combined(record for record in records if record.is_like(stage, job, size))
    if measured is None:
        return None
    basis = f"{measured.clips} clips on {measured.device}, {measured.model_share:.0%} of the time in the model"
    return Speed(measured.clips_per_hour, "measured", basis)


def cited_speed(stage: str, job: dict[str, Any], size: dict[str, int]) -> Speed | None:
    """Return what others found of a labeller; None where no source speaks of it.

    Args:
        stage: entities or depth.
        job: A `jobs.SegmentEntities` or `jobs.EstimateDepth` as json-able data.
        size: num_frames, height and width of the clips, pixels.
    """
    if stage == "entities":
        fps = _SAM2_FPS.get(job["tracker"]["checkpoint"])
        return fps and Speed(3600 * fps / size["num_frames"], "cited", _SAM2_SOURCE.format(fps=fps), bound=True)
    labeller = job["labeller"]
    if labeller["checkpoint"] == _DEPTH_ANYTHING_LARGE:
        return _cited(0.18, _DEPTH_ANYTHING_SOURCE, size)
    at_its_defaults = labeller["checkpoint"] == _DEPTHCRAFTER_CHECKPOINT and labeller["num_inference_steps"] == 5
    if not at_its_defaults or labeller["guidance_scale"] > 1:
        return None
    height, width = working_size(size["height"], size["width"], labeller["max_side"])
    (few, fast), (many, slow) = _DEPTHCRAFTER
    seconds = fast + (slow - fast) * (height * width - few) / (many - few)
    return _cited(seconds, _DEPTHCRAFTER_SOURCE.format(height=height, width=width), size)


def _cited(seconds_per_frame: float, source: str, size: dict[str, int]) -> Speed:
    return Speed(3600 / (seconds_per_frame * size["num_frames"]), "cited", source)
