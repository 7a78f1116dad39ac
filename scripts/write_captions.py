"""Writes brief and detailed captions of one shard, each with its origin and its length in tokens of the base model."""

from __future__ import annotations

import argparse
from functools import partial

from udpdiff import jobs
from udpdiff.gpu_memory import write_peak
from udpdiff.labelling.caption_cleaning import cut_to_tokens
from udpdiff.labelling.captions import caption_shard
from udpdiff.model.text import PromptLength


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--job", required=True, type=jobs.WriteCaptions.parse)
    parser.add_argument("--execution", required=True, type=jobs.Execution.parse)
    parser.add_argument("--clips", required=True)
    parser.add_argument("--captions", required=True)
    parser.add_argument("--timing", help="record of the GPU memory that it took")
    arguments = parser.parse_args()

    job = arguments.job
    length = PromptLength.from_pretrained(job.base, job.captions.max_tokens, job.named_tasks)
    cut = partial(cut_to_tokens, count_tokens=length.count, max_tokens=length.limit)
    caption_shard(job, arguments.execution, cut, arguments.clips, arguments.captions)
    if arguments.timing:
        write_peak(arguments.timing, arguments.execution.device)


if __name__ == "__main__":
    main()
