"""Asks the hub for every checkpoint that the configuration names, and says at once which cannot be fetched, and why."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from udpdiff import jobs
from udpdiff.checkpoints import hub
from udpdiff.storage.files import write_json


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--job", required=True, type=jobs.CheckCheckpoints.parse)
    parser.add_argument("--checked", required=True, type=Path, help="json file: the references")
    arguments = parser.parse_args()

    faults = list(hub.faults(arguments.job.references))
    if faults:
        sys.exit(
            "\n".join(["These checkpoints of the configuration cannot be fetched:", *(f"  {line}" for line in faults)])
        )
    write_json(arguments.checked, {"references": list(arguments.job.references)})


if __name__ == "__main__":
    main()
