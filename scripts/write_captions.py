"""Writes brief and detailed captions of one shard, each with its origin.

A source that has no detailed caption gets its brief one twice, and the origin says so.
"""

from __future__ import annotations

import argparse

from udpdiff.storage.captions import write_captions
from udpdiff.storage.shards import ShardReader


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", required=True)
    parser.add_argument("--captions", required=True)
    arguments = parser.parse_args()

    rows = []
    with ShardReader(arguments.clips) as clips:
        origin = clips.attrs["source"]
        for clip_id, texts in clips.items(["brief", "detailed"]):
            detailed = texts["detailed"] or texts["brief"]
            rows.append(
                {
                    "clip_id": clip_id,
                    "brief": texts["brief"],
                    "detailed": detailed,
                    "brief_source": origin,
                    "detailed_source": origin if texts["detailed"] else "brief caption",
                }
            )
    write_captions(arguments.captions, rows)


if __name__ == "__main__":
    main()
