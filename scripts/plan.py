"""Prints what the configured scale costs: jobs, hours and disk per stage, each figure measured here, cited or counted."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from udpdiff.config_parsing import parse
from udpdiff.planning.plan import Plan
from udpdiff.workflow import Workflow


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", required=True, type=json.loads, help="json: the whole configuration")
    parser.add_argument("--results", required=True, type=Path)
    parser.add_argument("--benchmarks", required=True, type=Path)
    arguments = parser.parse_args()

    config = parse(arguments.config)
    unnamed = config.source.kind != "scenes" and config.source.path is None
    workflow = Workflow(config, missing="source.path: not named yet" if unnamed else None)
    print(f"\n{Plan(workflow, arguments.results, arguments.benchmarks).describe()}\n")


if __name__ == "__main__":
    main()
