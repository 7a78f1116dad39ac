"""Cuts one shard of clips from a folder of video files: frames, fps and size as configured, filtered, captioned."""

from __future__ import annotations

import argparse

from udpdiff import jobs
from udpdiff.sources.cutting import cut_shard
from udpdiff.storage.summaries import write_summary


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--job", required=True, type=jobs.CutVideos.parse)
    parser.add_argument("--folder", required=True, help="of the video files")
    parser.add_argument("--captions", help="a csv with the columns clip,caption, for a job with captions")
    parser.add_argument("--clips", required=True)
    parser.add_argument("--summary", required=True)
    arguments = parser.parse_args()

    cut_shard(arguments.job, arguments.folder, arguments.captions, arguments.clips)
    write_summary(arguments.clips, arguments.summary)


if __name__ == "__main__":
    main()
