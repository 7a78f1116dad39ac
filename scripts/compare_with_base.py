"""Sets runs against the fine-tuned base: distances to real videos and the video's validation loss, under equal conditions."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from udpdiff import jobs
from udpdiff.figure_record import Basis, figure_record
from udpdiff.metrics.against_base import compare_with_base
from udpdiff.storage.sealed import check_folder, read_record, write_record
from udpdiff.training.log import read_log


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--job", required=True, type=jobs.CompareWithBase.parse)
    parser.add_argument(
        "--measured", required=True, nargs="+", type=Path, help="quality.json of all pairs and the base"
    )
    parser.add_argument("--runs", required=True, nargs="+", type=Path, help="folders of the runs")
    parser.add_argument("--quality", required=True, type=Path)
    arguments = parser.parse_args()

    logs = {}
    for folder in arguments.runs:
        check_folder(folder, ["train.jsonl"])
        logs[folder.name] = read_log(folder / "train.jsonl")
    found = [read_record(path) for path in arguments.measured]
    measured = {(each["run"], each["task"]): each for each in found}
    document = compare_with_base(arguments.job, measured, logs)
    for run, each in document["variants"]["runs"].items():
        if "video_loss" not in each["metrics"]:
            print(
                f"{run}: its video's validation loss is not comparable with that of {arguments.job.base}: their logs name"
                " no clip that both were validated on after as many steps. Logs of earlier versions name no clips.",
                file=sys.stderr,
            )
    record = figure_record(*map(Basis.of_document, found), measured=arguments.measured)
    write_record(arguments.quality, document | record)


if __name__ == "__main__":
    main()
