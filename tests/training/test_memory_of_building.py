"""Building a network costs the host one network, or this process's part of it, not a copy of the base beside it.

To export one costs as much: a network in the precision trained with, not that of the start and that of the end.
"""

from __future__ import annotations

import multiprocessing
import socket
from pathlib import Path

import pytest
import torch
from diffusers import CogVideoXDDIMScheduler, CogVideoXTransformer3DModel
from memory_process import grown_bytes

from udpdiff.training.checkpoint import save_checkpoint
from udpdiff.training.network import starting_transformer
from udpdiff.training.settings import TrainingSettings

LAYERS = 8


@pytest.fixture(scope="module")
def large_base(tmp_path_factory) -> tuple[str, int]:
    """A base of about 100 MB, and how many bytes its float32 weights take."""
    folder = tmp_path_factory.mktemp("large")
    transformer = CogVideoXTransformer3DModel(
        num_attention_heads=8,
        attention_head_dim=64,
        time_embed_dim=64,
        text_embed_dim=32,
        num_layers=LAYERS,
        sample_width=16,
        sample_height=16,
        sample_frames=9,
        max_text_seq_length=48,
        use_rotary_positional_embeddings=True,
    ).to(torch.bfloat16)
    transformer.save_pretrained(folder / "transformer", max_shard_size="20MB")
    CogVideoXDDIMScheduler().save_pretrained(folder / "scheduler")
    return str(folder), 4 * sum(weight.numel() for weight in transformer.parameters())


def grown(processes: int, folder: str, tmp_path: Path, *options: str) -> list[float]:
    """How much each process's own memory grew at most, bytes."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["udpdiff.training.loop", "training_process", "memory_process"])
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    outputs = [tmp_path / f"grown-{processes}-{rank}" for rank in range(processes)]
    started = [
        context.Process(target=grown_bytes, args=(rank, processes, port, folder, str(output), *options))
        for rank, output in enumerate(outputs)
    ]
    for process in started:
        process.start()
    for process in started:
        process.join(timeout=120)
        assert process.exitcode == 0
    return [float(output.read_text()) for output in outputs]


def test_host_memory_is_that_of_the_part_that_a_process_holds(large_base, tmp_path):
    folder, size = large_base
    spare = 0.25 * size  # one tensor at a time, and what the libraries take
    (alone,) = grown(1, folder, tmp_path)
    assert 0.9 * size < alone < size + spare
    for part in grown(2, folder, tmp_path):
        assert part < size / 2 + spare


@pytest.mark.parametrize(("precision", "share"), [("no", 1), ("bf16", 0.5)])
def test_an_export_holds_one_network_in_the_precision_trained_with(large_base, tmp_path, precision, share):
    folder, size = large_base
    settings = TrainingSettings("multi", folder, 1, {"seg": 0.5, "depth": 0.5}, 1, 2, 1e-3)
    weights = dict(starting_transformer(settings, folder).named_parameters())
    save_checkpoint(tmp_path / "state", 1, {}, {"weights": weights}, {})
    (alone,) = grown(1, folder, tmp_path, precision, str(tmp_path / "state"))
    assert 0.9 * share * size < alone < (share + 0.25) * size
