"""The device that networks run on where the user names none."""

from __future__ import annotations

import os


def default_device() -> str:
    """Return `cuda` when there is a GPU, else `cpu`.

    Raises:
        ValueError: GPUs were given to this process, and torch cannot use them: a CPU would take months in their place.
    """
    import torch  # seconds, and not every command asks

    if torch.cuda.is_available():
        return "cuda"
    given = os.environ.get("CUDA_VISIBLE_DEVICES", "").strip()
    if torch.version.cuda and given not in ("", "-1", "NoDevFiles"):
        raise ValueError(
            f"CUDA_VISIBLE_DEVICES: got {given}, GPUs that torch {torch.__version__} cannot use; expected a working driver"
            f" for CUDA {torch.version.cuda}. See `nvidia-smi`; install a torch for that driver, or set device: cpu."
        )
    return "cpu"
