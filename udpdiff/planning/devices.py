"""GPUs by name: memory and peak speed, for counts that are made before anything runs.

Memory is what a program finds there, which is less than the name says: torch reports 79.2 GiB, 85.0e9 bytes, of an
"80 GB" card. Peaks are dense, without structured sparsity, from NVIDIA's data sheets; those of GeForce cards are with
sums in float32, as networks are trained.
"""

from __future__ import annotations

from dataclasses import dataclass

# What a job may count on: the CUDA context, communication buffers and fragmentation take the rest.
USABLE_SHARE = 0.94
# Of peak speed, reached by large trainings and by passes with much work.
REACHED_SHARE = 0.4


@dataclass(frozen=True)
class Device:
    """One GPU.

    Attributes:
        name: As in the configuration's key `gpu`.
        label: The same in words.
        memory_bytes: As torch reports it.
        half_flops: Peak per second of bfloat16 and float16 products with sums in float32.
        tf32_flops: Of float32 products at the accuracy of TF32, which convolutions take by torch's default.
        float32_flops: Of float32 products, which matrix products take by torch's default.
        memory_rate: Bytes per second from and to its memory.
        source: Of the peaks.
    """

    name: str
    label: str
    memory_bytes: float
    half_flops: float
    tf32_flops: float
    float32_flops: float
    memory_rate: float
    source: str

    @property
    def usable_bytes(self) -> float:
        """What a job may count on."""
        return USABLE_SHARE * self.memory_bytes

    def peak_flops(self, dtype: str, convolutions: bool = False) -> float:
        """Return the peak for products in float32, bfloat16 or float16, of matrices or in convolutions."""
        if dtype != "float32":
            return self.half_flops
        return self.tf32_flops if convolutions else self.float32_flops


DEVICES = {
    device.name: device
    for device in (
        Device("a100-40g", "A100 40 GB", 42.4e9, 312e12, 156e12, 19.5e12, 1.555e12, "A100 data sheet"),
        Device("a100-80g", "A100 80 GB", 85.0e9, 312e12, 156e12, 19.5e12, 2.039e12, "A100 data sheet"),
        Device("h100", "H100 SXM 80 GB", 85.0e9, 989e12, 494e12, 67e12, 3.35e12, "H100 data sheet"),
        Device("h200", "H200 SXM 141 GB", 150.1e9, 989e12, 494e12, 67e12, 4.8e12, "H200 data sheet"),
        Device("l40s", "L40S 48 GB", 47.7e9, 362e12, 183e12, 91.6e12, 864e9, "L40S data sheet"),
        Device("a6000", "RTX A6000 48 GB", 50.9e9, 154.8e12, 77.4e12, 38.7e12, 768e9, "RTX A6000 data sheet"),
        Device(
            "rtx4090", "RTX 4090 24 GB", 25.3e9, 165.2e12, 82.6e12, 82.6e12, 1.008e12, "Ada architecture white paper"
        ),
        Device("rtx3090", "RTX 3090 24 GB", 25.3e9, 71e12, 35.6e12, 35.6e12, 936e9, "GA102 white paper"),
    )
}


def find_device(name: str) -> Device:
    """Return the device of a name.

    Raises:
        ValueError: It is not known; the message lists those that are.
    """
    if name not in DEVICES:
        raise ValueError(f"gpu: got {name!r}; allowed: null, {', '.join(DEVICES)}")
    return DEVICES[name]
