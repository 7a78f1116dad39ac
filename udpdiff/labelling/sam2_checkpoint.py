"""SAM 2 as a folder: the package's weights as safetensors, and a json that says which model they belong to.

The json names one of the package's yaml files and hydra overrides, so that no code of a model stands here. Knows nothing
of frames or masks.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

WEIGHTS_NAME = "sam2.safetensors"
CONFIG_NAME = "sam2.json"
# The package's default predictor tracks objects one after the other; the legacy class tracks them as one batch,
# with the same result when every prompt is on the first frame (tests/labelling/test_propagation.py).
BATCHED_PREDICTOR = "++model._target_=sam2.sam2_video_predictor_legacy.SAM2VideoPredictor"
# A folder may come from anyone, and hydra calls whatever `_target_` names.
_PACKAGE_CONFIG = re.compile(r"configs/sam2(\.1)?/[\w.+-]+\.yaml")
_PLAIN_OVERRIDE = re.compile(r"\+\+model(\.[A-Za-z]\w*)+=[\w.\[\],+-]+")


def build_predictor(
    config: str, overrides: Sequence[str], device: str | torch.device = "cpu", mask_decoder_mlp_dim: int | None = None
):
    """Build the batched predictor, without weights, from one of the sam2 package's yaml files and hydra overrides.

    mask_decoder_mlp_dim: hidden units of the mask decoder's MLPs; None: the package's 2048.
    Source: github.com/facebookresearch/sam2, sam2/build_sam.py.
    """
    from sam2.build_sam import build_sam2_video_predictor

    predictor = build_sam2_video_predictor(
        config,
        device=str(device),
        hydra_overrides_extra=[BATCHED_PREDICTOR, *overrides],
        apply_postprocessing=False,
    )
    if mask_decoder_mlp_dim:
        _resize_mask_decoder(predictor, mask_decoder_mlp_dim)
    return predictor


def _resize_mask_decoder(predictor, mlp_dim: int) -> None:
    """Give the mask decoder new MLPs of `mlp_dim` hidden units.

    Seam: `SAM2Base` (sam2 1.1.0) builds them with 2048 units whatever the model's width: half of a small model.
    """
    from torch import nn

    for layer in predictor.sam_mask_decoder.transformer.layers:
        width, device = layer.mlp.layers[0].in_features, layer.mlp.layers[0].weight.device
        layer.mlp.layers = nn.ModuleList(
            [nn.Linear(width, mlp_dim, device=device), nn.Linear(mlp_dim, width, device=device)]
        )


def write_folder(
    predictor, folder: Path, config: str, overrides: Sequence[str], mask_decoder_mlp_dim: int | None
) -> None:
    """Write the float16 weights, under the package's names, and the arguments of `build_predictor`."""
    import torch
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    state = {name: value.detach().cpu().to(torch.float16) for name, value in predictor.state_dict().items()}
    save_file({name: value.contiguous() for name, value in state.items()}, folder / WEIGHTS_NAME)
    description = {"config": config, "overrides": list(overrides), "mask_decoder_mlp_dim": mask_decoder_mlp_dim}
    (folder / CONFIG_NAME).write_text(json.dumps(description, indent=2) + "\n")


def read_folder(folder: Path, device: str | torch.device):
    """The predictor of a folder, in float32; ValueError for a json that is no such description."""
    from safetensors.torch import load_file

    predictor = build_predictor(**_read_description(folder / CONFIG_NAME), device=device)
    state = {name: value.float() for name, value in load_file(folder / WEIGHTS_NAME).items()}
    predictor.load_state_dict(state)
    return predictor


def _read_description(path: Path) -> dict:
    """Return the arguments of `build_predictor`; ValueError for anything that could make hydra call other than the package's code."""
    description = json.loads(path.read_text())
    known = {"config": "", "overrides": [], "mask_decoder_mlp_dim": None}
    if not isinstance(description, dict) or not {"config", "overrides"} <= set(description) <= set(known):
        raise ValueError(f"{path}: expected an object with the keys {', '.join(known)}; the last may be missing.")
    description = known | description
    odd = [line for line in description["overrides"] if not _PLAIN_OVERRIDE.fullmatch(str(line))]
    if not _PACKAGE_CONFIG.fullmatch(str(description["config"])):
        odd.insert(0, description["config"])
    if odd:
        raise ValueError(
            f"{path}: got {odd[0]!r}. Expected a yaml of the sam2 package, configs/sam2.1/NAME.yaml, and overrides "
            "++model.NAME=VALUE with a number, a word or a list; names with a leading underscore decide what code runs."
        )
    if not isinstance(description["mask_decoder_mlp_dim"], int | None):
        raise ValueError(
            f"{path}: mask_decoder_mlp_dim: got {description['mask_decoder_mlp_dim']!r}, expected a number."
        )
    return description
