"""Processor time in place of the clock's, for a CPU that others use too."""

from __future__ import annotations

import argparse
import time

_OPTION = "--processor-time"


def add_option(parser: argparse.ArgumentParser) -> None:
    """Let the command take `--processor-time`, which holds for all timings of the process from then on."""
    parser.add_argument(
        _OPTION,
        action=_Choose,
        nargs=0,
        default=False,
        help="count seconds of the processor, for a CPU that others use too; of no use on a GPU",
    )


class _Choose(argparse.Action):
    def __call__(self, parser, namespace, values, option_string=None) -> None:
        # Everything here and in the package reads this one function when it times; a switch of its own in
        # `udpdiff.timing` would serve nobody else.
        time.perf_counter = time.process_time
        setattr(namespace, self.dest, True)
