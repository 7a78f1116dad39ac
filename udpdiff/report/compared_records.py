"""What two folders' measurements rest on: where these records differ, and which figures that makes incomparable.

Reads the contents of measurement files, as `metrics.evaluate` writes them, and their `figure_record`; results of earlier
versions hold less, and what is not on record is passed over.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from udpdiff.figure_record import FigureRecord
from udpdiff.report.settings import Difference

_SETS = ("fvd", "kvd")  # distances of whole sets of videos, by how their names begin
# Settings that decide what a clip of a given name shows: where they differ, equal names may be different clips.
_CLIPS_BY = ("source.", "seed", "clips.num_frames", "clips.fps", "clips.height", "clips.width", "labels.captions.", "sampling.caption")  # fmt: skip
_SAMPLED_BY = ("sampling.num_inference_steps", "sampling.guidance_scale", "sampling.acceleration", "sampling.dtype")


def incomparable(first: Mapping, second: Mapping, key: str) -> str:
    """Return why a difference of a figure says nothing of what was made; "" where it may.

    Args:
        first: Content of a measurement file that has the figure.
        second: Of the other folder's.
        key: Of the figure.
    """
    a, b = first["metrics"][key], second["metrics"][key]
    if a.get("extractor") != b.get("extractor"):
        return f"measured by {a.get('extractor')} in A, by {b.get('extractor')} in B"
    if a.get("extractor") in (found := _other_weights(first, second)):
        return f"{a['extractor']} has other weights: {found[a['extractor']]}"
    if key.startswith(_SETS):
        for name, what in (("n", "generated"), ("n_reference", "real")):
            if None not in (a.get(name), b.get(name)) and a[name] != b[name]:
                return f"a distance of {a[name]} {what} videos in A, of {b[name]} in B, and it depends on their number"
        real = _ids(first, "real"), _ids(second, "real")
        if None not in real and real[0] != real[1]:
            return "the real videos are others"
    return ""


def made_differently(pairs: Mapping[str, tuple[Mapping, Mapping]]) -> list[Difference]:
    """Return what the records of shared measurements differ in: seeds, videos, networks, device, code, versions.

    Args:
        pairs: What was measured -> the contents of both files.
    """
    found: dict[str, tuple[set[str], set[str]]] = {}
    for documents in pairs.values():
        for side, document in enumerate(documents):
            for key, value in _facts(document):
                found.setdefault(key, (set(), set()))[side].add(value)
    return [
        Difference(key=key, first=_joined(first), second=_joined(second))
        for key, (first, second) in found.items()
        if first != second and first and second
    ]


def without_record(pairs: Mapping[str, tuple[Mapping, Mapping]]) -> list[str]:
    """Return A, B or both: the folders of whose shared measurements none has a record that can be read.

    Args:
        pairs: As of `made_differently`.
    """
    return [
        name
        for side, name in enumerate("AB")
        if pairs and not any(_record(documents[side]) for documents in pairs.values())
    ]


def cautions(
    records: Sequence[Difference], settings: Sequence[Difference] | None, unread: Sequence[str] = ()
) -> list[str]:
    """Return what is to be kept in mind of every difference of figures, in sentences.

    Args:
        records: Of `made_differently`.
        settings: Of the configurations; None where they are not on record.
        unread: Of `without_record`.
    """
    recorded = {each.key for each in records}
    changed = [each.key for each in settings or ()]
    sentences = []
    if unread:
        sentences.append(
            f"What the figures of {' and '.join(unread)} rest on is not on record, or as an earlier version wrote it: whether "
            "seeds, videos, networks, device and code are the same is not known."
        )
    if "seed of the noise" in recorded:
        sentences.append(
            "The noise that videos were sampled from has other seeds: a pair shares its prompt, not its noise."
        )
    if recorded & {"videos", "real videos"}:
        sentences.append("Size, length, rate or coding of the videos differ, which moves figures by itself.")
    if clips := [key for key in changed if key.startswith(_CLIPS_BY)]:
        sentences.append(
            f"Clips, and with them prompts, were made otherwise ({', '.join(clips)}): those of one name need not be the same."
        )
    if sampled := [key for key in changed if key.startswith(_SAMPLED_BY)]:
        sentences.append(f"Videos were sampled otherwise ({', '.join(sampled)}).")
    if "device" in recorded:
        sentences.append("Figures were measured on different devices.")
    if recorded & {"code", "commit"}:
        sentences.append("Figures were measured by different versions of the code.")
    return sentences


def _record(document: Mapping) -> FigureRecord | None:
    """A document's record; None without one, and of an earlier version."""
    try:
        return FigureRecord.model_validate(document.get("provenance"))
    except ValidationError:
        return None


def _facts(document: Mapping) -> list[tuple[str, str]]:
    """(what, value) of a document's record."""
    record = _record(document)
    if record is None:
        return []
    facts: list[tuple[str, Any]] = [("seed of the intervals", seed) for seed in record.seeds.get("intervals", ())]
    for name, what in (("videos", "videos"), ("real", "real videos")):
        for each in record.videos.get(name, ()):
            made = each.model_dump(exclude={"seed"})
            facts += [(what, ", ".join(f"{key} {made[key]}" for key in sorted(made)))]
            facts += [("seed of the noise", each.seed)]
    for role, networks in record.networks.items():
        facts += [(f"network: {role}", f"{each.name} {(each.sha256 or '')[:12]}".strip()) for each in networks]
    facts += [("device", device) for device in {record.device, *(each.device for each in record.extraction)}]
    facts += [("commit", (record.commit or "")[:12]), ("code", record.package_sha256[:12])]
    facts += [(f"version of {name}", version) for name, version in record.versions.items()]
    return [
        (what, value if isinstance(value, str) else json.dumps(value))
        for what, value in facts
        if value not in (None, "")
    ]


def _other_weights(first: Mapping, second: Mapping) -> dict[str, str]:
    """Name of a network -> both digests, of those that have one name and different weights."""
    a, b = (
        {network.name: network.sha256 for networks in record.networks.values() for network in networks}
        if (record := _record(each))
        else {}
        for each in (first, second)
    )
    return {name: f"{a[name][:12]} and {b[name][:12]}" for name in a if a[name] and b.get(name) and a[name] != b[name]}


def _ids(document: Mapping, of: str) -> list[str] | None:
    found: Any = document.get("clips", {})
    return sorted(found[of]) if of in found else None


def _joined(values: set[str]) -> str:
    return "; ".join(sorted(values))
