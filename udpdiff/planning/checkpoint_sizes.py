"""How large the checkpoints are that a configuration may name: parameters, and the bytes that are fetched.

Parameters are counted from the published configurations or cited from model cards; files follow from them and the type
that they are stored in.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from udpdiff.checkpoints import resolve
from udpdiff.labelling.memory_plan import PUBLISHED_SIZES
from udpdiff.planning import parameters

FLOAT32, HALF = 4, 2


@dataclass(frozen=True)
class Checkpoint:
    """A published checkpoint.

    Attributes:
        weights: Parameters.
        stored: Bytes of each of them in its files.
        source: What the number of parameters rests on.
    """

    weights: float
    stored: int
    source: str

    @property
    def file_bytes(self) -> float:
        return self.weights * self.stored


_CARD = "cited: model card"
CHECKPOINTS = {
    "facebook/mask2former-swin-large-coco-panoptic": Checkpoint(216e6, FLOAT32, "counted"),
    "tencent/DepthCrafter": Checkpoint(1.525e9, HALF, "counted: the U-Net alone"),
    # Of it DepthCrafter fetches the image encoder and the VAE.
    "stabilityai/stable-video-diffusion-img2vid-xt": Checkpoint(0.730e9, HALF, "counted: image encoder and VAE"),
    "depth-anything/Depth-Anything-V2-Small-hf": Checkpoint(24.8e6, FLOAT32, _CARD),
    "depth-anything/Depth-Anything-V2-Base-hf": Checkpoint(97.5e6, FLOAT32, _CARD),
    "depth-anything/Depth-Anything-V2-Large-hf": Checkpoint(335.3e6, FLOAT32, _CARD),
    "LanguageBind/Video-LLaVA-7B-hf": Checkpoint(7.37e9, HALF, "counted: Vicuna 7B and two towers"),
    "Qwen/Qwen2.5-VL-7B-Instruct": Checkpoint(8.29e9, HALF, _CARD),
    "Qwen/Qwen3-VL-4B-Instruct": Checkpoint(4.44e9, HALF, _CARD),
    "Qwen/Qwen3-VL-8B-Instruct": Checkpoint(8.77e9, HALF, _CARD),
    "MCG-NJU/videomae-base-finetuned-kinetics": Checkpoint(86.5e6, FLOAT32, _CARD),
    "facebook/vjepa2-vitl-fpc64-256": Checkpoint(326.0e6, FLOAT32, "counted: with the predictor, which is not run"),
    "facebook/dino-vitb16": Checkpoint(85.8e6, FLOAT32, "counted"),
    "openai/clip-vit-base-patch32": Checkpoint(151.3e6, FLOAT32, "counted"),
    **{name: Checkpoint(sizes.weight_bytes / FLOAT32, FLOAT32, "counted") for name, sizes in PUBLISHED_SIZES.items()},
}


def find_checkpoint(reference: str) -> Checkpoint | None:
    """Return what is known of a checkpoint by its hub id, with or without a revision; None for any other."""
    name = reference.partition("@")[0]
    if name in CHECKPOINTS:
        return CHECKPOINTS[name]
    if is_local(reference) or (parts := parameters.base_parts(name)) is None:
        return None
    weights = (
        parameters.transformer_parameters(parts["transformer"])
        + parameters.vae_parameters(parts["vae"])
        + parameters.text_parameters(parts["text_encoder"])
    )
    return Checkpoint(weights, HALF, "counted")


def is_local(reference: str) -> bool:
    """Return whether a reference is a folder or file, or a mini checkpoint: nothing is fetched for it."""
    try:
        return reference.startswith("i3d:") or Path(resolve(reference)).exists()
    except ValueError:
        return False


def weight_bytes(reference: str, bytes_each: int) -> float | None:
    """Return the bytes of a checkpoint's weights in a type of so many bytes; of a folder, those of its files.

    None for a hub id that nothing is known of.
    """
    if not is_local(reference):
        known = find_checkpoint(reference)
        return known.weights * bytes_each if known else None
    folder = Path(resolve(reference)) if not reference.startswith("i3d:") else None
    return float(sum(path.stat().st_size for path in folder.rglob("*.safetensors"))) if folder else 0.0
