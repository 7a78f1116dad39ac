"""AdamW with its two averages in 8 bits, for a large network on one card.

They take 2 bytes a weight instead of 8: of CogVideoX-5B 11 GB instead of 44.6. Weights and gradients stay float32.

Source: Dettmers et al. 2022 (arXiv 2110.02861), by bitsandbytes, which needs no GPU since 0.50; 52.8 GB instead of more than
80 for the 5B in a-r-r-o-w/cogvideox-factory, training/README.md (49 x 480 x 720, batch 1, gradient checkpointing).
"""

from __future__ import annotations

import torch
from bitsandbytes.optim import AdamW8bit


class EightBitAdamW(AdamW8bit):
    """As bitsandbytes has it, but all of its state are tensors, as of every optimizer of torch.

    Blocks of 256 values share a scale; weights of fewer than 4,096 values keep float32 averages.
    """

    @torch.no_grad()
    def step(self, closure=None):
        """Do one step; the kernels want the number of steps as an int."""
        for state in self.state.values():
            if "step" in state:
                state["step"] = int(state["step"])
        try:
            return super().step(closure)
        finally:
            for state in self.state.values():
                if "step" in state:
                    state["step"] = torch.tensor(float(state["step"]))
