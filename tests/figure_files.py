"""What every file of figures must say of itself, asked of each in the same words."""

from __future__ import annotations

import json
from pathlib import Path

from udpdiff.figure_record import FigureRecord
from udpdiff.provenance import package_digest

WEIGHTLESS = ("DIS (OpenCV, medium)", "frame average")


def check_record(path: Path, *, weights: bool = True) -> FigureRecord:
    """Ask a file for its record, whole, and return it; weights: whether its networks have digests, which stubs have not."""
    told = FigureRecord.model_validate(json.loads(path.read_text())["provenance"])
    assert told.versions["torch"] and told.package_sha256 == package_digest() and told.device, path
    networks = [(role, network) for role, found in told.networks.items() for network in found]
    assert networks, f"{path}: no network"
    for role, network in networks:
        digest = network.sha256 or ""
        assert len(digest) == 64 or not weights or network.name in WEIGHTLESS, f"{path}: {role}, {network}"
    for part in ("videos", "clip_ids", "seeds"):
        found = getattr(told, part)
        assert found and all(found.values()), f"{path}: {part}"
    for footage in (each for found in told.videos.values() for each in found):
        assert min(footage.frames, footage.height, footage.width, footage.fps) > 0, path
        assert footage.codec in ("h264", "lossless", "none"), path
    return told
