"""What the default run took where it was last measured from a fresh clone: docs/quality.json, its figures `cost.*`."""

from __future__ import annotations

CORES, PROCESSOR = 2, "AMD EPYC"
SECONDS = 2050.2
PEAK_GB = 2.463  # of all jobs that ran at once
TRAIN_SECONDS = 2106.2  # of all trainings, each on one core
TRAIN_SAMPLES = 31_680  # that they saw: 11 of 360 steps of 8


def core_hours(samples: int) -> float:
    """Return the hours that one such core trains mini models for, by the samples that they see."""
    return samples * TRAIN_SECONDS / TRAIN_SAMPLES / 3600
