"""Parameters counted by arithmetic are those of the real classes, before and after widening."""

from __future__ import annotations

import pytest
import torch

from udpdiff.checkpoints import published
from udpdiff.model.transformer import PARENT_PARAMETERS, UDPDiffTransformer3DModel
from udpdiff.planning import parameters
from udpdiff.planning.training_memory import TrainingCase

# Base, what two streams and two task embeddings add.
WIDENING = {
    "THUDM/CogVideoX-2b": (1_693_783_872, 246_848),
    "THUDM/CogVideoX-5b": (5_570_283_072, 394_304),
    "zai-org/CogVideoX1.5-5B": (5_570_676_352, 787_584),
}


def count(network: torch.nn.Module) -> int:
    return sum(weight.numel() for weight in network.parameters())


@pytest.mark.parametrize("base, counted", WIDENING.items())
def test_widening_the_published_models_on_the_meta_device(base, counted):
    from diffusers import CogVideoXTransformer3DModel

    config = published.configs(base)["transformer"]
    with torch.device("meta"):
        plain = CogVideoXTransformer3DModel.from_config(config)
        given = {name: plain.config[name] for name in PARENT_PARAMETERS if name in plain.config}
        channels = {name: 2 * given[name] for name in ("in_channels", "out_channels")}
        widened = UDPDiffTransformer3DModel(**given | channels, num_tasks=2, num_streams=2)
    size, added = count(plain), count(widened) - count(plain)
    assert (size, added) == counted
    assert parameters.transformer_parameters(config) == size
    assert parameters.transformer_parameters(config, streams=2, num_tasks=2) == size + added
    assert parameters.block_parameters(config) == count(plain.transformer_blocks[0])


@pytest.mark.parametrize("base", [*WIDENING, "mini:cogvideox"])
def test_vae_and_text_encoder_are_those_of_the_real_classes(base):
    from diffusers import AutoencoderKLCogVideoX
    from transformers import T5Config, T5EncoderModel

    parts = parameters.base_parts(base)
    with torch.device("meta"):
        vae = AutoencoderKLCogVideoX.from_config(parts["vae"])
        text_encoder = T5EncoderModel(T5Config(**parts["text_encoder"]))
    assert parameters.vae_parameters(parts["vae"]) == count(vae)
    assert parameters.text_parameters(parts["text_encoder"]) == count(text_encoder)


def test_low_rank_updates_and_muons_share_are_counted_on_the_real_network():
    from diffusers import CogVideoXTransformer3DModel

    from udpdiff.model.lora import add_lora
    from udpdiff.training.optimizer import split_parameters

    config = parameters.base_parts("mini:cogvideox")["transformer"]
    given = {name: value for name, value in config.items() if name in PARENT_PARAMETERS}
    channels = {name: 2 * given[name] for name in ("in_channels", "out_channels")}
    with torch.device("meta"):
        plain = CogVideoXTransformer3DModel.from_config(config)
        matrices, _ = split_parameters(plain.named_parameters())
        widened = UDPDiffTransformer3DModel(**given | channels, num_tasks=2, num_streams=2)
    for network, streams, rows in ((plain, 1, 0), (widened, 2, 2)):
        with torch.device("meta"):
            add_lora(network, 4)
        trained = sum(weight.numel() for weight in network.parameters() if weight.requires_grad)
        case = TrainingCase(parameters.base_parts("mini:cogvideox"), {}, streams, rows, lora_rank=4)
        assert (case.trained, case.weights) == (trained, count(network))
    assert sum(weight.numel() for weight in matrices) == parameters.block_matrices(config)


def test_a_base_that_is_not_known_has_no_numbers():
    assert parameters.base_parts("someone/else") is None and parameters.base_parts("mini:nothing") is None
    assert parameters.base_parts("THUDM/CogVideoX-5b@abc")["transformer"]["num_layers"] == 42
