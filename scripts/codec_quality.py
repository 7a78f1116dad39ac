"""Measures what the representations lose by themselves, and what the VAE loses on top, on the evaluation labels."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from udpdiff import jobs
from udpdiff.checkpoints import local_folder, weights_sha256
from udpdiff.checkpoints.hub import BASE
from udpdiff.figure_record import Basis, Network, basis_of_labels, figure_record
from udpdiff.finite import dtype_key
from udpdiff.metrics.codec_curves import measure_curves
from udpdiff.metrics.comparison import compare_round_trips
from udpdiff.metrics.evaluate import evaluate_round_trips
from udpdiff.metrics.records import REAL
from udpdiff.model.latents import decode_latents, encode_videos
from udpdiff.model.loading import load_vae
from udpdiff.storage.sealed import write_record


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--job", required=True, type=jobs.CodecQuality.parse)
    parser.add_argument("--execution", required=True, type=jobs.Execution.parse)
    parser.add_argument("--entities", required=True, nargs="+", type=Path)
    parser.add_argument("--depth", required=True, nargs="+", type=Path)
    parser.add_argument("--quality", required=True, type=Path)
    arguments = parser.parse_args()

    job = arguments.job
    vae = load_vae(job.base, arguments.execution.device, job.dtype)

    def through_vae(colormaps: np.ndarray) -> np.ndarray:
        with dtype_key("encoding.vae_dtype"):
            return decode_latents(vae, encode_videos(vae, colormaps))

    labels = {"entities": arguments.entities, "depth": arguments.depth}
    values = compare_round_trips(
        labels, job.tasks, through_vae, batch_clips=job.batch_clips, max_clips=job.max_clips, seed=job.seed
    )
    curves = measure_curves(
        labels,
        job.tasks,
        through_vae,
        batch_clips=job.batch_clips,
        max_clips=job.max_clips,
        seed=job.seed,
        bootstrap_samples=job.bootstrap_samples,
    )
    vae = Network(name=job.base, sha256=weights_sha256(f"{local_folder(job.base, BASE)}/vae"))
    basis = Basis(networks={"vae": [vae]}, seeds={"colours and intervals": [job.seed]})
    record = figure_record(
        basis, basis_of_labels([*arguments.entities, *arguments.depth], REAL), device=arguments.execution.device
    )
    write_record(arguments.quality, evaluate_round_trips(job, values) | {"curves": curves} | record)


if __name__ == "__main__":
    main()
