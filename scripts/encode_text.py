"""Encodes the captions of one shard with the base checkpoint's T5, plain or with a task named in the prompt."""

from __future__ import annotations

import argparse

from udpdiff import jobs
from udpdiff.gpu_memory import write_peak
from udpdiff.model.text import encode_captions
from udpdiff.quiet_libraries import leave_out_loading_bars


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--job", required=True, type=jobs.EncodeText.parse)
    parser.add_argument("--execution", required=True, type=jobs.Execution.parse)
    parser.add_argument("--captions", required=True)
    parser.add_argument("--text", required=True)
    parser.add_argument("--timing", help="record of the GPU memory that it took")
    arguments = parser.parse_args()

    leave_out_loading_bars()
    job, execution = arguments.job, arguments.execution
    encode_captions(job, execution, arguments.captions, arguments.text)
    if arguments.timing:
        write_peak(arguments.timing, arguments.execution.device)


if __name__ == "__main__":
    main()
