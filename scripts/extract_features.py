"""Extracts features and per-clip figures of the videos of one shard: generated ones, or real ones as their reference."""

from __future__ import annotations

import argparse
from pathlib import Path

from udpdiff import jobs
from udpdiff.default_device import default_device
from udpdiff.gpu_memory import write_peak
from udpdiff.metrics.feature_shards import extract_features


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--job", required=True, type=jobs.ExtractFeatures.parse)
    parser.add_argument("--execution", required=True, type=jobs.Execution.parse)
    parser.add_argument("--clips", required=True, type=Path)
    parser.add_argument("--features", required=True, type=Path)
    parser.add_argument("--timing", help="record of the GPU memory that it took")
    arguments = parser.parse_args()

    device = arguments.execution.device or default_device()
    extract_features(arguments.clips, arguments.features, arguments.job, device)
    if arguments.timing:
        write_peak(arguments.timing, device)


if __name__ == "__main__":
    main()
