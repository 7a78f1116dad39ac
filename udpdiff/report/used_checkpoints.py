"""The checkpoints that a configuration names: where each comes from, its commit or checksums, its licence.

Reads the digests that ship with the package and the records of fetched checkpoints; loads nothing.
"""

from __future__ import annotations

from pydantic import Field

from udpdiff import checkpoints
from udpdiff.checkpoints import hub
from udpdiff.checkpoints.licences import licence_of
from udpdiff.config.layers import CHECKPOINTS, FILES, strings_at
from udpdiff.report.inputs import Inputs
from udpdiff.report.site import PageData
from udpdiff.storage.sealed import read_record


class UsedCheckpoint(PageData):
    keys: list[str] = Field(description="Of the configuration.")
    reference: str
    commit: str | None = Field(description="Of the hub, where it is on record.")
    files: dict[str, str] = Field(description="sha256 by file, of those whose checksum is known here.")
    licence: str


def used_checkpoints(inputs: Inputs) -> list[UsedCheckpoint]:
    """Return every checkpoint once, in the order of the configuration."""
    sections, keys = inputs.config.model_dump(), {}
    for pattern in (*CHECKPOINTS, *FILES):
        for _, _, reference, key in strings_at(sections, sections, pattern):
            if pattern in CHECKPOINTS or reference != "dis":  # which has no weights
                keys.setdefault(reference, []).append(key)
    return [
        UsedCheckpoint(
            keys=found,
            reference=reference,
            commit=_commit(inputs, reference),
            files=_files(reference),
            licence=licence_of(reference),
        )
        for reference, found in keys.items()
    ]


def _commit(inputs: Inputs, reference: str) -> str | None:
    path = inputs.path(f"results/checkpoints/{hub.record_name(reference)}.json")
    return read_record(path)["commit"] if hub.split(reference) and path.is_file() else None


def _files(reference: str) -> dict[str, str]:
    if "#" in reference:
        return {reference.partition("#")[0]: reference.partition("#")[2]}
    return checkpoints.shipped_digests(reference) if reference.startswith("mini:") else {}
