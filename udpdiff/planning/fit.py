"""Whether the jobs of a configuration fit the GPU that it names, said before any of them starts."""

from __future__ import annotations

from collections.abc import Iterator

from udpdiff.config.schema import Config
from udpdiff.planning.devices import find_device
from udpdiff.planning.job_memory import JobMemory, unfit


def faults(config: Config) -> Iterator[str]:
    """Yield one line per kind of job that does not fit: the key, the count, what to change. None without a named GPU."""
    if config.gpu is None:
        return
    try:
        device = find_device(config.gpu)
    except ValueError as error:
        yield str(error)
        return
    seen = set()
    for need, advice in unfit(JobMemory(config).needs(), device.usable_bytes):
        line = (
            f"needs {need.gpu.gb:.1f} GB on each GPU ({need.gpu.origin}: {need.gpu.basis}), and {config.gpu} leaves "
            f"{device.usable_bytes / 1e9:.1f} of its {device.memory_bytes / 1e9:.1f} GB; set {advice}; or name another gpu, of "
            "which null refuses nothing"
        )
        if line not in seen:  # eleven runs of one size are one fault
            seen.add(line)
            yield f"{need.key}: {need.stage} {line}"


def share_faults(config: Config) -> Iterator[str]:
    """Yield a line where processes and accumulated steps cannot share a batch."""
    for run in config.runs:
        recipe = config.run_training(run)
        share = config.gpus * recipe.gradient_accumulation_steps
        if recipe.batch_size % share:
            yield (
                f"training.batch_size: got {recipe.batch_size} for run {run}; with gpus {config.gpus} it must be a multiple "
                f"of {share}, the processes times gradient_accumulation_steps {recipe.gradient_accumulation_steps}"
            )
            return
