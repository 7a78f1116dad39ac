"""The device that a command computes on: one that is not there is refused before anything is loaded."""

from __future__ import annotations

import re

_DEVICE = re.compile(r"(cpu|mps|cuda)(:\d+)?")


def check_device(device: str | None, dtype: str | None = None) -> None:
    """Refuse a device that this machine does not have, or that does not compute in `dtype`; None is never refused.

    Raises:
        ValueError: Such a one.
    """
    if device is None:
        return
    if not _DEVICE.fullmatch(device):
        raise ValueError(f"--device: got {device!r}; expected cpu, cuda or mps")
    if device.startswith("cpu"):
        _check_dtype(device, dtype)
        return
    import torch  # seconds, and a processor is always there

    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:  # torch's, for a device that is not there
        raise ValueError(
            f"--device: got {device!r}, which this machine does not have; expected {' or '.join(_there())}"
        ) from error


def default_place(device: str | None, dtype: str | None) -> tuple[str, str]:
    """Return device and dtype, those of this machine where none is asked for.

    Raises:
        ValueError: The device of this machine does not compute in that.
    """
    from udpdiff.default_device import default_device

    device = device or default_device()
    _check_dtype(device, dtype)
    return device, dtype or ("bfloat16" if device.startswith("cuda") else "float32")


def _check_dtype(device: str, dtype: str | None) -> None:
    if device.startswith("cpu") and dtype == "float16":
        raise ValueError(
            "--dtype: got float16 on a CPU, where diffusers does not support it; expected bfloat16 or float32"
        )


def _there() -> list[str]:
    """The devices that torch can use here."""
    import torch

    gpus = [f"cuda:{index}" for index in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
    return ["cpu", *gpus, *(["mps"] if torch.backends.mps.is_available() else [])]
