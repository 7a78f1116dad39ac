"""I3D features of Kinetics-400 from a torchscript file that the user supplies: what published FVD numbers stand on.

The file (i3d_torchscript.pt, as StyleGAN-V and its followers use it) holds code besides weights, so it is only run when
its SHA-256 is the one the configuration names: `i3d:FILE#SHA256`. Its input is (B, 3, T, H, W) in [0, 255], which it
scales to [-1, 1] and squashes to 224 x 224 itself; its output the 400 logits averaged over time.

Source: universome/stylegan-v, src/metrics/frechet_video_distance.py; universome/fvd-comparison.
"""

from __future__ import annotations

import numpy as np

from udpdiff.checkpoints import resolve
from udpdiff.files import pinned_file
from udpdiff.finite import check_finite

MIN_FRAMES = 9


class I3D:
    """Callable features of videos; `.name` carries the first 12 digits of the file's digest."""

    def __init__(self, network, digest: str, device: str = "cpu", batch_videos: int = 4) -> None:
        self.network, self.device, self.batch_videos = network, device, batch_videos
        self.name = f"i3d torchscript {digest[:12]} logits"

    @classmethod
    def from_reference(cls, ref: str, *, device: str = "cpu", batch_videos: int = 4) -> I3D:
        """Load `i3d:FILE#SHA256`.

        Raises ValueError when the file is missing, when no digest is given (the message says the file's own, to be
        compared with its publisher's) or when it differs.
        """
        import torch

        path, digest = pinned_file(
            resolve(ref), "i3d:", "the torchscript I3D", "It is run as code: compare with its publisher's digest"
        )
        return cls(torch.jit.load(str(path), map_location=device).eval(), digest, device, batch_videos)

    def encode_videos(self, videos) -> np.ndarray:
        """Features float64 (N, 400) of videos uint8 (T, H, W, 3) of one size, T >= 9."""
        import torch

        parts = []
        with torch.inference_mode():
            for start in range(0, len(videos), self.batch_videos):
                batch = np.stack(videos[start : start + self.batch_videos])
                if batch.shape[1] < MIN_FRAMES:
                    raise ValueError(f"I3D: got {batch.shape[1]} frames, expected at least {MIN_FRAMES}.")
                pixels = torch.from_numpy(batch).movedim(-1, 1).float().to(self.device)
                parts.append(self.network(pixels, rescale=True, resize=True, return_features=True).double().cpu())
        features = torch.cat(parts)
        check_finite(features, f"the features of {self.name}", "float32")
        return features.numpy()
