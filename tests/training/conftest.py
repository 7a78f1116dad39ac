"""A tiny base checkpoint and tiny latent shards, as the stages before training write them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import numpy as np
import pytest

from udpdiff.storage.dataset import LatentSource
from udpdiff.storage.shards import ShardWriter
from udpdiff.training.settings import TrainingSettings

LATENTS = (3, 16, 16, 16)
PROMPTS = (48, 32)
LATENT_ATTRS = {"scaling_factor": 0.7, "vae": "tiny"}


@pytest.fixture(scope="session")
def base(tmp_path_factory, tiny_vae, tiny_text_encoder, tiny_tokenizer) -> str:
    """A CogVideoX pipeline folder with the tiny components."""
    import torch
    from diffusers import CogVideoXDDIMScheduler, CogVideoXPipeline, CogVideoXTransformer3DModel

    torch.manual_seed(2)
    transformer = CogVideoXTransformer3DModel(
        num_attention_heads=2,
        attention_head_dim=16,
        time_embed_dim=16,
        text_embed_dim=32,
        num_layers=2,
        sample_width=16,
        sample_height=16,
        sample_frames=9,
        patch_size=4,
        max_text_seq_length=48,
        use_rotary_positional_embeddings=True,
    )
    scheduler = CogVideoXDDIMScheduler(
        prediction_type="v_prediction", rescale_betas_zero_snr=True, snr_shift_scale=1.0, timestep_spacing="linspace"
    )
    folder = tmp_path_factory.mktemp("base")
    parts = (tiny_tokenizer, tiny_text_encoder, tiny_vae, transformer, scheduler)
    CogVideoXPipeline(*parts).save_pretrained(folder)
    return str(folder)


def _write_streams(
    folder: Path, clips: int, colourings: int = 3, first: int = 0, rejected: tuple[str, ...] = (), flat: float = 0.0
) -> dict[str, Path]:
    """Write one shard per stream: `video`, `seg` (K colourings), `depth`, `plain`.

    rejected: clips rejected for seg. flat: latents of one value per channel and of this scale, which a model of width
    32 can learn; white noise it cannot.
    """
    rng = np.random.default_rng(first)
    shapes = {"video": LATENTS, "seg": (colourings, *LATENTS), "depth": LATENTS}
    names = [f"clip-{number:03d}" for number in range(first, first + clips)]
    paths = {stream: folder / stream / f"{first}.h5" for stream in (*shapes, "plain")}
    for stream, shape in shapes.items():
        with ShardWriter(paths[stream], "latents", LATENT_ATTRS) as writer:
            for name in names:
                if stream == "seg" and name in rejected:
                    writer.reject(name, "coverage below 0.5")
                else:
                    drawn = rng.standard_normal((*shape[:-2], 1, 1)) * flat if flat else rng.standard_normal(shape)
                    writer.add(name, {"latents": np.broadcast_to(drawn, shape).astype(np.float16)})
    with ShardWriter(paths["plain"], "text", {"text_style": "plain"}) as writer:
        for name in [*names, ""]:
            captions = [rng.standard_normal(PROMPTS).astype(np.float16) for _ in range(2)]
            # One empty prompt for all shards, as the text encoder would give.
            captions = captions if name else [np.zeros(PROMPTS, np.float16)] * 2
            writer.add(name, dict(zip(("brief", "detailed"), captions, strict=True)))
    return paths


@pytest.fixture
def write_streams() -> Callable[..., dict[str, Path]]:
    """The writer of such shards, for clips of a test's own."""
    return _write_streams


@pytest.fixture(scope="session")
def streams(tmp_path_factory) -> dict[str, Path]:
    """Shards of 6 clips."""
    return _write_streams(tmp_path_factory.mktemp("latents"), clips=6)


@pytest.fixture
def make_source(streams) -> Callable[..., LatentSource]:
    """Factory: a source of these clips for some tasks."""

    def make(*tasks: str, streams: dict[str, Path] = streams) -> LatentSource:
        dense = {task: [streams[task]] for task in tasks}
        return LatentSource([streams["video"]], dense, {"plain": [streams["plain"]]})

    return make


@pytest.fixture
def make_settings(base) -> Callable[..., TrainingSettings]:
    """Factory: settings of a short run over these clips."""

    def make(**values) -> TrainingSettings:
        defaults = {
            "run": "multi",
            "base": base,
            "seed": 5,
            "tasks": {"seg": 0.5, "depth": 0.5},
            "steps": 4,
            "batch_size": 4,
            "learning_rate": 1e-3,
            "warmup_steps": 2,
            "checkpoint_every_steps": 100,
            "log_every_steps": 2,
            "validation_clips": 0,
            "keep_optimizer": True,
        }
        return TrainingSettings(**{**defaults, **values})

    return make


@pytest.fixture
def stop_after(monkeypatch) -> Callable[..., AbstractContextManager]:
    """Context in which a training dies after so many steps."""
    from udpdiff.training.step import Stepper

    @contextmanager
    def dying(steps: int):
        step = Stepper.step
        with monkeypatch.context() as patched:
            patched.setattr(
                Stepper, "step", lambda self, batch: 1 / 0 if self.steps_done == steps else step(self, batch)
            )
            with pytest.raises(ZeroDivisionError):
                yield

    return dying


@pytest.fixture
def read_checkpoint() -> Callable[..., dict[str, object]]:
    """Reader of all tensors of a checkpoint, as PART/NAME."""
    from whole_tensors import read_whole

    def read(folder: Path, step: int) -> dict[str, object]:
        parts = [path for path in (folder / f"checkpoint-{step}").iterdir() if path.is_dir()]
        return {f"{part.name}/{name}": value for part in parts for name, value in read_whole(part).items()}

    return read
