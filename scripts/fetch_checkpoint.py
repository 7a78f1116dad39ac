"""Brings what is read of one checkpoint from the hub into its cache, and records the commit that it has there."""

from __future__ import annotations

import argparse
from pathlib import Path

from udpdiff import jobs
from udpdiff.checkpoints import hub
from udpdiff.storage.sealed import write_record


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--job", required=True, type=jobs.FetchCheckpoint.parse)
    parser.add_argument("--record", required=True, type=Path)
    arguments = parser.parse_args()

    record = hub.fetch(arguments.job.reference, arguments.job.parts)
    print(f"{record['reference']}: {len(record['files'])} files of commit {record['commit']}")
    write_record(arguments.record, record)


if __name__ == "__main__":
    main()
