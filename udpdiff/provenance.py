"""Where a result comes from: code, versions, hardware. Snakemake tracks none of these for a package."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import platform
import subprocess
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any

_PACKAGE = Path(__file__).resolve().parent
_LIBRARIES = (
    "torch",
    "diffusers",
    "transformers",
    "accelerate",
    "peft",
    "safetensors",
    "numpy",
    "scipy",
    "h5py",
    "av",
    "opencv-python-headless",
    "snakemake",
)


def provenance() -> dict[str, Any]:
    """Return `origin`, the command and the hardware, json-able."""
    return origin() | {"command": [Path(sys.argv[0]).name, *sys.argv[1:]], "hardware": hardware()}


def origin() -> dict[str, Any]:
    """Return commit, dirty flag, package hash and versions; imports no library for it.

    commit and dirty are None when the package is not in a git checkout: an installed wheel, even one whose environment
    lies inside another project's checkout.
    """
    tracked = _git("ls-files", "--error-unmatch", "provenance.py") is not None
    status = _git("status", "--porcelain") if tracked else None
    return {
        "commit": _git("rev-parse", "HEAD") if tracked else None,
        "dirty": None if status is None else bool(status),
        "package_sha256": package_digest(),
        "versions": {"python": platform.python_version()} | _versions(),
    }


@lru_cache(maxsize=1)
def package_digest() -> str:
    """Return the sha256 of the package's source files, names and content, in sorted order."""
    total = hashlib.sha256()
    for path in sorted(_PACKAGE.rglob("*.py")):
        total.update(path.relative_to(_PACKAGE).as_posix().encode() + b"\0")
        total.update(path.read_bytes() + b"\0")
    return total.hexdigest()


def hardware() -> dict[str, Any]:
    """Return the processor, its threads as torch uses them, memory in GB and the GPUs."""
    import torch

    gpus = [torch.cuda.get_device_properties(index) for index in range(torch.cuda.device_count())]
    return {
        "machine": platform.machine(),
        "system": f"{platform.system()} {platform.release()}",
        "processor": _processor(),
        "cores": os.cpu_count(),
        "torch_threads": torch.get_num_threads(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        "gpus": [{"name": gpu.name, "memory_gb": round(gpu.total_memory / 1e9, 1)} for gpu in gpus],
    }


def _versions() -> dict[str, str | None]:
    versions: dict[str, str | None] = {}
    for name in _LIBRARIES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = None
    return versions


def _processor() -> str:
    """Return the processor's name; `platform.processor` is empty on Linux."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown")


def _git(*arguments: str) -> str | None:
    try:
        result = subprocess.run(
            ["git", "-C", str(_PACKAGE), *arguments], capture_output=True, text=True, timeout=30, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return result.stdout.strip()
