"""How much memory propagation takes, from the model's sizes, and how many objects to propagate at once.

Knows the layout of SAM 2 (sam2 1.1.0), not how it is driven. Checked against the tensors that a run holds
(tests/labelling/test_memory_plan.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

BFLOAT16, FLOAT32 = 2, 4
# At once alive in memory attention: keys before and after rotation, its intermediate results, values. bfloat16 saves
# nothing here, for memories are widened and rotated in float32.
ARRAYS_OF_KEYS = 5
ARRAYS_OF_MASK_SIZE = 9  # of S x S, while masks are decoded and encoded
ARRAYS_OF_PATCHES = 20  # of embed_dim x S/4 x S/4, in the image encoder's first stage
OUTPUT_TOKENS = 8  # of the mask decoder; an object pointer may be a view of all of them
CPU_OBJECTS = 16
SAFE_SHARE = 0.8  # of the free memory, for fragmentation and kernels' workspaces


@dataclass(frozen=True)
class MemoryPlan:
    """Expected bytes on the device that propagates.

    Attributes:
        weight_bytes: Parameters and buffers.
        encoder_bytes: The image encoder at work.
        state_bytes: What one object keeps from frame to frame.
        activation_bytes: What one object needs while a frame is tracked.
    """

    weight_bytes: int
    encoder_bytes: int
    state_bytes: int
    activation_bytes: int

    def peak_bytes(self, objects: int) -> int:
        """Return an upper estimate of the bytes that so many objects need at once."""
        return self.weight_bytes + self.encoder_bytes + objects * (self.state_bytes + self.activation_bytes)

    def max_objects(self, free_bytes: int) -> int:
        """Return how many objects fit beside the weights, at least 1."""
        free = SAFE_SHARE * free_bytes - self.encoder_bytes
        return max(1, int(free // (self.state_bytes + self.activation_bytes)))


@dataclass(frozen=True)
class TrackerSizes:
    """Of a SAM 2 what its memory depends on.

    Attributes:
        weight_bytes: Parameters and buffers.
        embed_dim: Channels of the image encoder's first stage.
        image_size: Side of what the network sees, pixels.
        horizon: Frames that the model looks back.
    """

    weight_bytes: int
    embed_dim: int
    image_size: int = 1024
    hidden_dim: int = 256
    backbone_stride: int = 16
    mem_dim: int = 64
    num_maskmem: int = 7
    horizon: int = 16

    @classmethod
    def of(cls, predictor) -> TrackerSizes:
        """Return the sizes of a SAM 2 video predictor."""
        names = ("image_size", "hidden_dim", "backbone_stride", "mem_dim", "num_maskmem")
        return cls(
            weight_bytes=sum(tensor.nbytes for tensor in (*predictor.parameters(), *predictor.buffers())),
            embed_dim=predictor.image_encoder.trunk.patch_embed.proj.out_channels,
            horizon=memory_horizon(predictor),
            **{name: getattr(predictor, name) for name in names},
        )


# Of the published checkpoints in float32, counted on the sam2 package's own classes.
PUBLISHED_SIZES = {
    "facebook/sam2.1-hiera-tiny": TrackerSizes(155_851_016, 96),
    "facebook/sam2.1-hiera-small": TrackerSizes(184_242_440, 96),
    "facebook/sam2.1-hiera-base-plus": TrackerSizes(323_401_736, 112),
    "facebook/sam2.1-hiera-large": TrackerSizes(897_787_592, 144),
}


def plan_memory(predictor, num_frames: int, height: int, width: int) -> MemoryPlan:
    """Count the bytes of a SAM 2 video predictor for clips of so many frames of that size."""
    return plan_sizes(TrackerSizes.of(predictor), num_frames, height, width)


def plan_sizes(sizes: TrackerSizes, num_frames: int, height: int, width: int) -> MemoryPlan:
    """Count the bytes of a predictor of such sizes for clips of so many frames of height x width.

    Frames wait in host memory, 12 S x S bytes each, and are no part of it. Beyond the frames that the model looks back
    at, the length of a clip costs nothing.
    """
    tokens = (sizes.image_size // sizes.backbone_stride) ** 2
    frames = min(num_frames, sizes.horizon + 2)  # the first one always, and the one being tracked
    memory = BFLOAT16 * sizes.mem_dim * tokens + FLOAT32 * OUTPUT_TOKENS * sizes.hidden_dim
    keys = sizes.num_maskmem * tokens * sizes.hidden_dim
    patches = (sizes.image_size // 4) ** 2
    masks = ARRAYS_OF_MASK_SIZE * sizes.image_size**2 + 2 * height * width
    return MemoryPlan(
        weight_bytes=sizes.weight_bytes,
        encoder_bytes=FLOAT32 * patches * (ARRAYS_OF_PATCHES * sizes.embed_dim + 3 * sizes.hidden_dim),
        state_bytes=frames * memory,
        activation_bytes=FLOAT32 * (ARRAYS_OF_KEYS * keys + masks),
    )


def memory_horizon(predictor) -> int:
    """Return how many frames back the model can look: spatial memories or object pointers, whichever is longer."""
    pointers = predictor.max_obj_ptrs_in_encoder if predictor.use_obj_ptrs_in_encoder else 0
    return max(predictor.num_maskmem * predictor.memory_temporal_stride_for_eval, pointers)


def objects_at_once(predictor, num_frames: int, height: int, width: int) -> int:
    """Return how many objects fit into the free memory of the predictor's GPU; on a CPU, whose memory jobs share, 16."""
    import torch

    device: torch.device = predictor.device
    if device.type != "cuda":
        return CPU_OBJECTS
    cached = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    free_bytes = torch.cuda.mem_get_info(device)[0] + cached
    return plan_memory(predictor, num_frames, height, width).max_objects(free_bytes)
