"""The provenance record in every file of figures: code, device, networks, videos, clips and seeds behind its numbers.

Shards say what they were made with (`Made`, their attribute `behind`), files of figures join that of all that they were
taken from (`FigureRecord`). It stands in results alone, never in the settings of a job: another device, version or
commit reruns nothing. Knows no figure.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from udpdiff.checkpoints import weights_sha256
from udpdiff.checkpoints.hub import TOP
from udpdiff.files import file_sha256
from udpdiff.provenance import origin
from udpdiff.storage.shards import ShardReader
from udpdiff.timing import device_name

BEHIND = "behind"  # attribute of shards


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Network(_Record):
    name: str = Field(description="Its reference, without a path of this machine, and where it helps its class.")
    sha256: str | None = Field(description="Of its weights, of a plug-in its module; null of what has none.")


class Footage(_Record):
    """Frames, size and source of the videos behind a figure."""

    frames: int
    height: int
    width: int
    fps: float
    codec: str = Field(description="lossless, h264, or none for what was never stored.")
    seed: int | None = Field(None, description="Of the first video's noise; null of real ones.")


class Making(_Record):
    """Where numbers came from that were made by another job."""

    commit: str | None
    package_sha256: str
    versions: dict[str, str | None]
    device: str


class Made(_Record):
    """What a shard says of its making.

    Labels leave out who made them where: a shard is known by its content, and equal labels shall be equal shards.
    """

    networks: dict[str, Network] = Field(description="By role.")
    videos: Footage
    extraction: Making | None = None

    @classmethod
    def of(cls, clips: Mapping[str, Any], networks: Mapping[str, Network]) -> Made:
        """Return it of a shard that is made of a shard of clips with such attributes."""
        sampled = clips.get("job", {})
        seed = sampled["seed"] + sampled["first"] if "guidance_scale" in sampled else None
        size = {name: clips[name] for name in ("height", "width", "fps")}
        videos = Footage(frames=clips["num_frames"], **size, codec=sampled.get("codec", "h264"), seed=seed)
        return cls(networks=dict(networks), videos=videos)

    def on(self, device: str | None) -> Made:
        """Return it with the code and the device behind it; device: of the networks, None for a GPU where there is one."""
        made = {name: value for name, value in origin().items() if name != "dirty"}
        return self.model_copy(update={"extraction": Making(**made, device=device_name(device))})


class Basis(_Record):
    """What numbers rest on; every list has each entry once."""

    networks: dict[str, list[Network]] = Field(default={}, description="By role.")
    videos: dict[str, list[Footage]] = Field(default={}, description="Of generated videos, and of real ones.")
    clip_ids: dict[str, list[str]] = Field(default={}, description="By what they are: videos, real, compared, rounds.")
    seeds: dict[str, list[int]] = Field(default={}, description="By what they are for.")
    extraction: list[Making] = Field(default=[], description="Of numbers and shards that other jobs made.")
    shards: dict[str, list[dict]] = Field(default={}, description="How labels were made, by the folder of the shards.")

    @classmethod
    def of_shards(cls, made: Iterable[Mapping[str, Any] | None], videos: str, prefix: str = "") -> Basis:
        """Return the basis of shards that say what they were made with; None of those of an earlier version.

        Args:
            made: Their attribute `behind`.
            videos: What their videos are.
            prefix: Of the roles of their networks.
        """
        return joined(
            cls(
                networks={f"{prefix}{role}": [network] for role, network in found.networks.items()},
                videos={videos: [found.videos]},
                extraction=[found.extraction] if found.extraction else [],
            )
            for found in (Made.model_validate(each) for each in made if each)
        )

    @classmethod
    def of_document(cls, document: Mapping[str, Any]) -> Basis:
        """Return the basis of figures that are taken from a file of figures, by its content."""
        if "provenance" not in document:  # an earlier version's
            return cls()
        record = FigureRecord.model_validate(document["provenance"])
        own = Making(**record.model_dump(include=set(Making.model_fields)))
        return joined([cls(**{name: getattr(record, name) for name in cls.model_fields}), cls(extraction=[own])])


class FigureRecord(Basis):
    """The whole record. Of the code that wrote the file: commit, dirty (uncommitted changes), package_sha256, versions."""

    commit: str | None
    dirty: bool | None
    package_sha256: str
    versions: dict[str, str | None]
    device: str = Field(description="That the figures were computed on.")
    measured: dict[str, str] = Field(description="sha256 of each file of figures that was read.")


def joined(bases: Iterable[Basis]) -> Basis:
    """Return what numbers rest on that are taken from all of these."""
    found = list(bases)
    fields: dict[str, Any] = {"extraction": _each_once(entry for basis in found for entry in basis.extraction)}
    for name in Basis.model_fields.keys() - fields:
        names = dict.fromkeys(key for basis in found for key in getattr(basis, name))
        fields[name] = {
            key: _each_once(entry for basis in found for entry in getattr(basis, name).get(key, ())) for key in names
        }
    return Basis(**fields)


def basis_of_labels(paths: Sequence[str | Path], videos: str) -> Basis:
    """Return the basis of figures of shards of labels, FOLDER/LABELLER/SPLIT/NUMBER.h5; roles begin with the labeller.

    Args:
        paths: Of the shards; those of the truth too.
        videos: What their videos are.
    """
    found = []
    for path in map(Path, paths):
        shard = ShardReader(path)
        attributes = {name: value for name, value in shard.attrs.items() if name != BEHIND}
        found.append(Basis.of_shards([shard.attrs.get(BEHIND)], videos, prefix=f"{path.parts[-3]} "))
        found.append(Basis(shards={"/".join(path.parts[-4:-1]): [attributes]}, clip_ids={videos: shard.clip_ids}))
    return joined(found)


def figure_record(*bases: Basis, device: str | None = "cpu", measured: Sequence[str | Path] = ()) -> dict[str, Any]:
    """Return `{"provenance": record}`, json-able, for a file of figures.

    Args:
        bases: Of its numbers.
        device: That they were computed on; None for a GPU where there is one.
        measured: Files of figures that it was made of.
    """
    files = {Path(path).as_posix(): file_sha256(path) for path in measured}
    basis = {name: getattr(joined(bases), name) for name in Basis.model_fields}
    record = FigureRecord(**origin(), **basis, device=device_name(device), measured=files)
    return {"provenance": record.model_dump(mode="json")}


def networks_of(references: Mapping[str, str | None], parts: Mapping[str, Sequence[str]] = {}) -> dict[str, Network]:
    """Return the networks behind references to checkpoints, by role; no entry for None.

    Args:
        references: By role.
        parts: What is read of a repository of the hub, of roles that do not read its top.
    """
    return {
        role: Network(name=_shown(ref), sha256=weights_sha256(ref, parts.get(role, TOP)))
        for role, ref in references.items()
        if ref
    }


def _shown(ref: str) -> str:
    return Path(ref).name if Path(ref).exists() else ref


def _each_once(entries: Iterable[Any]) -> list:
    return list({_key(entry): entry for entry in entries}.values())


def _key(entry: Any) -> str:
    return json.dumps(entry.model_dump(mode="json") if isinstance(entry, BaseModel) else entry, sort_keys=True)
