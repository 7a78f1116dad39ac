"""Licences of the videos and checkpoints that a user may name, as their publishers state them. Knows nothing of files.

Source: the model cards and repositories of each, read in 2026; whoever uses one reads its own.
"""

from __future__ import annotations

from dataclasses import dataclass

from udpdiff.checkpoints.hub import split

OWN = "Apache-2.0, trained by this project on its own scenes"
UNKNOWN = "not known here: see its card"
# Kind of source -> where its videos come from, and who owns them.
VIDEOS = {
    "scenes": "rendered by this project (Apache-2.0), with exact truth beside the labels",
    "videos": "a folder of the maker's; whoever passes it on answers for the rights to it",
    "panda70m": (
        "Panda-70M, a list of YouTube videos for research only (https://github.com/snap-research/Panda-70M, its licence);"
        " the videos belong to their makers"
    ),
}


@dataclass(frozen=True)
class Published:
    """A row of the documentation's table.

    Attributes:
        part: The key of the configuration; empty below another row of the same key.
        words: What to name, in Markdown.
        licence: In words.
        ids: Hub ids -> licence, of the checkpoints that the row is about.
    """

    part: str
    words: str
    licence: str
    ids: dict[str, str]


_NC = "CC BY-NC 4.0"
_APACHE = "Apache-2.0"
_DEPTH_CRAFTER = "research and education only"
PUBLISHED = (
    Published("model.base", "`THUDM/CogVideoX-2b` / `THUDM/CogVideoX-5b`", "Apache-2.0 / CogVideoX licence", {"THUDM/CogVideoX-2b": _APACHE, "THUDM/CogVideoX-5b": "CogVideoX licence"}),
    Published("labels.entities.*.segmenter", "EntitySeg CropFormer (Swin): the folder that `python -m udpdiff.labelling.cropformer_checkpoint FILE.pth FOLDER` writes", f"{_NC}, gated", {}),
    Published("", "any Mask2Former of transformers, e.g. `facebook/mask2former-swin-large-coco-panoptic`", "see its card", {}),
    Published("labels.tracker.checkpoint", "`facebook/sam2.1-hiera-large`", _APACHE, {f"facebook/sam2.1-hiera-{size}": _APACHE for size in ("tiny", "small", "base-plus", "large")}),
    Published("labels.depth.*.checkpoint", "`tencent/DepthCrafter` (`model: depthcrafter`, `base: stabilityai/stable-video-diffusion-img2vid-xt`)", f"{_DEPTH_CRAFTER}; the base has its own", {"tencent/DepthCrafter": _DEPTH_CRAFTER, "stabilityai/stable-video-diffusion-img2vid-xt": "Stability AI's own: see its card"}),
    Published("", f"`depth-anything/Depth-Anything-V2-Small-hf` (Large: {_NC})", _APACHE, {"depth-anything/Depth-Anything-V2-Small-hf": _APACHE, "depth-anything/Depth-Anything-V2-Large-hf": _NC}),
    Published("labels.captions.captioner", "`Qwen/Qwen3-VL-8B-Instruct` (also Qwen2.5-VL, Qwen3-VL-MoE)", _APACHE, {"Qwen/Qwen3-VL-8B-Instruct": _APACHE}),
    Published("", "`LanguageBind/Video-LLaVA-7B-hf`", "code Apache-2.0; its authors call it a preview for non-commercial use", {"LanguageBind/Video-LLaVA-7B-hf": "a preview for non-commercial use"}),
    Published("metrics.subject_encoder", "`facebook/dino-vitb16`", _APACHE, {"facebook/dino-vitb16": _APACHE}),
    Published("metrics.image_encoder", "`openai/clip-vit-base-patch32`", "MIT", {"openai/clip-vit-base-patch32": "MIT"}),
    Published("metrics.video_encoder", "`i3d:FILE#SHA256`, the torchscript I3D of StyleGAN-V: FVD as published", "see its source", {}),
    Published("", "`MCG-NJU/videomae-base-finetuned-kinetics`, a figure of its own", _NC, {"MCG-NJU/videomae-base-finetuned-kinetics": _NC}),
    Published("metrics.flow", "`raft_large`, `raft_small`: torchvision's files of RAFT's authors' weights; or `raft:FILE#SHA256`", "BSD-3-Clause", {"raft_large": "BSD-3-Clause", "raft_small": "BSD-3-Clause"}),
    Published("metrics.interpolator", "`plugin:MODULE:FUNCTION` for AMT-S, which you install yourself", _NC, {}),
)  # fmt: skip


def licence_of(reference: str) -> str:
    """Return the licence of a checkpoint reference, as in `resolve`; a sentence that says so where it is not known."""
    if reference.startswith("mini:"):
        return OWN
    name = found[0] if (found := split(reference)) else reference
    return next((row.ids[name] for row in PUBLISHED if name in row.ids), UNKNOWN)


def is_reference(labeller: str) -> bool:
    """Return whether it names a checkpoint; else it says in words what stands there instead."""
    return ":" in labeller or "/" in labeller


def with_licence(labeller: str) -> str:
    """Return a reference with its licence, in Markdown; words as they are."""
    return f"`{labeller}` ({licence_of(labeller)})" if is_reference(labeller) else labeller


def as_markdown() -> str:
    """Return the table of the documentation."""
    rows = [f"| {row.part and f'`{row.part}`'} | {row.words} | {row.licence} |" for row in PUBLISHED]
    return "\n".join(["| part | real checkpoint to name | its licence |", "|---|---|---|", *rows]) + "\n"


if __name__ == "__main__":
    print(as_markdown(), end="")
