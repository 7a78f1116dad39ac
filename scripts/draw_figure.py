"""Draws one of the paper's figures 3 to 5 of this run's samples: six-frame strips, the base above UDPDiff."""

from __future__ import annotations

import argparse

from udpdiff.report.paper_figures import draw_figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", required=True, help="samples of the fine-tuned base, the first shard")
    parser.add_argument("--clips", required=True, nargs="+", help="samples of the run, the first shard of each task")
    parser.add_argument("--predictions", required=True, nargs="+", help="what came with them")
    parser.add_argument("--prompts", required=True, type=int, help="the first so many of the evaluation split")
    parser.add_argument("--figure", required=True)
    parser.add_argument("--caption", required=True, help="text beside it: run, rule and prompts")
    arguments = parser.parse_args()
    draw_figure(**vars(arguments))


if __name__ == "__main__":
    main()
