"""Measures the labels of the evaluation scenes, by every labelling variant, against their exact truth."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from udpdiff.metrics.bootstrap import bootstrap_difference, bootstrap_mean
from udpdiff.metrics.evaluate import entry
from udpdiff.metrics.label_figures import depth_figures, entity_figures
from udpdiff.progress import progress
from udpdiff.sources.ray_casting import FIRST_SOLID_ID
from udpdiff.storage.shards import ShardReader

KINDS = ("entities", "depth")
# A clip whose labels were refused is in no training set; it counts as refused, not as bad.
REFUSED = {"entities": "refused_share", "depth": "depth_refused_share"}

Shards = dict[tuple[str, str], list[Path]]  # (kind, variant) -> its shards, in the order of the truth's
Figures = dict[str, float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", required=True, type=json.loads, help="json: seed, metrics")
    parser.add_argument("--truth", required=True, nargs="+", type=Path)
    parser.add_argument("--entities", required=True, nargs="+", type=Path, help="VARIANT/evaluation/SHARD.h5, of each")
    parser.add_argument("--depth", required=True, nargs="+", type=Path, help="VARIANT/evaluation/SHARD.h5, of each")
    parser.add_argument("--quality", required=True, type=Path)
    arguments = parser.parse_args()

    told = arguments.settings
    shards = {
        (kind, variant): [path for path in paths if path.parts[-3] == variant]
        for kind, paths in (("entities", arguments.entities), ("depth", arguments.depth))
        for variant in dict.fromkeys(path.parts[-3] for path in paths)
    }
    clips, refused = measure(arguments.truth, shards)
    options = {"resamples": told["metrics"]["bootstrap_samples"], "seed": told["seed"]}
    variants: dict[str, dict] = {kind: {} for kind in KINDS}
    for kind, variant in shards:
        rows, reasons = clips[kind, variant], refused[kind, variant]
        values = columns(rows.values()) | {REFUSED[kind]: [0.0] * len(rows) + [1.0] * len(reasons)}
        metrics = {
            name: entry(bootstrap_mean(found, **options), "exact truth", found) for name, found in values.items()
        }
        judge = clips[kind, told["metrics"][f"judge_{kind}"]]
        gaps = {} if rows is judge else differences(rows, judge, options)
        variants[kind][variant] = {"metrics": metrics, "difference": gaps, "clips": rows, "refused": reasons}
    # The judges' figures stand at the top too: they are the ones that goals and README name.
    judges = (variants[kind][told["metrics"][f"judge_{kind}"]]["metrics"] for kind in KINDS)
    document = {"metrics": {name: metric for metrics in judges for name, metric in metrics.items()}}
    arguments.quality.write_text(json.dumps(document | {"variants": variants}, indent=1) + "\n")


def measure(truth_paths: list[Path], shards: Shards) -> tuple[dict, dict]:
    """Per (kind, variant): figures by clip id, and the reasons of the clips without labels; one clip at a time."""
    clips: dict[tuple[str, str], dict[str, Figures]] = {key: {} for key in shards}
    refused: dict[tuple[str, str], dict[str, str]] = {key: {} for key in shards}
    for index, truth_path in enumerate(truth_paths):
        with ExitStack() as stack:
            truth = stack.enter_context(ShardReader(truth_path))
            readers = {key: stack.enter_context(ShardReader(paths[index])) for key, paths in shards.items()}
            labelled = {key: set(reader.clip_ids) for key, reader in readers.items()}
            for key, reader in readers.items():
                refused[key] |= {listed["clip_id"]: listed["reason"] for listed in reader.rejected}
            for clip_id, exact in progress(truth.items(["entity_ids", "z", "flow"]), "label quality", len(truth)):
                for (kind, variant), reader in readers.items():
                    if clip_id in labelled[kind, variant]:
                        clips[kind, variant][clip_id] = figures(kind, reader, clip_id, exact)
    return clips, refused


def figures(kind: str, labels: ShardReader, clip_id: str, exact: dict[str, np.ndarray]) -> Figures:
    """Figures of one clip's labels against its truth."""
    if kind == "entities":
        return entity_figures(labels.read(clip_id, "entity_ids"), exact["entity_ids"], first_solid_id=FIRST_SOLID_ID)
    depth = labels.read(clip_id, "depth") / np.float32(65535)
    return depth_figures(depth, exact["z"], exact["flow"], exact["entity_ids"])


def differences(rows: dict[str, Figures], judge: dict[str, Figures], options: dict) -> dict[str, dict]:
    """Figures minus the judge's, over the clips that both have, with paired intervals."""
    pairs = [(row, judge[clip_id]) for clip_id, row in rows.items() if clip_id in judge]
    gaps = {}
    for name in dict.fromkeys(name for row, other in pairs for name in row if name in other):
        both = [(row[name], other[name]) for row, other in pairs if name in row and name in other]
        gaps[name] = entry(bootstrap_difference(*zip(*both, strict=True), **options), "exact truth")
    return gaps


def columns(rows: Iterable[Figures]) -> dict[str, list[float]]:
    """Figure -> its values over the clips that have it."""
    values: dict[str, list[float]] = {}
    for row in rows:
        for name, value in row.items():
            values.setdefault(name, []).append(value)
    return values


if __name__ == "__main__":
    main()
