"""Downloads one shard of chosen Panda-70M clips, cuts them as configured, and tops up from the reserve for those lost.

Exit code 69: the site or network failed for now and clips are missing; what is finished is kept, so start again later.
Exit code 1: this machine or its way of fetching brings nothing, and says why; what is finished is kept too.
"""

from __future__ import annotations

import argparse
import os
import sys

from udpdiff import jobs
from udpdiff.sources.downloading import StartAgainLater, download_shard
from udpdiff.storage.summaries import write_summary

LATER = os.EX_UNAVAILABLE  # not the code of a job that was stopped, which SLURM starts again at once


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--job", required=True, type=jobs.DownloadClips.parse)
    parser.add_argument("--execution", required=True, type=jobs.Execution.parse)
    parser.add_argument("--chosen", required=True)
    parser.add_argument("--clips", required=True)
    parser.add_argument("--summary", required=True)
    arguments = parser.parse_args()

    try:
        download_shard(arguments.job, arguments.execution.fetching, arguments.chosen, arguments.clips)
    except StartAgainLater as error:
        print(error, file=sys.stderr)
        sys.exit(LATER)
    write_summary(arguments.clips, arguments.summary)


if __name__ == "__main__":
    main()
