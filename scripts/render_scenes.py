"""Renders one shard of procedural scenes to mp4 clips, and their exact truth to a shard of its own."""

from __future__ import annotations

import argparse

from udpdiff import jobs
from udpdiff.sources.rendering import render_shard
from udpdiff.storage.summaries import write_summary


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--job", required=True, type=jobs.RenderScenes.parse)
    parser.add_argument("--clips", required=True)
    parser.add_argument("--truth", required=True)
    parser.add_argument("--summary", required=True)
    arguments = parser.parse_args()

    render_shard(arguments.job, arguments.clips, arguments.truth)
    write_summary(arguments.clips, arguments.summary)


if __name__ == "__main__":
    main()
