"""Sets runs against the fine-tuned base: distances to real videos and the video's validation loss, under equal conditions."""

from __future__ import annotations

import argparse
from pathlib import Path

from udpdiff import jobs
from udpdiff.metrics.against_base import compare_with_base
from udpdiff.metrics.feature_shards import read_features
from udpdiff.storage.sealed import check_folder, write_record
from udpdiff.training.log import read_log


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--job", required=True, type=jobs.CompareWithBase.parse)
    parser.add_argument("--features", required=True, nargs="+", type=Path, help="RUN/TASK/SHARD.h5 of all pairs")
    parser.add_argument("--reference", required=True, nargs="+", type=Path, help="features of real videos")
    parser.add_argument("--runs", required=True, nargs="+", type=Path, help="folders of the runs")
    parser.add_argument("--quality", required=True, type=Path)
    arguments = parser.parse_args()

    shards: dict[tuple[str, str], list[Path]] = {}
    for path in arguments.features:
        shards.setdefault(path.parts[-3:-1], []).append(path)
    logs = {}
    for folder in arguments.runs:
        check_folder(folder, ["train.jsonl"])
        logs[folder.name] = read_log(folder / "train.jsonl")
    features = {pair: read_features(paths) for pair, paths in shards.items()}
    document = compare_with_base(arguments.job, features, read_features(arguments.reference), logs)
    write_record(arguments.quality, document)


if __name__ == "__main__":
    main()
