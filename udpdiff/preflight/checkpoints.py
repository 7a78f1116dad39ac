"""Checkpoints in folders and `mini:` ones: whether each is there, whole, and of the kind that its key asks for.

Reads small json files and names; what is on the hub, the hub is asked about before anything is fetched.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from udpdiff import checkpoints
from udpdiff.checkpoints import hub
from udpdiff.config import layers as config_layers
from udpdiff.config.schema import Config
from udpdiff.labelling.captioner import FAMILIES

_DIGEST = re.compile(r"[0-9a-fA-F]{64}")
_SAM2 = re.compile(r"facebook/sam2(\.1)?-hiera-(tiny|small|base-plus|large)")
_WEIGHTS = re.compile(r"(model|pytorch_model|diffusion_pytorch_model|sam2)\b.*\.(safetensors|bin)")


@dataclass(frozen=True)
class Kind:
    """What a checkpoint has to hold.

    Attributes:
        name: For people.
        types: Json file -> values of `model_type` or `_class_name` that are of this kind; none: any.
        weights: Folders of weights.
        files: Further files.
    """

    name: str
    types: Mapping[str, Collection[str]]
    weights: Sequence[str] = (".",)
    files: Sequence[str] = ()


_STABLE_VIDEO = {
    "vae/config.json": {"AutoencoderKLTemporalDecoder"},
    "image_encoder/config.json": {"clip_vision_model"},
    "scheduler/scheduler_config.json": (),
}
# diffusers' class, and what the authors' own file calls it
_UNET = {
    "DepthCrafterUNet",
    "UNetSpatioTemporalConditionModel",
    "DiffusersUNetSpatioTemporalConditionModelDepthCrafter",
}
_WHOLE_CRAFTER = Kind("DepthCrafter", {"unet/config.json": _UNET, **_STABLE_VIDEO}, ("unet", "vae", "image_encoder"))
_CRAFTER_UNET = Kind("U-Net of DepthCrafter", {"config.json": _UNET})
_KINDS = {
    "model.base": Kind(
        "CogVideoX pipeline",
        {
            "transformer/config.json": {"CogVideoXTransformer3DModel"},
            "vae/config.json": {"AutoencoderKLCogVideoX"},
            "text_encoder/config.json": {"t5"},
            "scheduler/scheduler_config.json": (),
        },
        ("transformer", "vae", "text_encoder"),
        ("tokenizer",),
    ),
    "models.*.checkpoint": Kind(
        "model that `udpdiff export` wrote",
        {"model_index.json": {"UDPDiffPipeline"}, "run.json": (), "transformer/config.json": ()},
        ("transformer",),
        ("digests.json",),
    ),
    "labels.entities.*.segmenter": Kind("Mask2Former or CropFormer", {"config.json": {"mask2former"}}),
    "labels.tracker.checkpoint": Kind("SAM 2", {"sam2.json": ()}),
    "labels.depth.*.base": Kind("Stable Video Diffusion", _STABLE_VIDEO, ("vae", "image_encoder")),
    "labels.captions.captioner": Kind("captioner", {"config.json": FAMILIES}),
    "metrics.subject_encoder": Kind("ViT", {"config.json": {"vit"}}),
    "metrics.image_encoder": Kind("CLIP", {"config.json": {"clip"}}, files=("tokenizer_config.json",)),
    **dict.fromkeys(
        ("metrics.video_encoder", "metrics.kernel_encoder"),
        Kind("VideoMAE classifier or V-JEPA 2", {"config.json": {"videomae", "vjepa2"}}),
    ),
}
_DEPTH_ANYTHING = Kind("Depth Anything", {"config.json": {"depth_anything"}})


def checkpoint_faults(config: Config, folders: Sequence[Path]) -> Iterator[str]:
    """Yield a line for every checkpoint that could not be loaded.

    Args:
        config: The configuration, with places where its checkpoints are.
        folders: That relative paths were looked for in.
    """
    sections = config.model_dump()
    for pattern in (*config_layers.CHECKPOINTS, *config_layers.FILES):
        for section, _, reference, key in config_layers.strings_at(sections, sections, pattern):
            if fault := _fault(pattern, section, reference, config.clips.num_frames, folders):
                yield f"{key}: got {reference!r}{fault}"


def _fault(pattern: str, section: dict, reference: str, num_frames: int, folders: Sequence[Path]) -> str | None:
    if pattern in ("metrics.video_encoder", "metrics.kernel_encoder") and reference.startswith("i3d:"):
        few = f", and clips.num_frames {num_frames}; it takes 9 frames or more" if num_frames < 9 else None
        return _file_fault(reference, "it is run as code, so ") or few
    if pattern in config_layers.FILES:
        return _file_fault(reference) if config_layers.split_reference(reference)[0] else None
    if hub.split(reference) and not Path(reference).is_dir():
        return _hub_fault(pattern, reference, folders)
    try:
        folder = Path(checkpoints.resolve(reference))
    except (ValueError, FileNotFoundError) as error:
        return f": {error}"
    if not folder.is_dir():
        return (
            f", and there is no such folder{_in_words(folder, folders)}; allowed: mini:NAME, an existing folder, or a hub id such as "
            "THUDM/CogVideoX-5b or ID@REVISION"
        )
    return _folder_fault(folder, _kind(pattern, section))


def _in_words(folder: Path, folders: Sequence[Path]) -> str:
    """Return where a relative path was looked for; nothing of an absolute one, which says it itself."""
    places = "" if folder.is_absolute() else " or ".join(dict.fromkeys(str(each.absolute()) for each in folders))
    return f" in {places}" if places else ""


def _kind(pattern: str, section: dict) -> Kind:
    if pattern != "labels.depth.*.checkpoint":
        return _KINDS[pattern]
    if section["model"] == "depth_anything":
        return _DEPTH_ANYTHING
    return _CRAFTER_UNET if section["base"] else _WHOLE_CRAFTER


def _folder_fault(folder: Path, kind: Kind) -> str | None:
    for name, types in kind.types.items():
        try:
            config = json.loads((folder / name).read_text(encoding="utf-8"))
            found = config.get("model_type") or config.get("_class_name")
        except (OSError, ValueError, AttributeError):
            return f", a folder without a readable {name}; expected a {kind.name}"
        if types and found not in types:
            return f", whose {name} says {found!r}; expected a {kind.name}: {', '.join(sorted(types))}"
    for part in kind.weights:
        if missing := _missing_weights(folder / part):
            return f", a folder without {(Path(part) / missing).as_posix()}; expected a whole {kind.name}"
    missing = next((name for name in kind.files if not (folder / name).exists()), None)
    return missing and f", a folder without {missing}; expected a whole {kind.name}"


def _missing_weights(folder: Path) -> str | None:
    """Return what lacks of the weights of a folder, all shards that an index names included."""
    for index in sorted(folder.glob("*.index.json")):
        try:
            named = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
        except (OSError, ValueError, KeyError, AttributeError, TypeError):
            return f"a readable {index.name}"
        return next((name for name in sorted(named) if not (folder / str(name)).is_file()), None)
    return None if any(_WEIGHTS.fullmatch(path.name) for path in folder.glob("*")) else "weights (.safetensors)"


def _hub_fault(pattern: str, reference: str, folders: Sequence[Path]) -> str | None:
    """A folder that was meant, and names that can be judged without the hub."""
    name, revision = hub.split(reference)
    if pattern == "labels.tracker.checkpoint" and not _SAM2.fullmatch(name):
        return "; expected a SAM 2: facebook/sam2.1-hiera-large, -base-plus, -small or -tiny, facebook/sam2-hiera-..., or a folder"
    first, last = name.split("/")
    for folder in folders:
        if revision is None and (folder / first).is_dir():
            near = difflib.get_close_matches(last, [path.name for path in (folder / first).iterdir()], n=1)
            meant = f"did you mean {first}/{near[0]}? " if near else ""
            return (
                f", and there is no such folder, but {str(folder / first)!r} is one; {meant}"
                f"if a checkpoint of the hub is meant, write {reference}@main"
            )
    return None


def _file_fault(reference: str, why: str = "") -> str | None:
    scheme, place, mark = config_layers.split_reference(reference)
    if not Path(place).is_file():
        return f", and there is no such file; expected {scheme}FILE#SHA256"
    if not _DIGEST.fullmatch(mark.removeprefix("#")):
        return (
            f", without the 64 digits of the file's SHA-256; {why}compare `sha256sum {place}` with its publisher's, and write "
            f"{scheme}FILE#SHA256"
        )
    return None
