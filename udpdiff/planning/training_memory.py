"""What one process of a training holds on its GPU at the peak, by arithmetic on shapes.

With gradient checkpointing a backward pass holds the inputs of the blocks that it has not reached, the work of the one
it is at, and the gradients of those behind it; so the peak is at its beginning or at its end. The work of a block was
fitted to counts of the tensors of CogVideoX-5B's: activations and gradients of 25.1, 28.2 and 60.9 GB with 1, 2 and 8
samples of 49 x 480 x 720, which the formula meets within 1 %. Attention is assumed to keep no table of all pairs of tokens.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from udpdiff.counted import counted
from udpdiff.planning import parameters
from udpdiff.planning.figures import Memory

# Arrays of tokens x width that one block holds while it goes backward, and those that its forward pass leaves for that.
BLOCK_ARRAYS, SAVED_ARRAYS = 27.1, 20
FLOAT32, HALF = 4, 2
# Bytes of optimizer states a weight; 8-bit ones have a float32 scale for each 256 of both moments.
STATE_BYTES = {"adamw": 8.0, "adamw_8bit": 2 + 2 * 4 / 256}
MOMENTUM_BYTES = 4.0
UNITS_AT_ONCE = 2  # blocks that FSDP2 has gathered: the one that computes and the next


@dataclass(frozen=True)
class TrainingCase:
    """What decides the memory of a training.

    Attributes:
        parts: The configurations of the base's networks.
        size: num_frames, height and width of the clips, pixels.
        streams: The video and the dense ones.
        num_tasks: Rows of the task embedding.
        batch: Samples that one process takes at once.
        processes: That share the training.
        sharding: none, or full for weights, gradients and states in shards.
        optimizer: adamw, adamw_8bit or muon.
        lora_rank: None for all weights.
        half: Whether the blocks compute in bfloat16 or float16.
        frozen_bytes: Of a weight that is not trained.
        checkpointing: Of gradients.
        average: Whether a moving average of the weights is kept.
        offloaded: Whether the optimizer's states are in host memory.
        text_bytes: Of each of T5's weights beside the trainer; None where prompts are read from disk.
    """

    parts: dict[str, dict[str, Any]]
    size: dict[str, int]
    streams: int = 2
    num_tasks: int = 0
    batch: int = 1
    processes: int = 1
    sharding: str = "none"
    optimizer: str = "adamw"
    lora_rank: int | None = None
    half: bool = True
    frozen_bytes: int = FLOAT32
    checkpointing: bool = True
    average: bool = False
    offloaded: bool = False
    text_bytes: int | None = None

    @property
    def weights(self) -> int:
        """Parameters of the widened transformer, low-rank updates included."""
        transformer = self.parts["transformer"]
        own = parameters.transformer_parameters(transformer, self.streams, self.num_tasks)
        return own + (parameters.lora_parameters(transformer, self.lora_rank) if self.lora_rank else 0)

    @property
    def trained(self) -> int:
        """Parameters that are trained."""
        if not self.lora_rank:
            return self.weights
        transformer = self.parts["transformer"]
        # A base that is not widened is trained by its low-rank updates alone.
        widened = parameters.widened_parameters(transformer, self.streams, self.num_tasks) if self.streams > 1 else 0
        return widened + parameters.lora_parameters(transformer, self.lora_rank)


@dataclass(frozen=True)
class TrainingBytes:
    """The parts of the peak, bytes of one process."""

    weights: float
    optimizer: float
    average: float
    gathered: float
    activations_and_gradients: float
    text_encoder: float

    @property
    def total(self) -> float:
        return sum(vars(self).values())


def training_bytes(case: TrainingCase) -> TrainingBytes:
    """Return what one process holds at the peak."""
    shards = case.processes if case.sharding == "full" else 1
    text = case.text_bytes
    return TrainingBytes(
        weights=(FLOAT32 * case.trained + case.frozen_bytes * (case.weights - case.trained)) / shards,
        optimizer=0 if case.offloaded else optimizer_bytes(case) / shards,
        average=FLOAT32 * case.trained / shards if case.average else 0,
        gathered=_gathered_bytes(case) if shards > 1 else 0,
        activations_and_gradients=activation_bytes(case, FLOAT32 * case.trained / shards),
        text_encoder=text * parameters.text_parameters(case.parts["text_encoder"]) if text else 0,
    )


def optimizer_bytes(case: TrainingCase) -> float:
    """Return the bytes of all states, over all processes that share them."""
    if case.optimizer != "muon":
        return STATE_BYTES[case.optimizer] * case.trained
    matrices = 0 if case.lora_rank else parameters.block_matrices(case.parts["transformer"])
    return MOMENTUM_BYTES * matrices + STATE_BYTES["adamw"] * (case.trained - matrices)


def activation_bytes(case: TrainingCase, gradients: float = 0) -> float:
    """Return the bytes of activations and gradients at the peak, of `gradients` bytes in all."""
    transformer = case.parts["transformer"]
    layers = transformer["num_layers"]
    array = case.batch * tokens(case.parts, case.size) * parameters.hidden_size(transformer)
    array *= HALF if case.half else FLOAT32
    if not case.checkpointing:
        return layers * SAVED_ARRAYS * array + (BLOCK_ARRAYS - SAVED_ARRAYS) * array + gradients / layers
    begin = layers * array + gradients / layers
    return BLOCK_ARRAYS * array + max(begin, gradients)


def _gathered_bytes(case: TrainingCase) -> float:
    """Return the bytes of whole blocks: their weights in half precision, and one's gradient on its way to the shards."""
    block = parameters.block_parameters(case.parts["transformer"])
    width = HALF if case.half else FLOAT32
    return block * (UNITS_AT_ONCE * width + width + FLOAT32)


def tokens(parts: dict[str, dict[str, Any]], size: dict[str, int]) -> int:
    """Return how many tokens attend to each other: those of a clip's latents, and of its prompt."""
    transformer, vae = parts["transformer"], parts["vae"]
    side = 2 ** (len(vae["block_out_channels"]) - 1) * transformer["patch_size"]
    frames = (size["num_frames"] - 1) // int(vae["temporal_compression_ratio"]) + 1
    frames = -(-frames // (transformer.get("patch_size_t") or 1))
    return transformer["max_text_seq_length"] + frames * (size["height"] // side) * (size["width"] // side)


def training_memory(case: TrainingCase) -> Memory:
    """Return the peak of one process, counted."""
    found = training_bytes(case)
    words = {
        "weights": found.weights,
        "optimizer": found.optimizer,
        "moving average": found.average,
        "gathered blocks": found.gathered,
        "activations and gradients": found.activations_and_gradients,
        "T5": found.text_encoder,
    }
    parts = ", ".join(f"{name} {value / 1e9:.1f}" for name, value in words.items() if value)
    samples = f"{counted(case.batch, 'sample')} a process"
    return Memory(found.total, "counted", f"{parts} GB with {samples}, {len_of(case)}")


def len_of(case: TrainingCase) -> str:
    """Return in words how the training is spread."""
    if case.processes == 1:
        return "one process"
    how = "in shards" if case.sharding == "full" else "whole in each"
    return f"{case.processes} processes, {how}"
