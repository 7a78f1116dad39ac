"""How fast others found the labellers at the paper's scale, for plans made before anything was measured.

Every number names its source, hardware and resolution; where no source is known there is no number.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from udpdiff.labelling.depthcrafter import working_size


@dataclass(frozen=True)
class CitedSpeed:
    """seconds_per_frame on the hardware named in `source`. bound: the whole stage takes at least that, for it does more."""

    seconds_per_frame: float
    source: str
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


def cited_speed(stage: str, settings: dict[str, Any], size: dict[str, int]) -> CitedSpeed | None:
    """What is known of a labeller; None where nothing is.

    stage: entities or depth. settings: the labeller's, as its job is told them. size: height and width of clips, pixels.
    """
    if stage == "entities":
        fps = _SAM2_FPS.get(settings["tracker"]["checkpoint"])
        return fps and CitedSpeed(1 / fps, _SAM2_SOURCE.format(fps=fps), bound=True)
    if settings["checkpoint"] == _DEPTHCRAFTER_CHECKPOINT:
        return _depthcrafter(settings, size)
    if settings["checkpoint"] == _DEPTH_ANYTHING_LARGE:
        return CitedSpeed(0.18, _DEPTH_ANYTHING_SOURCE)
    return None


def _depthcrafter(settings: dict[str, Any], size: dict[str, int]) -> CitedSpeed | None:
    if settings["num_inference_steps"] != 5 or settings["guidance_scale"] > 1:
        return None
    height, width = working_size(size["height"], size["width"], settings["max_side"])
    (few, fast), (many, slow) = _DEPTHCRAFTER
    seconds = fast + (slow - fast) * (height * width - few) / (many - few)
    return CitedSpeed(seconds, _DEPTHCRAFTER_SOURCE.format(height=height, width=width))
