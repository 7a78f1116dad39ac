"""What `measure_memory` found on the machine at hand, and which training it speaks of."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from udpdiff.config.data import ClipSize
from udpdiff.config.schema import Config, Training
from udpdiff.planning.figures import Memory
from udpdiff.planning.job_memory import Need
from udpdiff.planning.speeds import Speed
from udpdiff.storage.sealed import read_record
from udpdiff.timing import Throughput

if TYPE_CHECKING:
    from udpdiff.training.settings import TrainingSettings

_DECIDING = ("optimizer", "lora_rank", "mixed_precision", "gradient_checkpointing", "offload_optimizer", "compile")


@dataclass(frozen=True)
class MeasuredStep:
    """Optimizer steps of one batch size in one process.

    Attributes:
        batch: Samples.
        seconds: Of one step, the median; None where it failed.
        peak_bytes: On the GPU; without one, resident memory of the process. None where it failed.
        failure: In words, such as "out of memory"; None where it did not fail.
        device: In words.
    """

    batch: int
    seconds: float | None
    peak_bytes: float | None
    failure: str | None
    device: str

    def speed(self) -> Speed:
        """Return samples per hour of one GPU."""
        basis = f"steps of {self.batch} on {self.device} took {self.seconds:.3g} s, in one process"
        return Speed(3600 * self.batch / self.seconds, "measured", basis)

    def memory(self, text_encoder: float = 0) -> Memory:
        """Return the peak of the process, and of so many bytes of a text encoder beside it, which steps were tried without."""
        beside = f", and T5 {text_encoder / 1e9:.1f} GB, counted" if text_encoder else ""
        basis = f"steps of {self.batch} on {self.device}, in one process{beside}"
        return Memory(self.peak_bytes + text_encoder, "measured", basis)

    def describe(self) -> str:
        """Return one line for people."""
        if self.failure:
            return f"batch {self.batch}: {self.failure}, {self.device}"
        return f"batch {self.batch}: {self.seconds:.3g} s a step, peak {self.peak_bytes / 1e9:.2f} GB, {self.device}"


def identity_of(settings: TrainingSettings, size: ClipSize) -> dict[str, Any]:
    """Return what decides memory and time of a step, beside the number of samples."""
    return _identity(settings.base, size, settings)


def _identity(base: str, size: ClipSize, recipe: TrainingSettings | Training) -> dict[str, Any]:
    lengths = size.model_dump(include={"num_frames", "height", "width"})
    return {"base": base, "size": lengths} | {name: getattr(recipe, name) for name in _DECIDING}


def with_measured(need: Need, found: Throughput) -> Need:
    """Return what a kind of job needs, as finished ones did: on the GPU where they used one, and on the host."""
    basis = f"the largest of finished jobs on {found.device}"
    gpu = Memory(1e9 * found.peak_gpu_gb, "measured", basis) if found.peak_gpu_gb is not None else need.gpu
    return replace(need, gpu=gpu, host=Memory(1e9 * found.peak_rss_gb, "measured", basis))


def as_document(identity: dict[str, Any], steps: list[MeasuredStep]) -> dict[str, Any]:
    """Return what is written, as json-able data."""
    return {"training": identity, "steps": [asdict(step) for step in steps]}


def matching_step(path: str | Path, config: Config, recipe: Training, batch: int) -> MeasuredStep | None:
    """Return the measurement of a process of the configured training; None without one, and for one in shards."""
    path = Path(path)
    if not path.exists() or (recipe.sharding == "full" and config.gpus > 1):
        return None
    document = read_record(path)
    if document["training"] != _identity(config.model.base, config.clip_size(), recipe):
        return None
    steps = [MeasuredStep(**step) for step in document["steps"]]
    return next((step for step in steps if step.batch == batch and not step.failure), None)
