"""Encodes one stream of one shard with the VAE: videos, or colour encodings of labels."""

from __future__ import annotations

import argparse

from udpdiff import jobs
from udpdiff.model.encoding import encode_shard


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--job", required=True, type=jobs.EncodeLatents.parse)
    parser.add_argument("--execution", required=True, type=jobs.Execution.parse)
    parser.add_argument("--stream", required=True, help="video or TASK-COLORMAP-LABELLER")
    parser.add_argument("--source", required=True, help="the shard of clips or labels")
    parser.add_argument("--latents", required=True)
    parser.add_argument("--timing", help="json file: how fast it went")
    arguments = parser.parse_args()

    job, execution = arguments.job, arguments.execution
    encode_shard(job, execution, arguments.stream, arguments.source, arguments.latents, arguments.timing)


if __name__ == "__main__":
    main()
