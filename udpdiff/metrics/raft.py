"""RAFT, the network behind VBench's dynamic degree, of torchvision: optical flow that is learnt, for a GPU.

Weights are torchvision's own files: of `raft_large` and `raft_small` those that it ported from RAFT's authors (trained on
FlyingChairs and FlyingThings3D, as those that VBench takes), or any in a file of the user's. They are read as tensors,
never as code. Frames are continued by their last rows and columns to sides of 128 pixels at least, and a multiple of 8,
as the network's pyramid wants it, and the flow is cut to their size.

Source: Teed and Deng, RAFT: Recurrent All-Pairs Field Transforms for Optical Flow; Vchitect/VBench,
vbench/dynamic_degree.py (twenty updates).
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from udpdiff.checkpoints import resolve
from udpdiff.files import file_sha256, pinned_file
from udpdiff.finite import check_finite

_PLACE = "https://download.pytorch.org/models"
# torchvision's names -> its files: the weights of RAFT's authors, the beginning of their digest in the name.
OWN = {"raft_large": "raft_large_C_T_V1-22a6c225.pth", "raft_small": "raft_small_C_T_V1-ad48884c.pth"}
_SCHEME = "raft:"
_UPDATES = 20
_LEAST_SIDE, _MULTIPLE = 128, 8
_OFFLINE = ("1", "ON", "YES", "TRUE")


class Raft:
    """Optical flow of videos, pair by pair.

    Attributes:
        name: Says which of the two networks it is, and begins its weights' digest.
        sha256: Of the file of weights.
    """

    def __init__(self, model, name: str, sha256: str, device: str = "cpu") -> None:
        self.model, self.sha256, self.device = model.to(device).eval(), sha256, device
        self.name = f"{name} {sha256[:12]} (torchvision)"

    @classmethod
    def from_reference(cls, ref: str, *, device: str = "cpu") -> Raft:
        """Load `raft_large` or `raft_small` with torchvision's own weights, or `raft:FILE#SHA256`.

        Raises:
            ValueError: There is no such file, its digest is not the one named, it is not the weights of a RAFT, or
                torchvision's own weights are neither in torch's cache nor to be fetched.
        """
        if ref in OWN:
            path, weights = _own_weights(ref)
            return cls(_filled(path, weights), ref, file_sha256(path), device)
        path, digest = pinned_file(
            resolve(ref), _SCHEME, "torchvision's weights of RAFT", "Compare with its publisher's digest"
        )
        weights = _weights(path)
        return cls(_filled(path, weights), "raft_large" if _is_large(weights) else "raft_small", digest, device)

    def flow(self, video: np.ndarray) -> np.ndarray:
        """Return the forward flow of a video uint8 (T, H, W, 3).

        Returns:
            float32 (T-1, H, W, 2), (x, y) in pixels. Equal frames have none, 0 to the digit.

        Raises:
            NotFinite: The network gives values that are no numbers.
        """
        import torch

        height, width = video.shape[1:3]
        found = np.zeros((len(video) - 1, height, width, 2), np.float32)
        with torch.inference_mode():
            following = self._prepared(video[0])
            for index in range(len(found)):
                frame, following = following, self._prepared(video[index + 1])
                if np.array_equal(video[index], video[index + 1]):
                    continue
                flow = self.model(frame, following, num_flow_updates=_UPDATES)[-1][0, :, :height, :width]
                check_finite(flow, f"the flow of {self.name}", "float32")
                found[index] = flow.movedim(0, -1).cpu().numpy()
        return found

    def _prepared(self, frame: np.ndarray):
        """Return a frame as model input, float32 (1, 3, H', W') in [-1, 1]."""
        import torch

        pixels = torch.from_numpy(np.ascontiguousarray(frame)).to(self.device).movedim(-1, 0)[None].float() / 127.5 - 1
        below, right = (max(_LEAST_SIDE, -(-side // _MULTIPLE) * _MULTIPLE) - side for side in frame.shape[:2])
        return torch.nn.functional.pad(pixels, (0, right, 0, below), mode="replicate")


def own_file(name: str) -> Path:
    """Return where torch keeps torchvision's weights of `raft_large` or `raft_small`; imports no torch."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")) / "torch"
    return Path(os.environ.get("TORCH_HOME", cache)).expanduser() / "hub" / "checkpoints" / OWN[name]


def own_fault(name: str) -> str:
    """Return what to do about weights of torchvision's that are not there and cannot be fetched, as a sentence's end."""
    return (
        f"expected the weights of {name} in {own_file(name)}: fetch {_PLACE}/{OWN[name]} there where there is a network, or "
        "name a copy by metrics.flow: raft:FILE#SHA256"
    )


def _own_weights(name: str) -> tuple[Path, dict]:
    """Return torchvision's file in torch's cache, where it is fetched to if need be, and its tensors."""
    path = own_file(name)
    if not path.is_file():
        if os.environ.get("HF_HUB_OFFLINE", "").upper() in _OFFLINE:
            raise ValueError(f"RAFT: HF_HUB_OFFLINE is set, so nothing is fetched; {own_fault(name)}.")
        import torch

        try:
            torch.hub.load_state_dict_from_url(
                f"{_PLACE}/{path.name}", path.parent, "cpu", progress=False, check_hash=True, weights_only=True
            )
        except Exception as error:  # not reached, no room, another content: of many kinds
            raise ValueError(f"RAFT: {name} cannot be fetched ({error}); {own_fault(name)}.") from error
    return path, _weights(path)


def _weights(path: Path) -> dict:
    """Return the tensors of a file by name; safetensors, or torch's own format, of which nothing is executed."""
    import torch

    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        return load_file(path)
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # unpickling fails in many ways
        raise ValueError(
            f"RAFT: {path.name} holds no plain tensors; expected torchvision's file of weights."
        ) from error
    return found if isinstance(found, dict) else {}


def _is_large(weights: dict) -> bool:
    return any(name.startswith("mask_predictor.") for name in weights)


def _filled(path: Path, weights: dict):
    """Return the network that a file of weights fills, whole."""
    from torchvision.models import optical_flow

    model = (optical_flow.raft_large if _is_large(weights) else optical_flow.raft_small)(weights=None, progress=False)
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise ValueError(
            f"RAFT: {path.name} is not the weights of torchvision's raft_large or raft_small; files of RAFT's authors name "
            "theirs otherwise, and torchvision has them as C_T_V1."
        ) from error
    return model
