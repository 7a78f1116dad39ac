"""Trains the mini feature extractors of the metrics on procedural scenes.

    python -m udpdiff.checkpoints.train_features --which subject_encoder --out FOLDER --steps 2000

The image and video encoders start from the subject encoder, so train that first (`--subject FOLDER`). `--start FOLDER`
goes on from an earlier state. With the same steps, seed, start and number of scenes the result is the same.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

import numpy as np

from udpdiff.checkpoints.budget import Budget, TrainingLog, add_budget_arguments
from udpdiff.checkpoints.card import write_card
from udpdiff.storage.folders import replace_folder

SAVE_EVERY_SECONDS, LOG_EVERY_STEPS, WARMUP_STEPS = 180, 10, 40
BATCH_SIZE = {"subject_encoder": 32, "image_encoder": 48, "video_encoder": 16}
LEARNING_RATE = {"subject_encoder": 1.5e-3, "image_encoder": 1e-3, "video_encoder": 1e-3}


def main(arguments: list[str] | None = None) -> None:
    import torch

    from udpdiff.checkpoints import feature_scenes
    from udpdiff.checkpoints.feature_models import LEARNERS

    options = _parse(arguments, sorted(LEARNERS))
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    learner = LEARNERS[options.which]()
    if options.start:
        learner.continue_from(options.start)
    elif options.which != "subject_encoder":
        learner.start_from(options.subject or options.out.with_name("subject_encoder"))
    held_out = feature_scenes.load_scenes(options.held_out, feature_scenes.FIRST_HELD_OUT_SEED, options.cache)
    scenes = feature_scenes.load_scenes(options.scenes, feature_scenes.FIRST_TRAINING_SEED, options.cache)
    train(learner, scenes, held_out, options)


def train(learner, scenes, held_out, options) -> None:
    """Run the loop; the checkpoint is put in place with its card every few minutes and at the end."""
    import torch

    from udpdiff.checkpoints.labeller_training import by_optimizer
    from udpdiff.training.muon import MuonAdam

    rng = np.random.default_rng([options.seed, 7])
    peak = options.learning_rate or LEARNING_RATE[options.which]
    optimizer = MuonAdam(*by_optimizer(learner), lr=peak, weight_decay=0.02)
    budget, log = Budget(options.steps, options.minutes), TrainingLog(_log_path(options.out))
    next_save, losses = SAVE_EVERY_SECONDS, []
    learner.train()
    while budget.progress < 1:
        for group in optimizer.param_groups:
            group["lr"] = budget.learning_rate(peak, WARMUP_STEPS, floor=0.03)
        chosen = rng.choice(len(scenes.video), BATCH_SIZE[options.which], replace=False)
        loss = learner.loss(scenes, chosen, rng)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(learner.parameters(), 1.0)
        optimizer.step()
        budget.step += 1
        losses.append(loss.item())
        if budget.step % LOG_EVERY_STEPS == 0:
            log.add(step=budget.step, loss=sum(losses) / len(losses), seconds=budget.elapsed_seconds)
            losses.clear()
        if budget.elapsed_seconds > next_save:
            _save(learner, held_out, options, budget, log)
            next_save = budget.elapsed_seconds + SAVE_EVERY_SECONDS
    _save(learner, held_out, options, budget, log)
    log.path.unlink()


def _save(learner, held_out, options, budget: Budget, log: TrainingLog) -> None:
    learner.eval()
    quality = {name: round(value, 4) for name, value in learner.evaluate(held_out).items()}
    learner.train()
    log.add(step=budget.step, seconds=budget.elapsed_seconds, **quality)
    print(json.dumps(log.rows[-1]), flush=True)

    with replace_folder(options.out) as folder:
        learner.save(folder)
        shutil.copy(log.path, folder / "training.jsonl")
        write_card(folder, options.which, steps=budget.step, seed=options.seed, quality=quality, **_card(options, log))


def _card(options, log: TrainingLog) -> dict:
    """Data and loss curve of the card; an earlier state is told of in the data."""
    from udpdiff.checkpoints.feature_scenes import FIRST_HELD_OUT_SEED, FIRST_TRAINING_SEED, SETTINGS

    start = "from random weights" if options.which == "subject_encoder" else "from the subject encoder's weights"
    if options.start:
        earlier = json.loads((options.start / "training.json").read_text())
        start = f"from its earlier state of {earlier['steps']} steps ({earlier['data']})"
    data = (
        f"{options.scenes} rendered scenes, seeds from {FIRST_TRAINING_SEED}, {SETTINGS}; {start}; held out: "
        f"{options.held_out} scenes, seeds from {FIRST_HELD_OUT_SEED}"
    )
    return {"data": data, "curve": [(row["step"], row["loss"]) for row in log.rows if "loss" in row]}


def _log_path(out: Path) -> Path:
    """Where the log grows: beside the folder, which is replaced as a whole; each save copies it inside, and the
    end removes it."""
    return out.with_name(f".{out.name}.training.jsonl")


def _parse(arguments, names) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_budget_arguments(parser)
    parser.add_argument("--which", choices=names, required=True)
    parser.add_argument("--subject", type=Path, help="folder of the subject encoder (default: beside --out)")
    parser.add_argument("--start", type=Path, help="folder of an earlier state of the same checkpoint to go on from")
    parser.add_argument("--learning-rate", type=float, help="peak (default: one per checkpoint)")
    parser.add_argument("--scenes", type=int, default=2000)
    parser.add_argument("--held-out", type=int, default=256)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
