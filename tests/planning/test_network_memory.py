"""Counted numbers of arrays against the tensors, without data, that the real classes hold at the published sizes."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from live_bytes import LiveBytes
from torch._subclasses.fake_tensor import FakeTensorMode

from udpdiff.labelling.memory_plan import PUBLISHED_SIZES, TrackerSizes
from udpdiff.planning import network_memory, parameters
from udpdiff.planning.training_memory import TrainingCase, activation_bytes

SIZE = {"num_frames": 49, "height": 480, "width": 720}
PARTS = parameters.base_parts("THUDM/CogVideoX-5b")


def weight_bytes(network: torch.nn.Module) -> int:
    return sum(tensor.nbytes for tensor in network.parameters())


def held(build: Callable[[], torch.nn.Module], run: Callable[[torch.nn.Module], object], dtype=torch.float32) -> int:
    """Bytes at the peak, weights included."""
    default = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with FakeTensorMode():
            network = build().eval()
            live = LiveBytes()
            with live, torch.inference_mode():
                run(network)
            return weight_bytes(network) + live.peak
    finally:
        torch.set_default_dtype(default)


@pytest.mark.parametrize(
    "batch, decode, tiled", [(1, False, False), (3, False, False), (1, True, False), (1, False, True)]
)
def test_the_vae(batch, decode, tiled):
    from diffusers import AutoencoderKLCogVideoX

    def build():
        vae = AutoencoderKLCogVideoX.from_config(PARTS["vae"])
        if tiled:
            vae.enable_tiling()
        return vae

    shapes = {True: (batch, 16, 13, 60, 90), False: (batch, 3, 49, 480, 720)}
    found = held(build, lambda vae: (vae.decode if decode else vae.encode)(torch.empty(shapes[decode])))
    assert network_memory.vae_bytes(PARTS["vae"], SIZE, batch, "float32", decode, tiled) == pytest.approx(
        found, rel=0.01
    )


def test_the_text_encoder():
    from transformers import T5Config, T5EncoderModel

    def build():
        return T5EncoderModel(T5Config(**PARTS["text_encoder"]))

    found = held(build, lambda encoder: encoder(torch.zeros(16, 226, dtype=torch.long)))
    assert network_memory.text_bytes(PARTS, 16, "float32") == pytest.approx(found, rel=0.01)


def transformer(layers: int, **changes):
    from diffusers import CogVideoXTransformer3DModel

    return CogVideoXTransformer3DModel.from_config(PARTS["transformer"] | {"num_layers": layers} | changes)


def rotary() -> tuple[torch.Tensor, torch.Tensor]:
    return torch.empty(13 * 30 * 45, 64), torch.empty(13 * 30 * 45, 64)


def test_denoising():
    def run(network):
        latents, prompts = torch.empty(2, 13, 16, 60, 90), torch.empty(2, 226, 4096)
        network(latents, prompts, torch.empty(2), image_rotary_emb=rotary())

    found = held(lambda: transformer(4), run, torch.bfloat16)
    parts = PARTS | {"transformer": PARTS["transformer"] | {"num_layers": 4}}
    weights, elements = network_memory.denoising_numbers(parts, SIZE, 2, streams=1)
    assert 2 * (weights + elements) == pytest.approx(found, rel=0.01)


@pytest.mark.parametrize("batch", [1, 4])
def test_a_training_step_with_gradient_checkpointing(batch):
    """Six blocks: at batch 1 the peak is at the end of the backward pass, at batch 4 at its beginning."""
    widened = {"in_channels": 32, "out_channels": 32}
    with FakeTensorMode():
        network = transformer(6, **widened).train()
        network.enable_gradient_checkpointing()
        live = LiveBytes()
        latents, prompts = torch.empty(batch, 13, 32, 60, 90), torch.empty(batch, 226, 4096)
        with live:
            with torch.autocast("cpu", dtype=torch.bfloat16):
                output = network(latents, prompts, torch.ones(batch), image_rotary_emb=rotary()).sample
            output.float().pow(2).mean().backward()
    parts = PARTS | {"transformer": PARTS["transformer"] | {"num_layers": 6}}
    case = TrainingCase(parts, SIZE, batch=batch)
    assert activation_bytes(case, 4 * case.trained) == pytest.approx(live.peak, rel=0.03)


@pytest.mark.parametrize("size", ["t", "b+"])
def test_published_trackers(size):
    from udpdiff.labelling.sam2_checkpoint import build_predictor

    name = {"t": "tiny", "b+": "base-plus"}[size]
    predictor = build_predictor(f"configs/sam2.1/sam2.1_hiera_{size}.yaml", [])
    assert TrackerSizes.of(predictor) == PUBLISHED_SIZES[f"facebook/sam2.1-hiera-{name}"]
