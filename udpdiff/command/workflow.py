"""`udpdiff workflow --path`: where the Snakefile is, for `snakemake --snakefile`."""

from __future__ import annotations

import argparse

from udpdiff.workflow_place import workflow_folder

_USE = """Run it in a folder of yours:
  snakemake --snakefile "$(udpdiff workflow --path)" --cores all
A profile is named by its folder, and files of yours go over config.yaml:
  snakemake --snakefile "$(udpdiff workflow --path)" --profile "$(udpdiff workflow --folder)/slurm" --configfile lab.yaml -- all"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.formatter_class, parser.epilog = argparse.RawDescriptionHelpFormatter, _USE
    shown = parser.add_mutually_exclusive_group(required=True)
    shown.add_argument("--path", action="store_true", help="print the path of the Snakefile")
    shown.add_argument("--folder", action="store_true", help="print the folder that it is in")


def run(arguments: argparse.Namespace) -> None:
    folder = workflow_folder()
    print(folder if arguments.folder else folder / "Snakefile")
