"""Measures the configured training on this machine: seconds a step and peak memory by batch size, out of memory included.

Each batch size has a process of its own, on random latents of the configured size and the base's own weights. The plan uses
what is found. For a machine that is otherwise idle.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

from udpdiff import jobs
from udpdiff.default_device import default_device
from udpdiff.planning.counted_work import latent_shape
from udpdiff.planning.measured_memory import MeasuredStep, as_document, identity_of
from udpdiff.planning.parameters import base_parts
from udpdiff.provenance import provenance
from udpdiff.storage.sealed import write_record
from udpdiff.timing import device_name
from udpdiff.training.settings import TrainingSettings
from udpdiff.training.trial import OutOfMemory, try_steps


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--job", required=True, type=jobs.MeasureMemory.parse)
    parser.add_argument("--execution", required=True, type=jobs.Execution.parse)
    parser.add_argument("--steps", type=int, default=3, help="that are timed, after one that is not")
    parser.add_argument("--memory", type=Path, help="the json file to write")
    parser.add_argument("--only", type=int, help="measure this batch size in this process and print it as json")
    arguments = parser.parse_args()
    if arguments.only:
        print(json.dumps(asdict(measured(arguments.job, arguments.execution, arguments.only, arguments.steps))))
        return

    rows = []
    for batch in arguments.job.batches:
        rows.append(in_own_process(batch))
        print(rows[-1].describe(), flush=True)
        if rows[-1].failure:
            break  # more do not fit either
    made = provenance()
    document = {key: made[key] for key in ("commit", "dirty", "package_sha256", "versions", "hardware")}
    settings = settings_of(arguments.job, arguments.execution)
    write_record(arguments.memory, document | as_document(identity_of(settings, arguments.job.size), rows))


def settings_of(job: jobs.MeasureMemory, execution: jobs.Execution) -> TrainingSettings:
    """Return the settings of the run that is measured."""
    return TrainingSettings.from_job(job.train, execution.training[job.train.run])


def measured(job: jobs.MeasureMemory, execution: jobs.Execution, batch: int, steps: int) -> MeasuredStep:
    """Return what steps of one batch size take in this process."""
    device = execution.device or default_device()
    size = job.size.model_dump(include={"num_frames", "height", "width"})
    channels, *rest = latent_shape(base_parts(job.train.model.base), size)
    shape = (rest[0], channels, *rest[1:])
    try:
        trial = try_steps(settings_of(job, execution), shape, batch, steps, cpu=device == "cpu")
    except OutOfMemory:
        return MeasuredStep(batch, None, None, "out of memory", device_name(device))
    return MeasuredStep(batch, trial.seconds, trial.peak_bytes, None, device_name(device))


def in_own_process(batch: int) -> MeasuredStep:
    """Return the same of a new process, which may be killed for want of memory."""
    command = [sys.executable, "-m", "scripts.measure_memory", *sys.argv[1:], "--only", str(batch)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if done.returncode < 0:
        return MeasuredStep(batch, None, None, f"killed by signal {-done.returncode}, out of memory", "this machine")
    if done.returncode:
        raise SystemExit(done.returncode)  # its own message stands above
    return MeasuredStep(**json.loads(done.stdout.splitlines()[-1]))


if __name__ == "__main__":
    main()
