"""The command `udpdiff`: a module for each word that may follow it, none of which is loaded before it is asked for."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module

import udpdiff
from udpdiff.quiet_libraries import leave_out_hints
from udpdiff.readable_errors import install

# What each does, in its module: `add_arguments(parser)` and `run(arguments)`.
COMMANDS = {
    "generate": "a video with its depth or entities, from one prompt",
    "label": "entities and depth of a video file",
    "export": "a trained run as a small folder to hand on, with its card",
    "compare": "what differs between two result folders",
    "plan": "what a scale of the workflow costs before it runs",
    "workflow": "where the Snakemake workflow lies",
}


def main(words: Sequence[str] | None = None) -> None:
    """Run the command with these words, by default those of the command line."""
    words = list(sys.argv[1:] if words is None else words) or ["--help"]
    leave_out_hints()
    parser = argparse.ArgumentParser(
        prog="udpdiff",
        description="Video generated together with its dense prediction (UDPDiff, CVPR 2025).",
        epilog="udpdiff COMMAND --help says more.",
    )
    parser.add_argument("--version", action="version", version=f"udpdiff {udpdiff.__version__}")
    debug = {"action": "store_true", "help": "show the traceback of every error"}
    parser.add_argument("--debug", **debug)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    named = next((word for word in words if not word.startswith("-")), None)
    for name, does in COMMANDS.items():
        command = commands.add_parser(name, help=does, description=f"{does[0].upper()}{does[1:]}.")
        if name == named:  # the others are only listed
            import_module(f"{__name__}.{name}").add_arguments(command)
            command.add_argument("--debug", default=argparse.SUPPRESS, **debug)  # after the command too
    arguments, unknown = parser.parse_known_args(words)
    if unknown:
        parser.error(f"unrecognized arguments: {' '.join(unknown)}{_quotes(unknown)}")
    install(beneath=False, tracebacks=arguments.debug)
    import_module(f"{__name__}.{arguments.command}").run(arguments)


def _quotes(unknown: Sequence[str]) -> str:
    """A hint for who typed a text of several words as it is; nothing where only options are unknown."""
    loose = not unknown[0].startswith("-")
    return '; a text with spaces in it stands in quotes, such as "a red ball on a grey floor"' if loose else ""
