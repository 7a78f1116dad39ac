"""How fast labelling and encoding jobs went, and how much of their time the networks took: one small json file per job.

Lies beside Snakemake's benchmark files, which hold a job's wall time with loading and without the number of clips.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Throughput:
    """What one job, or several of one kind on one device, did and took.

    stage: entities, depth or latents/STREAM. settings: the job's. size: num_frames, height and width of the clips, pixels.
    model_seconds: inside forward calls. labelling_seconds: inside the labeller or encoder, resizing and copying included.
    total_seconds: from the loaded model to the last clip written, what does not overlap of reading and writing included.
    peak_gpu_gb: None where no GPU was used. peak_rss_gb: of the process.
    """

    stage: str
    settings: dict[str, Any]
    size: dict[str, int]
    clips: int
    model_seconds: float
    labelling_seconds: float
    total_seconds: float
    device: str
    peak_gpu_gb: float | None
    peak_rss_gb: float

    @property
    def clips_per_hour(self) -> float:
        return 3600 * self.clips / self.total_seconds

    @property
    def model_share(self) -> float:
        """Share of the time inside the networks; what is left is what better overlap could still save."""
        return self.model_seconds / self.total_seconds

    def is_like(self, stage: str, settings: dict[str, Any], size: dict[str, int]) -> bool:
        """Whether it holds for such a job at this size of clips."""
        return (self.stage, self.settings, self.size) == (stage, settings, size)


def write_throughput(path: str | Path, throughput: Throughput) -> None:
    """Write one job's record, replacing an earlier one."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(asdict(throughput), indent=1) + "\n")


def read_throughputs(benchmarks: str | Path, measured: str | Path) -> list[Throughput]:
    """Records of finished jobs, `benchmarks/{rule}/{job}.json`, and of `results/throughput.json` if it is there."""
    records = [json.loads(path.read_text()) for path in sorted(Path(benchmarks).glob("*/*.json"))]
    if Path(measured).exists():
        records += json.loads(Path(measured).read_text())["labellers"]
    return [Throughput(**record) for record in records]


def combined(records: Iterable[Throughput]) -> Throughput | None:
    """The sum of records of one kind on the device that did most clips; None without any."""
    by_device: dict[str, list[Throughput]] = {}
    for record in records:
        by_device.setdefault(record.device, []).append(record)
    if not by_device:
        return None
    chosen = max(by_device.values(), key=lambda group: sum(record.clips for record in group))
    summed = ("clips", "model_seconds", "labelling_seconds", "total_seconds")
    sums = {name: sum(getattr(record, name) for record in chosen) for name in summed}
    gpu = [record.peak_gpu_gb for record in chosen if record.peak_gpu_gb is not None]
    peaks = {"peak_gpu_gb": max(gpu, default=None), "peak_rss_gb": max(record.peak_rss_gb for record in chosen)}
    return Throughput(**(asdict(chosen[0]) | sums | peaks))
