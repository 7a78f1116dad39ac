"""Measures the labels of the evaluation scenes, by every labeller, against their exact truth."""

from __future__ import annotations

import argparse
from pathlib import Path

from udpdiff import jobs
from udpdiff.metrics.caption_quality import compare_captions
from udpdiff.metrics.comparison import compare_labels
from udpdiff.metrics.evaluate import evaluate_labels
from udpdiff.metrics.registry import CAPTIONS
from udpdiff.provenance import behind_figures
from udpdiff.sources.scenes import COLORS, SHAPES
from udpdiff.storage.sealed import write_record
from udpdiff.storage.shards import said_of_shards


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--job", required=True, type=jobs.LabelQuality.parse)
    parser.add_argument("--truth", required=True, nargs="+", type=Path)
    parser.add_argument("--entities", required=True, nargs="+", type=Path, help="LABELLER/SPLIT/SHARD.h5, of each")
    parser.add_argument("--depth", required=True, nargs="+", type=Path, help="LABELLER/SPLIT/SHARD.h5, of each")
    parser.add_argument("--captions", nargs="*", default=[], type=Path, help="tables of a captioner, of each shard")
    parser.add_argument("--quality", required=True, type=Path)
    arguments = parser.parse_args()

    labels = {"entities": arguments.entities, "depth": arguments.depth}
    comparisons = compare_labels(arguments.truth, labels, arguments.job.tasks)
    if arguments.captions:
        comparisons[CAPTIONS] = compare_captions(arguments.truth, arguments.captions, SHAPES, list(COLORS))
    shards = said_of_shards([*arguments.truth, *arguments.entities, *arguments.depth])
    behind = behind_figures(seeds={"intervals": arguments.job.seed}, shards=shards, device="cpu")
    write_record(arguments.quality, evaluate_labels(arguments.job, comparisons) | behind)


if __name__ == "__main__":
    main()
