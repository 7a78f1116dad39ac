"""How fast a captioner writes, counted: reading a prompt is bound by products, writing an answer by reading the weights."""

from __future__ import annotations

from udpdiff.config.data import ClipSize
from udpdiff.config.labels import Captions
from udpdiff.planning.checkpoint_sizes import find_checkpoint
from udpdiff.planning.devices import REACHED_SHARE, Device
from udpdiff.planning.labeller_memory import caption_tokens
from udpdiff.planning.network_memory import BYTES
from udpdiff.planning.speeds import Speed


def caption_speed(captions: Captions, size: ClipSize, device: Device) -> Speed | None:
    """Return the speed of answers of the greatest length; None without a captioner, and for one that is not known."""
    if captions.captioner is None:
        return None
    known, prompt = find_checkpoint(captions.captioner), caption_tokens(captions, size)
    if known is None or prompt is None:
        return None
    reading = 2 * known.weights * prompt / (REACHED_SHARE * device.peak_flops(captions.dtype))
    weights = known.weights * BYTES[captions.dtype]
    writing = captions.max_new_tokens * weights / (REACHED_SHARE * device.memory_rate) / captions.batch_clips
    basis = (
        f"{prompt:,} tokens read at {REACHED_SHARE:.0%} of the peak of the {device.label}, {captions.max_new_tokens} written, each of "
        f"them reading {weights / 1e9:.1f} GB of weights at {REACHED_SHARE:.0%} of its memory's rate, {captions.batch_clips} clips at once"
    )
    return Speed(3600 / (reading + writing), "counted", basis)
