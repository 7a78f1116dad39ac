"""What the machine that starts the workflow must have: room to write, a GPU that was named, tools, files that can be read.

Asked once, by the process that a user started, and not for a plan or a dry run, which run nothing.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from udpdiff.checkpoints import hub
from udpdiff.clip import RejectedClip
from udpdiff.config import layers as config_layers
from udpdiff.files import file_sha256
from udpdiff.launching import local_gpus
from udpdiff.metrics import raft
from udpdiff.sources import videos
from udpdiff.workflow import prefetching
from udpdiff.workflow.workflow import Workflow

_TRIED_VIDEOS = 100
_WRITTEN = ("results", "logs", "benchmarks")


@dataclass(frozen=True)
class Machine:
    """Where jobs run.

    Attributes:
        cluster: On other machines, whose GPUs are not to be seen from here.
        conda: With packages that are not those of this process.
    """

    cluster: bool = False
    conda: bool = False


def machine_faults(workflow: Workflow, machine: Machine) -> Iterator[str]:
    """Yield a line for everything that this machine lacks."""
    yield from _folder_faults()
    if not machine.cluster:
        yield from _device_faults(workflow.config.device)
    yield from _offline_faults(workflow)
    yield from _file_faults(workflow)
    if workflow.config.source.kind == "videos" and workflow.config.source.path:
        yield from _video_faults(workflow)
    if workflow.config.source.kind == "panda70m" and workflow.config.source.path and not machine.conda:
        yield from _download_faults(workflow.config.panda70m.fetch)


def _folder_faults() -> Iterator[str]:
    for name in (".", *_WRITTEN):
        folder = Path(name).resolve()
        if folder.exists() and not folder.is_dir():
            yield f"work folder: {str(folder)!r} is a file, where a folder is to be; move it away"
        elif folder.exists() and not os.access(folder, os.W_OK | os.X_OK):
            yield f"work folder: {str(folder)!r} cannot be written; name another one with --directory"


def _device_faults(device: str | None) -> Iterator[str]:
    name, _, index = (device or "").partition(":")
    if name == "mps" and sys.platform != "darwin":
        yield "device: got mps, which only macOS has; allowed here: null, cpu, cuda"
    if name != "cuda":
        return
    gpus = local_gpus.visible_gpus(os.environ)
    if not gpus:
        yield (
            f"device: got {device}, and this machine shows no GPU (nvidia-smi, CUDA_VISIBLE_DEVICES); set device: null or cpu, "
            "or send the jobs to a cluster with --profile"
        )
    elif index and int(index) >= len(gpus):
        yield f"device: got {device}, and this machine shows {len(gpus)} GPUs, counted from 0"


def _offline_faults(workflow: Workflow) -> Iterator[str]:
    if os.environ.get("HF_HUB_OFFLINE", "").upper() not in ("1", "ON", "YES", "TRUE"):
        return
    named = prefetching.named(workflow.config)
    for reference in prefetching.wanted(named):
        keys = [key for key, (each, _) in named.items() if each == reference]
        for fault in hub.faults([reference]):
            yield f"{keys[0]}: HF_HUB_OFFLINE is set; {fault}"
    if (flow := workflow.config.metrics.flow) in raft.OWN and not raft.own_file(flow).is_file():
        yield f"metrics.flow: HF_HUB_OFFLINE is set; {raft.own_fault(flow)}"


def _file_faults(workflow: Workflow) -> Iterator[str]:
    for key in ("video_encoder", "kernel_encoder", "flow"):
        named = getattr(workflow.config.metrics, key) or ""
        scheme, file, mark = config_layers.split_reference(workflow.places.get(named, named))
        if not scheme or (digest := file_sha256(Path(file))) == mark.removeprefix("#").lower():
            continue
        yield (
            f"metrics.{key}: {file} has SHA-256 {digest}, and {mark.removeprefix('#')} was named; compare with its publisher's"
        )


def _video_faults(workflow: Workflow) -> Iterator[str]:
    """Files are opened until one can be read: a folder of broken ones would be found out only after all were tried."""
    fault, clips = None, workflow.config.clips
    for path in islice(workflow.files.values(), _TRIED_VIDEOS):
        try:
            videos.read_clip(path, clips.num_frames, clips.fps, 16, 16)
            return
        except RejectedClip as error:
            fault = fault or f"{path.name}: {error}"
    tried = min(len(workflow.files), _TRIED_VIDEOS)
    if fault:
        yield f"source.path: of {tried} files none gives a clip of {clips.num_frames} frames at {clips.fps:g} fps; the first, {fault}"


def _download_faults(fetch: str) -> Iterator[str]:
    if fetch != "yt_dlp":
        return
    if importlib.util.find_spec("yt_dlp") is None:
        yield 'panda70m.fetch: needs the package yt-dlp, which is not installed; pip install -e ".[panda70m]"'
    if shutil.which("ffmpeg") is None:
        yield "panda70m.fetch: needs the program ffmpeg, which is not in PATH; install it (apt, conda-forge)"
