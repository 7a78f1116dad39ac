"""Prints what a scale costs before it runs: jobs, hours, money, memory, disk and downloads, each figure with its source.

python -m scripts.plan --preset paper --device a100-80g --gpus 8 --price-per-gpu-hour 2.0
"""

from __future__ import annotations

import argparse

from udpdiff.command import plan


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    plan.add_arguments(parser)
    plan.run(parser.parse_args())


if __name__ == "__main__":
    main()
