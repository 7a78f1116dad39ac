"""Unified dense prediction of video diffusion: a video and its entity segmentation or depth from one prompt."""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

# Resolved on first use: importing `udpdiff` must not cost the seconds that torch and diffusers take.
_LAZY = {
    "CropFormer": "udpdiff.labelling.cropformer",
    "DepthAnything": "udpdiff.labelling.depth_anything",
    "DepthCrafter": "udpdiff.labelling.depthcrafter",
    "EntityLabeller": "udpdiff.labelling.entities",
    "EntitySegmenter": "udpdiff.labelling.segmenter",
    "MaskTracker": "udpdiff.labelling.propagation",
    "UDPDiffPipeline": "udpdiff.model.pipeline",
    "UDPDiffTransformer3DModel": "udpdiff.model.transformer",
    "clean_entities": "udpdiff.labelling.cleanup",
    "read_video": "udpdiff.video_io",
}

__all__ = [*_LAZY, "__version__"]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'udpdiff' has no attribute {name!r}; expected one of {__all__}.")
    return getattr(import_module(_LAZY[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})
