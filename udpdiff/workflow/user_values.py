"""Values of a preset that only the user can give, such as the path of a data set, each with how to get it.

A configuration without them can be planned and explained; the first job that needs one says all that are missing.
"""

from __future__ import annotations

from collections.abc import Iterator

from udpdiff.config.schema import Config

_SOURCES = {
    "videos": "a folder of video files (docs/data.md, Your own videos)",
    "panda70m": (
        "the official table of Panda-70M, csv or zip: panda70m_training_full.zip or a smaller split, as linked from "
        "https://github.com/snap-research/Panda-70M (docs/data.md, Panda-70M)"
    ),
}
_CROPFORMER = (
    "the folder that `python -m udpdiff.labelling.cropformer_checkpoint FILE.pth FOLDER` writes from a Swin file of "
    "EntitySeg's CropFormer (in https://huggingface.co/datasets/qqlu1992/Adobe_EntitySeg, gated: ask for access there), or "
    "any Mask2Former instead, e.g. facebook/mask2former-swin-large-coco-panoptic"
)


def missing_values(config: Config) -> str | None:
    """Return what is missing as one message, a line for each value; None when nothing is."""
    lines = list(_missing(config))
    if not lines:
        return None
    advice = "Name them in a file of your own and add `--configfile FILE` to the command; the preset stays as it is."
    return "\n".join(["These values only you can give:", *(f"  {line}" for line in lines), advice])


def _missing(config: Config) -> Iterator[str]:
    source = config.source
    if source.kind != "scenes" and source.path is None:
        yield f"source.path: got null, and source.kind is {source.kind}; name {_SOURCES[source.kind]}"
    for name, labeller in config.labels.entities.items():
        if labeller.model == "segmenter" and labeller.segmenter is None:
            yield f"labels.entities.{name}.segmenter: got null; name {_CROPFORMER}"
