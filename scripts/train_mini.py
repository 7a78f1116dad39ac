"""Trains one stage of the mini checkpoints, by default with its steps and seed of `udpdiff.mini.stages`.

With the same steps, seed and folders to start from the result is the same; with --minutes it is as good as the machine is
fast.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from udpdiff.mini.stages import STAGES


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=STAGES, metavar="NAME", help=f"one of {', '.join(STAGES)}")
    parser.add_argument("--out", type=Path, required=True, help="folder of the checkpoint")
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--steps", type=int, help="optimizer steps")
    length.add_argument("--minutes", type=float, help="stop after this time instead of a number of steps")
    parser.add_argument("--seed", type=int)
    parser.add_argument("--start-from", type=Path, help="folder of the stage whose weights to go on from")
    parser.add_argument("--vae", type=Path, help="folder of the stage whose VAE makes the latents")
    parser.add_argument("--cache", type=Path, help="where rendered scenes are kept (default: the temporary folder)")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")
    parser.add_argument("--device", default="cpu", help="of the base's stages, which a GPU trains far faster")
    parser.add_argument(
        "--batch", type=int, help="clips a step of the base's stages; its root scales the learning rate"
    )
    arguments = parser.parse_args()

    import torch

    from udpdiff.mini.trainers import train_stage
    from udpdiff.mini.training import Options

    torch.set_num_threads(arguments.threads)
    stage = STAGES[arguments.name]
    options = Options(
        stage=arguments.name,
        out=arguments.out,
        steps=arguments.steps or (None if arguments.minutes else stage.steps),
        minutes=arguments.minutes,
        seed=stage.seed if arguments.seed is None else arguments.seed,
        start_from=arguments.start_from,
        vae=arguments.vae,
        cache=arguments.cache,
        device=arguments.device,
        batch=arguments.batch,
    )
    train_stage(options)


if __name__ == "__main__":
    main()
