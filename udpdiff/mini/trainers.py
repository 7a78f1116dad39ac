"""The trainer of each stage, and one call that trains a stage."""

from __future__ import annotations

import torch

from udpdiff.mini.base import BaseTrainer, MixedBaseTrainer
from udpdiff.mini.captioner import CaptionerTrainer
from udpdiff.mini.cropformer import CropFormerTrainer
from udpdiff.mini.depth_anything import DepthAnythingTrainer
from udpdiff.mini.depthcrafter import DepthCrafterTrainer
from udpdiff.mini.depthcrafter_vae import DepthCrafterVaeTrainer
from udpdiff.mini.features import FeatureTrainer
from udpdiff.mini.sam2 import Sam2Trainer
from udpdiff.mini.segmenter import SegmenterTrainer
from udpdiff.mini.stages import STAGES
from udpdiff.mini.training import Options, train
from udpdiff.mini.vae import NarrowVaeTrainer, VaeDecoderTrainer, VaeTrainer

TRAINERS = {
    "vae": VaeTrainer,
    "vae_decoder": VaeDecoderTrainer,
    "narrow_vae": NarrowVaeTrainer,
    "base": BaseTrainer,
    "mixed_base": MixedBaseTrainer,
    "segmenter": SegmenterTrainer,
    "cropformer": CropFormerTrainer,
    "sam2": Sam2Trainer,
    "depth_anything": DepthAnythingTrainer,
    "depthcrafter_vae": DepthCrafterVaeTrainer,
    "depthcrafter": DepthCrafterTrainer,
    "features": FeatureTrainer,
    "captioner": CaptionerTrainer,
}


def train_stage(options: Options) -> dict[str, float]:
    """Train a stage and write its folder.

    Returns:
        Its quality on held-out scenes.

    Raises:
        ValueError: For an unknown stage, or folders to start from that are not those the stage needs.
    """
    if options.stage not in STAGES:
        raise ValueError(f"got stage {options.stage!r}; expected one of {', '.join(STAGES)}")
    stage = STAGES[options.stage]
    for option in ("start_from", "vae"):
        given, needed, flag = getattr(options, option), stage.inputs.get(option), f"--{option.replace('_', '-')}"
        if needed and given is None:
            raise ValueError(f"stage {options.stage}: got no {flag}; name the folder of {needed}")
        if given is not None and not needed:
            raise ValueError(f"stage {options.stage}: got {flag} {given}, but it starts from nothing of the kind")
    torch.manual_seed(options.seed)
    return train(TRAINERS[stage.trainer](options))
