"""The peak memory of every kind of job of a configuration, on a GPU and on the host, and what makes it smaller.

Imports no model library, for preflight asks it at every parse.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from udpdiff.config.schema import Config, Training
from udpdiff.counted import counted
from udpdiff.planning import network_memory, parameters
from udpdiff.planning.checkpoint_sizes import weight_bytes
from udpdiff.planning.figures import Memory
from udpdiff.planning.labeller_memory import caption_memory, depth_memory, entity_memory, extractor_memory
from udpdiff.planning.training_memory import TrainingCase, optimizer_bytes, training_bytes, training_memory

# Of a process that has loaded torch and its libraries and works on a GPU; and of clips that wait in it.
_PROGRAM_BYTES, _CLIPS_BYTES = 3e9, 2e9
_PROMPTS = 16  # that the text encoder takes at once: the brief and detailed ones of 8 clips


@dataclass(frozen=True)
class Need:
    """One kind of job.

    Attributes:
        stage: As the plan calls it.
        key: Of the configuration, which names what the job loads.
        gpu: Of one process; None where it is not known.
        host: Likewise.
        remedies: What makes the first smaller, with what is left then; the first that suffices is advised.
    """

    stage: str
    key: str
    gpu: Memory | None
    host: Memory
    remedies: tuple[tuple[str, float], ...] = ()


class JobMemory:
    """The peaks of a configuration's jobs."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.size = config.clip_size().model_dump(include={"num_frames", "height", "width"})

    @cached_property
    def parts(self) -> dict[str, dict[str, Any]] | None:
        """The configurations of the base's networks; None where they are not known."""
        return parameters.base_parts(self.config.model.base)

    def needs(self) -> list[Need]:
        """Return every kind of job that loads a network, in the order of the plan."""
        return [
            *self._entities(),
            *self._depth(),
            *self._captions(),
            *self._encoding(),
            *self._trainings(),
            *self._sampling(),
            self._features(),
        ]

    def _entities(self) -> Iterator[Need]:
        labels = self.config.labels
        for name, labeller in labels.entities.items():
            peak, _ = entity_memory(labeller, labels.tracker, self.config.clip_size())
            remedies = []
            if labels.tracker.max_objects and peak:
                fewer = entity_memory(
                    labeller, labels.tracker.model_copy(update={"max_objects": 1}), self.config.clip_size()
                )
                remedies = [("labels.tracker.max_objects: null", fewer[0].bytes)]
            smaller = labels.tracker.model_copy(
                update={"checkpoint": "facebook/sam2.1-hiera-small", "max_objects": None}
            )
            other, _ = entity_memory(labeller, smaller, self.config.clip_size())
            remedies += [("labels.tracker.checkpoint: facebook/sam2.1-hiera-small", other.bytes)] if other else []
            yield Need(f"entities/{name}", f"labels.entities.{name}", peak, self._host(1e9), tuple(remedies))

    def _depth(self) -> Iterator[Need]:
        size = self.config.clip_size()
        for name, labeller in self.config.labels.depth.items():
            key = f"labels.depth.{name}"
            peak, remedies = depth_memory(labeller, size), []
            changes = (
                [{"max_side": side} for side in (768, 640, 512, 384)]
                if labeller.model == "depthcrafter"
                else [{"batch_frames": count} for count in (8, 4, 1)]
            )
            for change in changes:
                [(field, value)] = change.items()
                if peak and getattr(labeller, field) > value:
                    smaller = depth_memory(labeller.model_copy(update=change), size)
                    remedies.append((f"{key}.{field}: {value}", smaller.bytes))
            yield Need(
                f"depth/{name}", key, peak, self._host(weight_bytes(labeller.checkpoint, 4) or 0), tuple(remedies)
            )

    def _captions(self) -> Iterator[Need]:
        captions, key = self.config.labels.captions, "labels.captions"
        if captions.captioner is None:
            return
        peak, remedies = caption_memory(captions, self.config.clip_size()), []
        for clips in (4, 2, 1):
            if peak and clips < captions.batch_clips:
                fewer = caption_memory(captions.model_copy(update={"batch_clips": clips}), self.config.clip_size())
                remedies.append((f"{key}.batch_clips: {clips}", fewer.bytes))
        weights = weight_bytes(captions.captioner, network_memory.BYTES[captions.dtype]) or 0
        yield Need("captions", f"{key}.captioner", peak, self._host(weights), tuple(remedies))

    def _encoding(self) -> Iterator[Need]:
        encoding = self.config.encoding
        yield self._vae("latents", decode=False)
        if encoding.text == "stored":
            yield self._text()

    def _vae(self, stage: str, decode: bool) -> Need:
        """The VAE alone: encoding, and for codec_quality decoding too."""
        encoding, key = self.config.encoding, "encoding"
        tries = [(encoding.vae_dtype, encoding.batch_clips, "")]
        tries += [
            (encoding.vae_dtype, 1, f"{key}.batch_clips: 1"),
            ("bfloat16", 1, f"{key}.vae_dtype: bfloat16, batch_clips: 1"),
        ]
        if self.parts is None:
            return Need(stage, key, None, self._host(1e9))
        peaks = [network_memory.vae_bytes(self.parts["vae"], self.size, n, dtype, decode) for dtype, n, _ in tries]
        basis = f"VAE in {tries[0][0]}, {counted(encoding.batch_clips, 'clip')} at once, not tiled"
        remedies = [(words, peak) for (_, _, words), peak in zip(tries[1:], peaks[1:], strict=True) if peak < peaks[0]]
        return Need(stage, key, Memory(peaks[0], "counted", basis), self._host(1e9), tuple(remedies))

    def _text(self) -> Need:
        dtype = self.config.encoding.text_dtype
        if self.parts is None:
            return Need("latents/text", "encoding.text_dtype", None, self._host(0))
        peak, half = (network_memory.text_bytes(self.parts, _PROMPTS, each) for each in (dtype, "bfloat16"))
        remedies = [("encoding.text_dtype: bfloat16", half)] if half < peak else []
        gpu = Memory(peak, "counted", f"T5 in {dtype}, {_PROMPTS} prompts at once")
        weights = network_memory.BYTES[dtype] * parameters.text_parameters(self.parts["text_encoder"])
        return Need("latents/text", "encoding.text_dtype", gpu, self._host(weights), tuple(remedies))

    def _trainings(self) -> Iterator[Need]:
        for run in self.config.runs:
            yield self.training(run)

    def training(self, run: str) -> Need:
        """Return what one process of a training needs."""
        recipe, key = self.config.run_training(run), "training"
        if self.parts is None:
            return Need(f"train/{run}", key, None, self._host(0))
        case = self.training_case(run, recipe)
        peak = training_memory(case)
        remedies = [(words, training_bytes(other).total) for words, other in _easier(case, recipe)]
        smaller = tuple((words, left) for words, left in remedies if left < peak.bytes)
        return Need(f"train/{run}", key, peak, self._training_host(case), smaller)

    def training_case(self, run: str, recipe: Training) -> TrainingCase:
        """Return what decides the memory of a run's training."""
        config, spec = self.config, self.config.run(run)
        rows = len(spec.tasks) if spec.task_condition == "embedding" and len(spec.tasks) > 1 else 0
        live = config.encoding.text == "live"
        return TrainingCase(
            parts=self.parts,
            size=self.size,
            streams=2 if spec.tasks else 1,
            num_tasks=rows,
            batch=max(1, recipe.batch_size // (config.gpus * recipe.gradient_accumulation_steps)),
            processes=config.gpus,
            sharding=recipe.sharding,
            optimizer=recipe.optimizer,
            lora_rank=recipe.lora_rank,
            half=recipe.mixed_precision != "no",
            frozen_bytes=4 if recipe.mixed_precision == "no" else 2,  # as training.network keeps them
            checkpointing=recipe.gradient_checkpointing,
            average=recipe.ema_decay is not None,
            offloaded=recipe.offload_optimizer,
            text_bytes=network_memory.BYTES[config.encoding.text_dtype] if live else None,
        )

    def _training_host(self, case: TrainingCase) -> Memory:
        """Host memory of the first process, which exports the run at the end, when training holds nothing more.

        Until then weights are read tensor by tensor, and states of an offloaded optimizer stay.
        """
        exported = case.frozen_bytes * case.weights  # in the precision trained with
        waiting = _CLIPS_BYTES + (optimizer_bytes(case) if case.offloaded else 0)  # each process has all states
        states = ", the optimizer's states" if case.offloaded else ""
        basis = "program, then the network to export, in the first process"
        if waiting > exported:
            basis = f"program, batches that wait, one tensor at a time{states}"
        return Memory(_PROGRAM_BYTES + max(waiting, exported), "counted", basis)

    def _sampling(self) -> Iterator[Need]:
        sampling = self.config.sampling
        if self.parts is None:
            yield Need("sample", "sampling", None, self._host(0))
            return
        guided, streams = sampling.guidance_scale > 1, 2 if any(r.tasks for r in self.config.runs.values()) else 1
        asked = {"streams": streams, "guided": guided}

        def peak(prompts: int, dtype: str, offload: bool) -> float:
            return network_memory.sampling_bytes(self.parts, self.size, prompts, dtype, offload=offload, **asked)

        now = peak(sampling.batch_size, sampling.dtype, sampling.offload)
        tries = {
            "sampling.batch_size: 1": peak(1, sampling.dtype, sampling.offload),
            "sampling.batch_size: 1, dtype: bfloat16": peak(1, "bfloat16", sampling.offload),
            "sampling.batch_size: 1, dtype: bfloat16, offload: true": peak(1, "bfloat16", True),
        }
        basis = (
            f"transformer, T5 and VAE in {sampling.dtype}, {sampling.batch_size} at once"
            + ", offloaded" * sampling.offload
        )
        gpu, host = Memory(now, "counted", basis), self._host(self._pipeline_bytes())
        remedies = tuple((words, left) for words, left in tries.items() if left < now)
        yield Need("sample", "sampling", gpu, host, remedies)
        codec = self._vae("codec_quality", decode=True)
        yield replace(codec, host=self._host(1e9 + _CLIPS_BYTES))
        if 4 in self.config.report.tables:
            alone = Memory(
                peak(1, sampling.dtype, sampling.offload), "counted", basis.replace(f"{sampling.batch_size} at", "1 at")
            )
            yield Need("measure_runtime", "sampling", alone, host, remedies)

    @property
    def frozen_parts(self) -> int:
        """Parameters of T5 and VAE, which no training changes."""
        return parameters.text_parameters(self.parts["text_encoder"]) + parameters.vae_parameters(self.parts["vae"])

    def _pipeline_bytes(self) -> float:
        each = network_memory.BYTES[self.config.sampling.dtype]
        return each * (parameters.transformer_parameters(self.parts["transformer"], 2) + self.frozen_parts)

    def _features(self) -> Need:
        names = ("subject_encoder", "image_encoder", "video_encoder", "kernel_encoder")
        peak = extractor_memory([each for name in names if (each := getattr(self.config.metrics, name))])
        return Need("features", "metrics", peak, self._host(2e9))

    def _host(self, weights: float) -> Memory:
        return Memory(
            _PROGRAM_BYTES + _CLIPS_BYTES + weights, "counted", "program, weights on their way to the GPU, clips"
        )


def _easier(case: TrainingCase, recipe: Training) -> Iterator[tuple[str, TrainingCase]]:
    """Yield changes that need less memory, the mildest first; the first two are part of all that follow."""
    given, samples = [], case.batch

    def words(*changes: str) -> str:
        return "training." + ", ".join([*given, *changes])

    if not case.checkpointing:
        case = replace(case, checkpointing=True)
        given.append("gradient_checkpointing: true")
        yield words(), case
    if case.batch > 1:
        given.append(f"gradient_accumulation_steps: {recipe.gradient_accumulation_steps * case.batch}")
        case = replace(case, batch=1)
        yield words(), case
    if case.text_bytes is not None:
        yield f"encoding.text: stored{', ' + words() if given else ''}", replace(case, text_bytes=None)
    whole = case.sharding == "none"
    if whole and case.processes > 1:
        yield words(*_for_adamw(case), "sharding: full"), replace(case, optimizer="adamw", sharding="full")
    if case.lora_rank:
        return
    if whole and case.optimizer != "adamw_8bit":
        yield words("optimizer: adamw_8bit"), replace(case, optimizer="adamw_8bit")
    if whole and not case.offloaded:
        yield words(*_for_adamw(case), "offload_optimizer: true"), replace(case, optimizer="adamw", offloaded=True)
    few, lora = words(*_for_adamw(case), "lora_rank: 64"), replace(case, optimizer="adamw", lora_rank=64)
    yield few, lora
    if whole and case.processes == 1:
        more = replace(case, optimizer="adamw", sharding="full", processes=8, batch=max(1, samples // 8))
        yield "gpus: 8, training." + ", ".join([*_for_adamw(case), "sharding: full"]), more
    if case.text_bytes is not None:  # T5 takes a third of what LoRA needs
        yield f"encoding.text: stored, {few}", replace(lora, text_bytes=None)


def _for_adamw(case: TrainingCase) -> list[str]:
    return [] if case.optimizer == "adamw" else ["optimizer: adamw"]


def unfit(needs: Iterable[Need], usable_bytes: float) -> Iterator[tuple[Need, str]]:
    """Yield the jobs that a GPU with so many bytes cannot do, with what to change."""
    for need in needs:
        if need.gpu is None or need.gpu.bytes <= usable_bytes:
            continue
        enough = [f"{words} ({left / 1e9:.1f} GB)" for words, left in need.remedies if left <= usable_bytes]
        yield need, "; or ".join(enough[:4]) if enough else "a smaller model, smaller clips or a larger GPU"
