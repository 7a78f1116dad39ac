"""Wall-clock seconds: of the stages of a call, of the networks inside a job, and of whole jobs as json records.

Honest on a GPU, where work is queued before it is done. Records lie beside Snakemake's benchmark files, which hold a
job's wall time with loading and without the number of clips; reading them imports no torch.
"""

from __future__ import annotations

import platform
import resource
import sys
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from udpdiff.gpu_memory import on_gpu, peak_gpu_gb
from udpdiff.storage.errors import StorageError
from udpdiff.storage.sealed import read_record, write_record

if TYPE_CHECKING:
    import torch


@contextmanager
def timed(timings: dict[str, float], stage: str, device: torch.device | None = None) -> Iterator[None]:
    """Add the seconds spent in the block to `timings[stage]`, waiting for the device, if given, at both ends."""
    _synchronize(device)
    start = time.perf_counter()
    try:
        yield
    finally:
        _synchronize(device)
        timings[stage] = timings.get(stage, 0.0) + time.perf_counter() - start


def _synchronize(device: torch.device | None) -> None:
    if device is not None and device.type == "cuda":
        import torch

        torch.cuda.synchronize(device)


@contextmanager
def timed_parts(pipeline) -> Iterator[dict[str, float]]:
    """Time the parts of one call of any CogVideoX pipeline, the stock one or ours.

    Yields:
        Seconds of `text_encoder` and `vae`, and of `transformer` for the rest of `total`, which the block sets.
    """
    timings: dict[str, float] = {"text_encoder": 0.0, "vae": 0.0}
    stages = {"encode_prompt": "text_encoder", "decode_latents": "vae"}
    originals = {method: getattr(pipeline, method) for method in stages}

    def wrapped(method: str):
        def call(*args, **kwargs):
            with timed(timings, stages[method], pipeline._execution_device):
                return originals[method](*args, **kwargs)

        return call

    for method in stages:
        setattr(pipeline, method, wrapped(method))
    try:
        yield timings
        timings["transformer"] = timings["total"] - timings["text_encoder"] - timings["vae"]
    finally:
        for method in stages:
            delattr(pipeline, method)


class ForwardClock:
    """Context manager that adds up the forward calls of the thread that entered it: what no overlapping can remove.

    Counts every outermost forward call of a torch module, so that it needs to know nothing of the model that runs. On
    CUDA a call lasts from when the device reaches its first kernel to when it leaves its last, taken by events in the
    stream, so that measuring makes nothing wait. `seconds` waits for the device once.
    """

    def __init__(self) -> None:
        self._seconds = 0.0
        self._depth = 0
        self._start: float | torch.cuda.Event = 0.0
        self._pending: deque[tuple[torch.cuda.Event, torch.cuda.Event]] = deque()

    def __enter__(self) -> ForwardClock:
        from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook

        self._thread = threading.get_ident()
        self._handles = [
            register_module_forward_pre_hook(self._entered),
            register_module_forward_hook(self._left, always_call=True),  # after an exception as well
        ]
        return self

    def __exit__(self, *_: object) -> None:
        for handle in self._handles:
            handle.remove()

    @property
    def seconds(self) -> float:
        """Seconds inside forward calls that have returned."""
        if self._pending:
            self._pending[-1][1].synchronize()
            self._count_finished()
        return self._seconds

    def _entered(self, module: torch.nn.Module, inputs: tuple) -> None:
        if threading.get_ident() != self._thread:
            return
        self._depth += 1
        if self._depth == 1:
            self._start = _event(module) or time.perf_counter()

    def _left(self, module: torch.nn.Module, inputs: tuple, output: object) -> None:
        if threading.get_ident() != self._thread:
            return
        self._depth -= 1
        if self._depth:
            return
        if isinstance(self._start, float):
            self._seconds += time.perf_counter() - self._start
        else:
            self._pending.append((self._start, _event(module)))
            self._count_finished()

    def _count_finished(self) -> None:
        while self._pending and self._pending[0][1].query():
            start, end = self._pending.popleft()
            self._seconds += start.elapsed_time(end) / 1000


def _event(module: torch.nn.Module) -> torch.cuda.Event | None:
    """Return an event at the end of what the module's device has to do so far; None for a module not on CUDA."""
    weight = next(module.parameters(), None)
    if weight is None or weight.device.type != "cuda":
        return None
    import torch

    event = torch.cuda.Event(enable_timing=True)
    event.record(torch.cuda.current_stream(weight.device))
    return event


class JobTiming:
    """Context manager around all work of a job on clips, loading left out."""

    def __init__(self) -> None:
        self._forward = ForwardClock()
        self._seconds = {"labelling": 0.0}

    def __enter__(self) -> JobTiming:
        self._total = timed(self._seconds, "total")
        self._total.__enter__()
        self._forward.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._forward.__exit__(*error)
        self._total.__exit__(None, None, None)

    def labelling(self) -> AbstractContextManager[None]:
        """Return a context for the work on a clip that returns arrays, so that no device is still busy with it after."""
        return timed(self._seconds, "labelling")

    def write(
        self, path: str | Path, stage: str, job: dict, device: str | None, size: dict[str, int], clips: int
    ) -> None:
        """Write the record after the context has ended.

        Args:
            path: A json file.
            stage: As in `Throughput`, as are job, size and clips.
            device: That the networks were on; None for a GPU where there is one.
        """
        seconds = (self._forward.seconds, self._seconds["labelling"], self._seconds["total"])
        unit = 1e9 if sys.platform == "darwin" else 1e6  # bytes there, kilobytes elsewhere
        rss_gb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
        write_throughput(
            path, Throughput(stage, job, size, clips, *seconds, device_name(device), peak_gpu_gb(device), rss_gb)
        )


def device_name(device: str | None) -> str:
    """Return the name of the GPU that networks on `device` run on (None: where there is one), or of the CPU with threads."""
    import torch

    if on_gpu(device):
        return torch.cuda.get_device_name(device)
    return f"{platform.machine()} CPU, {torch.get_num_threads()} thread(s)"


@dataclass(frozen=True)
class Throughput:
    """What one labelling or encoding job, or several of one kind on one device, did and took.

    Attributes:
        stage: entities, depth or latents/STREAM.
        job: A `udpdiff.jobs` model as json-able data.
        size: num_frames, height and width of the clips, pixels.
        model_seconds: Inside forward calls.
        labelling_seconds: Inside the labeller or encoder, resizing and copying included.
        total_seconds: From the loaded model to the last clip written, with what does not overlap of reading and writing.
        peak_gpu_gb: None where no GPU was used.
        peak_rss_gb: Of the process.
    """

    stage: str
    job: dict[str, Any]
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

    def is_like(self, stage: str, job: dict[str, Any], size: dict[str, int]) -> bool:
        """Return whether it holds for such a job at this size of clips."""
        return (self.stage, self.job, self.size) == (stage, job, size)


def write_throughput(path: str | Path, throughput: Throughput) -> None:
    """Write one job's record, whole or not at all, replacing an earlier one; raises StorageError where it cannot."""
    write_record(path, asdict(throughput))


def read_throughput(path: str | Path) -> Throughput:
    """Return the record that `write_throughput` wrote.

    Raises:
        ValueError: The file holds something else, such as an earlier version's record.
        StorageError: It is not what was written.
    """
    return _record(path, read_record(path))


def read_throughputs(benchmarks: str | Path, measured: str | Path) -> list[Throughput]:
    """Return the records of finished jobs and those of a benchmark.

    Args:
        benchmarks: Folder of `{rule}/{job}.json`, where the name of a job may hold folders. What is no record is
            passed over: Snakemake would not make it anew.
        measured: `results/throughput.json`, which may be missing.
    """
    records = []
    for path in sorted(Path(benchmarks).rglob("*.json")):
        with suppress(ValueError, StorageError):
            records.append(read_throughput(path))
    if Path(measured).exists():
        records += [_record(measured, record) for record in read_record(measured)["labellers"]]
    return records


def _record(path: str | Path, content: object) -> Throughput:
    try:
        return Throughput(**content)
    except TypeError as error:
        raise ValueError(
            f"{path}: got no record of a job's speed ({error}); remove it and run the job again."
        ) from None


def combined(records: Iterable[Throughput]) -> Throughput | None:
    """Return the sum of records of one kind on the device that did most clips; None without any clips."""
    by_device: dict[str, list[Throughput]] = {}
    for record in records:
        if record.clips:
            by_device.setdefault(record.device, []).append(record)
    if not by_device:
        return None
    chosen = max(by_device.values(), key=lambda group: sum(record.clips for record in group))
    summed = ("clips", "model_seconds", "labelling_seconds", "total_seconds")
    sums = {name: sum(getattr(record, name) for record in chosen) for name in summed}
    gpu = [record.peak_gpu_gb for record in chosen if record.peak_gpu_gb is not None]
    peaks = {"peak_gpu_gb": max(gpu, default=None), "peak_rss_gb": max(record.peak_rss_gb for record in chosen)}
    return Throughput(**(asdict(chosen[0]) | sums | peaks))
