"""How many bytes the results of a configuration take, stage by stage and at the peak, and what goes again on the way.

Bytes of shards that are there come before these counts, see `plan`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from udpdiff.config.schema import Config
from udpdiff.planning.training_memory import TrainingCase, optimizer_bytes

# Bytes a pixel. H.264 at high quality; lossless; entity ids under gzip, 0.63 MB a clip of 49 x 480 x 720 with 40 ragged
# entities; depth by its bits, half way between the 2.4 and 3.7 MB in 8 and the 22 and 26 in 16 of storage/coarse_values.py.
_H264, _LOSSLESS, _ENTITIES = 0.118, 1.2, 0.038
_DEPTH = {8: 0.18, 10: 0.38, 12: 0.7, 16: 1.41}
_CAPTION_BYTES = 1500
# A checkpoint is written beside the one before and the one that must stay until it is whole.
_CHECKPOINTS_AT_ONCE = 3


@dataclass(frozen=True)
class Disk:
    """Bytes at the peak, and the part of the whole that is not there then.

    Attributes:
        peak: While the largest run's own files are there, and the checkpoints of one training.
        freed: Bytes that pass: of latents and labels made and removed run by run, of optimizer states in checkpoints.
        another: Bytes that each further training at the same time adds, as a cluster does them; 0 where there is none.
    """

    peak: float
    freed: float
    another: float = 0.0


def pixels(size: Mapping[str, int]) -> int:
    """Return the pixels of all frames of a clip."""
    return size["num_frames"] * size["height"] * size["width"]


def clip_bytes(config: Config, size: Mapping[str, int]) -> float:
    """Return the bytes of a clip of the data set."""
    return (_LOSSLESS if config.source.kind == "scenes" else _H264) * pixels(size) + _CAPTION_BYTES


def label_bytes(config: Config, kind: str, size: Mapping[str, int]) -> float:
    """Return the bytes of a clip's labels, entities or depth."""
    return pixels(size) * (_ENTITIES if kind == "entities" else _DEPTH[config.storage.depth_bits])


def sample_bytes(config: Config, kind: str | None, size: Mapping[str, int]) -> float:
    """Return the bytes of a generated video, and of its dense stream and prediction unless kind is None."""
    video = (_LOSSLESS if config.sampling.codec == "lossless" else _H264) * pixels(size)
    return video if kind is None else 2 * video + label_bytes(config, kind, size)


def caption_bytes() -> float:
    """Return the bytes of a clip's captions."""
    return _CAPTION_BYTES


def run_bytes(case: TrainingCase, whole_pipeline: float) -> float:
    """Return the bytes that a finished run keeps: its trained weights, and the exported model.

    Args:
        whole_pipeline: Bytes of the networks that are exported beside the transformer.
    """
    return 4 * case.trained + 4 * case.weights + whole_pipeline


def checkpoint_bytes(case: TrainingCase) -> float:
    """Return the bytes of the checkpoints of one training at work."""
    average = 4 * case.trained if case.average else 0
    return _CHECKPOINTS_AT_ONCE * (4 * case.trained + average + optimizer_bytes(case))


def peak_disk(staying: float, passing: Mapping[str, Mapping[str, float]], training: float, trainings: int = 1) -> Disk:
    """Return the peak of results of which some pass.

    Args:
        staying: Bytes of all that stays.
        passing: Run -> stage (latents/STREAM, KIND/LABELLER) -> bytes of what goes after its training; one run's are there at
            a time.
        training: Bytes of checkpoints while a training is at work.
        trainings: How many there are in all.
    """
    largest = max(map(_in_turn, passing.values()), default=0.0)
    freed = sum(size for stages in passing.values() for size in stages.values())
    return Disk(staying + largest + training, freed + training, training if trainings > 1 else 0.0)


def _in_turn(stages: Mapping[str, float]) -> float:
    """Bytes of one run's own files at most: a shard of labels goes once its latents are there, so the larger of both counts."""
    labels = {stage.split("/")[1]: size for stage, size in stages.items() if not stage.startswith("latents/")}
    latents = {stage: size for stage, size in stages.items() if stage.startswith("latents/")}
    return sum(max(size, labels.get(stage.split("-")[-1], 0.0)) for stage, size in latents.items())
