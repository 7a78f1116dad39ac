"""What labellers, captioners and feature extractors hold on a GPU: by count, or as their authors say.

Source: Tencent/DepthCrafter, README (26 GB at 1024 x 576, 9 GB at 512 x 256, window of 110 frames); `labelling.memory_plan`
for SAM 2; the other numbers of arrays were counted on tensors without data.
"""

from __future__ import annotations

from udpdiff.config.data import ClipSize
from udpdiff.config.labels import Captions, DepthCrafterEstimator, DepthEstimator, EntityLabeller, Tracker
from udpdiff.counted import counted
from udpdiff.labelling.depthcrafter import working_size
from udpdiff.labelling.memory_plan import PUBLISHED_SIZES, plan_sizes
from udpdiff.planning.checkpoint_sizes import is_local, weight_bytes
from udpdiff.planning.figures import Memory
from udpdiff.planning.network_memory import BYTES

_DEPTHCRAFTER = ((512 * 256, 9e9), (1024 * 576, 26e9))
_DEPTHCRAFTER_CHECKPOINT = "tencent/DepthCrafter"
_DEPTH_ANYTHING_SIDE, _DEPTH_ANYTHING_FLOATS = 518, 305  # short side; per pixel of a frame, with 256 fused channels
_SEGMENTER_BYTES = 1.2e9  # activations of Mask2Former (Swin-L) on one image of 800 x 1216
_VIEWS = 5  # that CropFormer looks at
_EXTRACTOR_BYTES = 3e9  # activations of 32 frames, or of 16 videos of 16 frames, of base-sized transformers
# Of a captioner: bytes of keys and values a token in half precision, tokens of a clip's frames and the words around them.
_CAPTIONERS = {
    "LanguageBind/Video-LLaVA-7B-hf": (2 * 2 * 32 * 4096, 8 * 257 + 100),
    "Qwen/Qwen2.5-VL-7B-Instruct": (2 * 2 * 28 * 4 * 128, None),
    "Qwen/Qwen3-VL-4B-Instruct": (2 * 2 * 36 * 8 * 128, None),
    "Qwen/Qwen3-VL-8B-Instruct": (2 * 2 * 36 * 8 * 128, None),
}
_TOKEN_ACTIVATIONS = 80_000  # bytes a token while a prompt is read
_QWEN_PATCH = 32


def entity_memory(labeller: EntityLabeller, tracker: Tracker, size: ClipSize) -> tuple[Memory | None, str]:
    """Return the peak with SAM 2 and what segments the first frame; and what is said of the number of objects."""
    sizes = PUBLISHED_SIZES.get(tracker.checkpoint.partition("@")[0])
    segmenter = 0.0
    if labeller.model == "segmenter":
        # A file that is yours to name is taken for the largest, which EntitySeg's CropFormer is.
        weights = weight_bytes(labeller.segmenter, 4) if labeller.segmenter else 0.9e9
        segmenter = None if weights is None else weights + _VIEWS * _SEGMENTER_BYTES
    if sizes is None or segmenter is None:
        return None, ""
    plan = plan_sizes(sizes, size.num_frames, size.height, size.width)
    objects = tracker.max_objects or 1
    said = f"{counted(objects, 'object')} at once" if tracker.max_objects else "one object, as many as fit"
    peak = segmenter + plan.peak_bytes(objects)
    return Memory(peak, "counted", f"SAM 2 with {said}, first frames' segmenter {segmenter / 1e9:.1f} GB"), said


def depth_memory(labeller: DepthEstimator, size: ClipSize) -> Memory | None:
    """Return the peak of a depth labeller; None where no source speaks of it."""
    if isinstance(labeller, DepthCrafterEstimator):
        if labeller.checkpoint.partition("@")[0] != _DEPTHCRAFTER_CHECKPOINT:
            return None
        height, width = working_size(size.height, size.width, labeller.max_side)
        (few, low), (many, high) = _DEPTHCRAFTER
        peak = low + (high - low) * (height * width - few) / (many - few)
        basis = f"DepthCrafter's README, on the line through 9 GB at 512 x 256 and 26 GB at 1024 x 576, at {width} x {height}"
        return Memory(peak, "cited", basis)
    weights = weight_bytes(labeller.checkpoint, 4)
    if weights is None:
        return None
    if is_local(labeller.checkpoint):
        return None  # whose sizes are its own
    scale = _DEPTH_ANYTHING_SIDE / min(size.height, size.width)
    pixels = size.height * size.width * scale**2
    peak = weights + labeller.batch_frames * 4 * _DEPTH_ANYTHING_FLOATS * pixels
    return Memory(peak, "counted", f"weights and the activations of {labeller.batch_frames} frames at once, float32")


def caption_tokens(captions: Captions, size: ClipSize) -> int | None:
    """Return the tokens of a clip's prompt; None for a captioner that nothing is known of."""
    name = (captions.captioner or "").partition("@")[0]
    if name not in _CAPTIONERS:
        return None
    _, tokens = _CAPTIONERS[name]
    if tokens is not None:
        return tokens
    pairs = max(2, round(size.num_frames / size.fps))  # of two frames a second
    return pairs * (size.height // _QWEN_PATCH) * (size.width // _QWEN_PATCH) + 100


def caption_memory(captions: Captions, size: ClipSize) -> Memory | None:
    """Return the peak of a captioner; None without one, and for one that nothing is known of."""
    tokens = caption_tokens(captions, size)
    if tokens is None:
        return None
    keys, _ = _CAPTIONERS[captions.captioner.partition("@")[0]]
    weights = weight_bytes(captions.captioner, BYTES[captions.dtype])
    tokens += captions.max_new_tokens
    each = tokens * (keys + _TOKEN_ACTIVATIONS) * BYTES[captions.dtype] / 2
    basis = f"weights in {captions.dtype}, {captions.batch_clips} clips of {tokens:,} tokens at once"
    return Memory(weights + captions.batch_clips * each, "counted", basis)


def extractor_memory(references: list[str]) -> Memory | None:
    """Return the peak of feature extractors that are loaded together; None where one is not known."""
    weights = [weight_bytes(reference, 4) for reference in references]
    if None in weights:
        return None
    return Memory(sum(weights) + _EXTRACTOR_BYTES, "counted", "weights in float32, 3 GB allowed for activations")
