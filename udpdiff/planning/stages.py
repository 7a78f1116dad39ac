"""One stage of a plan: its jobs, and what is known of its speed, memory and disk."""

from __future__ import annotations

from dataclasses import dataclass

from udpdiff.planning.figures import Memory
from udpdiff.planning.speeds import Speed


@dataclass(frozen=True)
class StagePlan:
    """How many jobs, over how many clips (all jobs together), and what each costs.

    Attributes:
        on_gpu: Whether its jobs load a network.
        processes: GPUs of one job.
        bytes_per_clip: On disk; None where not known.
        bytes_measured: Whether they are those of shards that are there.
        bytes_fixed: On disk, beside those of clips.
        run: Whose training removes what the stage makes; None where it stays.
        gpu: Peak of one process; None where not known.
        host: Likewise.
        start_seconds: What every job takes beside its clips, where the speed leaves it out.
    """

    stage: str
    jobs: int
    clips: int
    speed: Speed | None = None
    bytes_per_clip: float | None = None
    bytes_measured: bool = False
    bytes_fixed: float = 0.0
    on_gpu: bool = True
    processes: int = 1
    run: str | None = None
    gpu: Memory | None = None
    host: Memory | None = None
    start_seconds: float = 0.0

    @property
    def hours(self) -> float | None:
        """Of GPUs, where loading of models is not counted, or of a CPU's cores; None where not known."""
        return self.clips / self.speed.clips_per_hour + self.jobs * self.start_seconds / 3600 if self.speed else None

    def wall_hours(self, gpus: int) -> float | None:
        """Return the hours that so many GPUs take, when nothing else runs and none waits."""
        return self.hours / min(gpus, max(self.jobs, 1) * self.processes) if self.hours is not None else None

    @property
    def disk_bytes(self) -> float | None:
        """All that it writes; None where not known."""
        if self.bytes_per_clip is None:
            return self.bytes_fixed or None
        return self.bytes_per_clip * self.clips + self.bytes_fixed
