"""Entity propagation: first-frame entity ids -> per-entity mask logits on every frame, with SAM 2.

    >>> from udpdiff import CropFormer, MaskTracker, read_video
    >>> video = read_video("clip.mp4")
    >>> first = CropFormer.from_pretrained("mini:cropformer").segment(video[0])
    >>> logits, ids = MaskTracker.from_pretrained("mini:sam2").track(video, first)

The tracker drives the `sam2` package's batched video predictor on frames held in memory. It knows nothing about
how the first frame was segmented, nor how overlapping logits become one label per pixel (see `cleanup.py`).
"""

from __future__ import annotations

import inspect
import types
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from udpdiff.checkpoints import hub, local_folder, resolve
from udpdiff.default_device import default_device
from udpdiff.finite import check_finite
from udpdiff.labelling.memory_plan import memory_horizon, objects_at_once
from udpdiff.labelling.sam2_checkpoint import BATCHED_PREDICTOR, CONFIG_NAME, WEIGHTS_NAME, read_folder, write_folder
from udpdiff.pixel_statistics import IMAGENET_MEAN, IMAGENET_STD
from udpdiff.progress import progress

if TYPE_CHECKING:
    import torch

DTYPE_KEY = "labels.tracker.dtype"  # or the argument dtype, without a workflow
# Small holes are filled in cleanup.py; the package would need its CUDA extension for it and warn without.
NO_HOLE_FILLING = "++model.fill_hole_area=0"


class Tracks(NamedTuple):
    """Mask logits float32 (N, T, H, W), above 0 inside, and the N entity ids they belong to, ascending."""

    logits: np.ndarray
    entity_ids: list[int]


def preprocess_frames(video: np.ndarray, image_size: int) -> torch.Tensor:
    """Squash uint8 (T, H, W, 3) frames to normalised float32 (T, 3, S, S), as the package does with jpg files."""
    import torch
    from PIL import Image

    resized = [np.asarray(Image.fromarray(frame).resize((image_size, image_size))) for frame in video]
    images = torch.from_numpy(np.stack(resized)).permute(0, 3, 1, 2).float() / 255.0
    return (images - torch.tensor(IMAGENET_MEAN)[:, None, None]) / torch.tensor(IMAGENET_STD)[:, None, None]


def autocast(device: torch.device, dtype: torch.dtype | None):
    """The context that computes in `dtype`; None and float32 change nothing."""
    import torch

    return torch.autocast(device.type, dtype=dtype, enabled=dtype not in (None, torch.float32))


def keep_highest(logits: torch.Tensor) -> torch.Tensor:
    """Let the highest of N masks stand at each place, the first of equal ones, and put the others at -10 or below.

    Seam: replaces `SAM2Base._apply_non_overlapping_constraints` (sam2 1.1.0), whose argmax over the masks takes several times as
    long on a CPU.

    Args:
        logits: Float (N, 1, H, W), without NaN.
    """
    import torch

    if len(logits) == 1:
        return logits
    highest = logits.amax(dim=0)
    free, kept = torch.ones_like(highest, dtype=torch.bool), []
    for mask in logits:
        own = free & (mask == highest)
        kept.append(torch.where(own, mask, mask.clamp(max=-10.0)))
        free &= ~own
    return torch.stack(kept)


class MaskTracker:
    """Tracks entity masks from the first frame through a clip with a SAM 2 video predictor.

    Memory: see `memory_plan`. It is bounded in the clip's length, but for 12 S x S bytes of host memory per frame, and
    in the number of objects by `max_objects_per_batch` (None: as many as fit on the GPU, 16 on a CPU): each batch
    encodes the frames anew. Where a model lets no masks overlap in its memory (mini:sam2, none of the
    published ones), only objects of one batch compete. `track` also holds its result, (N, T, H, W) logits; `track_ids`
    two (T, H, W) arrays.
    50 objects x 49 frames of 720 x 480 with sam2.1-hiera-large (S = 1024) in one batch allocate at most 8.2 GiB beside
    the weights, counted in float32 on tensors without data as tests/labelling/test_memory_plan.py does.

    Attributes:
        show_progress: Whether tracking draws a bar.

    Source: SAM 2 (arXiv 2408.00714); UDPDiff section 4.1 for its use on entities.
    """

    show_progress = False

    def __init__(self, predictor, dtype: torch.dtype | None = None):
        self.predictor = predictor.eval()
        self.dtype = dtype
        # The predictor stores memories as bfloat16 and widens them only by autocast or beside object pointers.
        predictor.memory_attention.register_forward_pre_hook(_widen_memory, with_kwargs=True)
        predictor._apply_non_overlapping_constraints = keep_highest

    @classmethod
    def from_pretrained(
        cls, ref: str | Path, device: str | torch.device | None = None, dtype: torch.dtype | None = None
    ) -> MaskTracker:
        """Load a SAM 2.

        Args:
            ref: A hub id that the sam2 package knows, a `mini:` name, or a folder with `sam2.safetensors`, the package's
                own state dict, and `sam2.json`, which names the package's yaml (`config`), the hydra `overrides` and, if
                they are not the package's, the hidden units of the mask decoder (`mask_decoder_mlp_dim`).
            device: None for CUDA where there is one.
            dtype: Of autocast; None for bfloat16 on a GPU, else float32.

        Raises:
            ValueError: Any other reference.
        """
        import torch

        place = resolve(str(ref))
        device = torch.device(device or default_device())
        dtype = dtype or (torch.bfloat16 if device.type == "cuda" else torch.float32)
        if (Path(place) / CONFIG_NAME).is_file():
            return cls(read_folder(Path(local_folder(place)), device), dtype)
        from sam2.build_sam import HF_MODEL_ID_TO_FILENAMES, build_sam2_video_predictor

        name, _ = hub.split(place) or (None, None)
        if name not in HF_MODEL_ID_TO_FILENAMES:
            raise ValueError(
                f"Got SAM 2 reference {ref!r}. Expected a folder holding {WEIGHTS_NAME} and {CONFIG_NAME}, "
                f"or one of {sorted(HF_MODEL_ID_TO_FILENAMES)}."
            )
        config, file = HF_MODEL_ID_TO_FILENAMES[name]
        weights = Path(local_folder(place, hub.SAM2)) / file
        overrides = [BATCHED_PREDICTOR, NO_HOLE_FILLING]
        return cls(
            build_sam2_video_predictor(config, str(weights), device=str(device), hydra_overrides_extra=overrides), dtype
        )

    def save_pretrained(
        self, folder: str | Path, config: str, overrides: Sequence[str], mask_decoder_mlp_dim: int | None = None
    ) -> None:
        """Write the float16 weights and the json that `from_pretrained` reads."""
        write_folder(self.predictor, Path(folder), config, overrides, mask_decoder_mlp_dim)

    def track(
        self,
        video: np.ndarray,
        entity_ids0: np.ndarray,
        max_objects_per_batch: int | None = 16,
        images: torch.Tensor | None = None,
    ) -> Tracks:
        """Track every entity of the first frame.

        Args:
            video: uint8 (T, H, W, 3).
            entity_ids0: Integer (H, W), 0 = none.
            max_objects_per_batch: See the class.
            images: The video as `preprocess_frames` gives it, if that was done already, in another thread for example.

        Returns:
            Logits float32 (N, T, H, W), above 0 inside, and the N ids.

        Raises:
            ValueError: Shapes disagree, the first frame has no entity, or logits are not finite.
        """
        ids = _check(video, entity_ids0)
        logits = np.empty((len(ids), *video.shape[:3]), np.float32)
        tracked = self._propagate(video, entity_ids0, ids, max_objects_per_batch, images)
        for first, frame_idx, frame_logits in tracked:
            logits[first : first + len(frame_logits), frame_idx] = frame_logits
        return Tracks(logits, ids)

    def track_ids(
        self,
        video: np.ndarray,
        entity_ids0: np.ndarray,
        max_objects_per_batch: int | None = 16,
        images: torch.Tensor | None = None,
    ) -> np.ndarray:
        """Like `track`, but returns uint16 (T, H, W) ids, the largest positive logit winning, 0 where none is."""
        ids = np.asarray(_check(video, entity_ids0), np.uint16)
        best = np.zeros(video.shape[:3], np.float32)
        labels = np.zeros(video.shape[:3], np.uint16)
        tracked = self._propagate(video, entity_ids0, list(ids), max_objects_per_batch, images)
        for first, frame_idx, frame_logits in tracked:
            top = frame_logits.max(axis=0)
            wins = top > best[frame_idx]
            labels[frame_idx][wins] = ids[first + frame_logits.argmax(axis=0)][wins]
            best[frame_idx][wins] = top[wins]
        return labels

    def _propagate(
        self,
        video: np.ndarray,
        entity_ids0: np.ndarray,
        ids: list[int],
        max_objects_per_batch: int | None,
        images: torch.Tensor | None = None,
    ) -> Iterator[tuple[int, int, np.ndarray]]:
        """Yield (index of the first object, frame_idx, logits float32 (n, H, W)) chunk by chunk."""
        import torch

        if max_objects_per_batch is None:
            max_objects_per_batch = objects_at_once(self.predictor, *video.shape[:3])
        if max_objects_per_batch < 1:
            raise ValueError(f"Got max_objects_per_batch={max_objects_per_batch}. Expected at least 1, or None.")
        device, horizon = self.predictor.device, memory_horizon(self.predictor)
        # They stay in host memory: the predictor moves one at a time.
        images = preprocess_frames(video, self.predictor.image_size) if images is None else images
        for first in range(0, len(ids), max_objects_per_batch):
            chunk = ids[first : first + max_objects_per_batch]
            with torch.inference_mode(), autocast(device, self.dtype):
                state = init_state(self.predictor, images, *video.shape[1:3])
                for obj_id in chunk:
                    self.predictor.add_new_mask(state, 0, int(obj_id), torch.from_numpy(entity_ids0 == obj_id))
                frames = _propagate_quietly(self.predictor, state)
                title = f"entities {first + 1} to {first + len(chunk)} of {len(ids)} followed"
                for frame_idx, _, masks in progress(frames, title, len(video), unit="frame", shown=self.show_progress):
                    _forget(state, frame_idx, horizon)
                    check_finite(masks, f"SAM 2's logits of frame {frame_idx}", self.dtype or masks.dtype, DTYPE_KEY)
                    yield first, frame_idx, masks[:, 0].float().cpu().numpy()


def init_state(predictor, images: torch.Tensor, height: int, width: int) -> dict:
    """The predictor's own `init_state`, for normalised frames (T, 3, S, S) in memory instead of a path.

    Seam: `init_state` reads its frames through the module-level `load_video_frames`; this runs the same function
    with that one name answered by `images`, leaving the package untouched.
    """
    load = _rebound(type(predictor).init_state, load_video_frames=lambda **_: (images, height, width))
    return load(predictor, video_path=None)


def _propagate_quietly(predictor, state: dict) -> Iterator:
    """`propagate_in_video` without its progress bar (one per chunk would fill the logs of a data set)."""
    propagate = _rebound(type(predictor).propagate_in_video, tqdm=lambda frames, **_: frames)
    return propagate(predictor, state)


def _rebound(function, **names):
    """A copy of `function` that sees `names` in place of its module's globals of the same names."""
    plain = inspect.unwrap(function)
    missing = [name for name in names if name not in plain.__globals__ or name not in plain.__code__.co_names]
    if missing:
        raise RuntimeError(f"Got a sam2 version whose {plain.__name__} does not use {missing}; tested with 1.1.0.")
    return types.FunctionType(plain.__code__, {**plain.__globals__, **names}, plain.__name__, plain.__defaults__)


def _widen_memory(module, args: tuple, kwargs: dict) -> tuple[tuple, dict]:
    return args, kwargs | {"memory": kwargs["memory"].to(kwargs["memory_pos"].dtype)}


def _forget(state: dict, frame_idx: int, horizon: int) -> None:
    """Drop what no later frame reads; the predictor itself keeps everything.

    That is: prompts, once propagation has begun; masks, once a frame is done; all of a frame that lies too far back.
    """
    for prompts in state["mask_inputs_per_obj"].values():
        prompts.clear()
    for outputs in (state["output_dict"], *state["output_dict_per_obj"].values()):
        outputs["non_cond_frame_outputs"].pop(frame_idx - horizon, None)
        for frames in outputs.values():
            if frame_idx in frames:
                frames[frame_idx]["pred_masks"] = None


def _check(video: np.ndarray, entity_ids0: np.ndarray) -> list[int]:
    """Validate the inputs and return the entity ids of the first frame, ascending."""
    if video.ndim != 4 or video.shape[-1] != 3 or video.dtype != np.uint8:
        raise ValueError(f"Got video {video.dtype} {video.shape}. Expected uint8 (T, H, W, 3).")
    if entity_ids0.shape != video.shape[1:3] or not np.issubdtype(entity_ids0.dtype, np.integer):
        raise ValueError(
            f"Got entity_ids0 {entity_ids0.dtype} {entity_ids0.shape}. Expected integers of the video's frame shape "
            f"{video.shape[1:3]}; pass the entity ids of the first frame alone."
        )
    ids = [int(entity_id) for entity_id in np.unique(entity_ids0) if entity_id != 0]
    if not ids:
        raise ValueError(
            "Got a first frame without entities (all ids are 0). Expected at least one entity; "
            "reject the clip, or lower the segmenter's score threshold."
        )
    return ids
