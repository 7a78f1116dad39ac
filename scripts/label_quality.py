"""Measures the labels of the evaluation scenes, by every labeller, against their exact truth."""

from __future__ import annotations

import argparse
from pathlib import Path

from udpdiff import jobs
from udpdiff.figure_record import Basis, basis_of_labels, figure_record, networks_of
from udpdiff.metrics.caption_quality import compare_captions
from udpdiff.metrics.comparison import compare_labels
from udpdiff.metrics.evaluate import evaluate_labels
from udpdiff.metrics.records import REAL
from udpdiff.metrics.registry import CAPTIONS
from udpdiff.sources.scenes import COLORS, SHAPES
from udpdiff.storage.captions import read_captions
from udpdiff.storage.sealed import write_record


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
    labels = basis_of_labels([*arguments.truth, *arguments.entities, *arguments.depth], REAL)
    captioners = {row["detailed_source"] for row in read_captions(arguments.captions).values()}
    describers = [network for name in sorted(captioners) for network in networks_of({"captioner": name}).values()]
    captions = Basis(networks={"captioner": describers} if describers else {})
    record = figure_record(labels, captions, Basis(seeds={"intervals": [arguments.job.seed]}))
    write_record(arguments.quality, evaluate_labels(arguments.job, comparisons) | record)


if __name__ == "__main__":
    main()
