"""Descriptions of videos in words, by Video-LLaVA or a Qwen-VL of transformers; which one, the checkpoint itself says.

Gives what the model says, unchanged: clean-up, token limits and the detection of useless words are in
`caption_cleaning`. A caption of one file, from the project's folder:

    from udpdiff.labelling.captioner import Captioner
    captioner = Captioner.from_pretrained("Qwen/Qwen3-VL-8B-Instruct", dtype="bfloat16")
    print(captioner.caption_file("film.mp4"))
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from udpdiff.checkpoints import local_folder
from udpdiff.default_device import default_device
from udpdiff.finite import check_finite
from udpdiff.labelling.image_preparation import check_images
from udpdiff.video_io import probe, read_video

if TYPE_CHECKING:
    import torch
    from transformers import ProcessorMixin

INSTRUCTION = (
    "Describe this video in one paragraph: who and what is in it, how they look, what they do from beginning to end, "
    "the surroundings, and how the camera moves."
)
# Warm enough to leave the rut of a greedy answer that went wrong, cool enough to stay on the subject.
SAMPLING = {"do_sample": True, "temperature": 0.7, "top_p": 0.9}
# The None values silence checkpoints whose generation_config.json sets what only sampling uses.
GREEDY = {"do_sample": False, "temperature": None, "top_p": None, "top_k": None}


@dataclass(frozen=True)
class Family:
    """How checkpoints of one kind are asked.

    choose_frames: (number of frames, fps) -> indices of the frames that the model is shown, int64, ascending.
    write_prompt: (processor, instruction) -> the prompt's text with a place for one video.
    """

    choose_frames: Callable[[int, float], np.ndarray]
    write_prompt: Callable[[ProcessorMixin, str], str]


def uniform_frames(total: int, fps: float) -> np.ndarray:
    """Eight frames from the first to the last, repeated where there are fewer: what Video-LLaVA was trained on.

    Source: Video-LLaVA (arXiv 2311.10122); PKU-YuanGroup/Video-LLaVA, its processor for videos.
    """
    return np.linspace(0, total - 1, 8).astype(np.int64)


def two_frames_a_second(total: int, fps: float) -> np.ndarray:
    """Two frames a second, an even number of 4 to 128 of them, from the first to the last.

    Source: the sampling rate and the least number of Qwen2.5-VL (arXiv 2502.13923) and Qwen3-VL, whose patches span two
    frames; the limit is ours.
    """
    wanted = 2 * math.ceil(total / fps)
    return np.linspace(0, total - 1, min(max(wanted, 4), 128)).round().astype(np.int64)


def write_vicuna_prompt(processor: ProcessorMixin, instruction: str) -> str:
    """Video-LLaVA's conversation, which its checkpoints need not carry as a chat template."""
    return f"USER: {processor.video_token}\n{instruction} ASSISTANT:"


def write_chat_prompt(processor: ProcessorMixin, instruction: str) -> str:
    """The conversation by the checkpoint's own chat template."""
    content = [{"type": "video"}, {"type": "text", "text": instruction}]
    return processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)


_VIDEO_LLAVA, _QWEN = Family(uniform_frames, write_vicuna_prompt), Family(two_frames_a_second, write_chat_prompt)
# By `model_type` in the checkpoint's config.json.
FAMILIES = {"video_llava": _VIDEO_LLAVA, "qwen2_5_vl": _QWEN, "qwen3_vl": _QWEN, "qwen3_vl_moe": _QWEN}


class Captioner:
    """Says what happens in videos.

    Source: UDPDiff, section 4.1, which captions with Video-LLaVA of a size that was never published; the 7B that was is
    `LanguageBind/Video-LLaVA-7B-hf`.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        processor: ProcessorMixin,
        instruction: str | None = None,
        max_new_tokens: int = 256,
    ):
        self.model = model.eval()
        self.processor = processor
        self.instruction = instruction or INSTRUCTION
        self.max_new_tokens = max_new_tokens
        self.family = FAMILIES[model.config.model_type]
        # Answers are appended, so shorter prompts of a batch are filled up in front.
        processor.tokenizer.padding_side = "left"
        if processor.tokenizer.pad_token is None:
            processor.tokenizer.pad_token = processor.tokenizer.eos_token

    @classmethod
    def from_pretrained(
        cls,
        ref: str,
        device: str | torch.device | None = None,
        dtype: str | torch.dtype | None = None,
        instruction: str | None = None,
        max_new_tokens: int = 256,
    ) -> Captioner:
        """Load a captioner; code that comes with a checkpoint is never run.

        Args:
            ref: Folder or hub id, e.g. "Qwen/Qwen3-VL-8B-Instruct".
            device: None for CUDA where there is one.
            dtype: None for float32.
            instruction: None for INSTRUCTION.
            max_new_tokens: Of an answer, at most.

        Raises:
            ValueError: A checkpoint of another kind.
        """
        import torch
        from transformers import AutoConfig, AutoModelForImageTextToText, AutoProcessor

        folder = local_folder(str(ref))
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
        if config.model_type not in FAMILIES:
            raise ValueError(
                f"Got captioner {ref!r} of type {config.model_type!r}. Expected one of {sorted(FAMILIES)}, "
                "e.g. Qwen/Qwen3-VL-8B-Instruct or LanguageBind/Video-LLaVA-7B-hf."
            )
        device = device or default_device()
        model = AutoModelForImageTextToText.from_pretrained(
            folder, dtype=dtype or torch.float32, trust_remote_code=False
        ).to(device)
        processor = AutoProcessor.from_pretrained(folder, trust_remote_code=False)
        return cls(model, processor, instruction, max_new_tokens)

    def caption(
        self, videos: Sequence[np.ndarray], fps: float, batch_size: int = 8, seed: int | None = None
    ) -> list[str]:
        """Return what the model says of each video, in order; "" is a possible answer.

        Args:
            videos: uint8 (T, H, W, 3) each, of any sizes.
            fps: Frames a second, of all of them.
            batch_size: Videos that the model sees at once.
            seed: None for the likeliest words (greedy), a number for words drawn at random, the same again for the same
                batch.

        Raises:
            ValueError: Other inputs, or words whose likelihoods are not finite.
        """
        import torch

        for video in videos:
            check_images(video, "a video")
        if batch_size < 1 or not fps > 0:
            raise ValueError(f"Got batch_size={batch_size}, fps={fps}. Expected at least 1, and more than 0.")
        captions = []
        for start in range(0, len(videos), batch_size):
            inputs = self._prepare(videos[start : start + batch_size], fps)
            with torch.inference_mode():
                captions += self._answer(inputs, seed)
        return captions

    def caption_file(self, path: str | os.PathLike[str], seed: int | None = None) -> str:
        """The same for one video file, every frame of which is decoded into memory. ValueError where it cannot be read."""
        return self.caption([read_video(path)], probe(path).fps, seed=seed)[0]

    def _prepare(self, videos, fps):
        from transformers.video_utils import VideoMetadata

        prompt = self.family.write_prompt(self.processor, self.instruction)
        chosen = [self.family.choose_frames(len(video), fps) for video in videos]
        inputs = self.processor(
            text=[prompt] * len(videos),
            videos=[video[frames] for video, frames in zip(videos, chosen, strict=True)],
            video_metadata=[
                VideoMetadata(total_num_frames=len(video), fps=fps, frames_indices=frames.tolist())
                for video, frames in zip(videos, chosen, strict=True)
            ],
            do_sample_frames=False,  # done above, alike for all versions of the processors
            padding=True,
            return_tensors="pt",
        )
        return inputs.to(self.model.device, self.model.dtype)

    def _answer(self, inputs, seed):
        import torch

        cuda = [self.model.device] if self.model.device.type == "cuda" else []
        with torch.random.fork_rng(devices=cuda):
            if seed is not None:
                torch.manual_seed(seed)
            choice = GREEDY if seed is None else SAMPLING
            tokens = self.model.generate(
                **inputs, max_new_tokens=self.max_new_tokens, logits_processor=[self._check_scores], **choice
            )
        answers = tokens[:, inputs["input_ids"].shape[1] :]
        return [text.strip() for text in self.processor.tokenizer.batch_decode(answers, skip_special_tokens=True)]

    def _check_scores(self, tokens: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Return the scores of the next words, (B, V), as they are; NotFinite where none is the likeliest.

        Without this the greedy choice is the first word of the vocabulary, again and again. Single words may be ruled out
        by minus infinity.
        """
        check_finite(scores.amax(-1), "the likelihoods of the next words", self.model.dtype)
        return scores
