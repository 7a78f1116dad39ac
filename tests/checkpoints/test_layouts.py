"""Published checkpoints, key for key: at their own size against the classes, at tiny size as files that our loaders read.

A layout file says which tensors a checkpoint has and how their sides follow from a few sizes, with its sources; none was
generated from the classes. No published file was at hand: which tensor lies in which file is not known, so that they are
dealt out in turn.
"""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from udpdiff.checkpoints import published
from udpdiff.model.base_parts import base_folder
from udpdiff.training.network import starting_transformer
from udpdiff.training.settings import TrainingSettings

LAYOUTS = Path(__file__).parent / "layouts"
TRANSFORMERS = ("cogvideox_2b", "cogvideox_5b", "cogvideox_1_5_5b")
TINY = {"width": 32, "head": 16, "time": 8, "text": 16}
LAYERS = 2


def read(name: str) -> dict:
    return json.loads((LAYOUTS / f"{name}.json").read_text())


def shapes(layout: dict, sizes: dict[str, int], times: int) -> dict[str, tuple[int, ...]]:
    """All tensors of a layout with the sides that some sizes give them."""
    prefix = layout["repeated"]["prefix"]
    tensors = dict(layout["tensors"])
    for number in range(times):
        tensors |= {f"{prefix}.{number}.{name}": sides for name, sides in layout["each"].items()}
    return {name: tuple(_side(side, sizes) for side in sides) for name, sides in tensors.items()}


def _side(side: str | int, sizes: dict[str, int]) -> int:
    if isinstance(side, int):
        return side
    factor, name = re.fullmatch(r"(?:(\d+)\*)?(\w+)", side).groups()
    return int(factor or 1) * sizes[name]


def shapes_of(network: torch.nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_a_published_transformer_has_the_tensors_of_the_class(name):
    from diffusers import CogVideoXTransformer3DModel

    layout = read(name)
    with torch.device("meta"):
        network = CogVideoXTransformer3DModel.from_config(published.configs(layout["model"])["transformer"])
    assert shapes(layout, layout["sizes"], layout["repeated"]["times"]) == shapes_of(network)


def test_the_published_text_encoder_has_the_tensors_of_the_class():
    from transformers import T5Config, T5EncoderModel

    layout = read("t5_xxl")
    with torch.device("meta"):
        network = T5EncoderModel(T5Config(**published.configs("THUDM/CogVideoX-5b")["text_encoder"]))
    own = shapes_of(network)
    own.pop("encoder.embed_tokens.weight")  # the same as shared.weight, which is stored once
    assert shapes(layout, layout["sizes"], layout["repeated"]["times"]) == own


def write_parts(folder: Path, stem: str, layout: dict, named: dict[str, tuple[int, ...]]) -> dict[str, torch.Tensor]:
    """Write tensors of the layout's dtype into as many files as it names, with their index where there are several."""
    folder.mkdir(parents=True, exist_ok=True)
    generator, dtype = torch.Generator().manual_seed(0), getattr(torch, layout["dtype"])
    tensors = {name: torch.randn(shape, generator=generator).to(dtype) for name, shape in named.items()}
    count = layout["files"]
    if count == 1:
        save_file(tensors, folder / f"{stem}.safetensors", {"format": "pt"})
        return tensors
    files = [f"{stem}-{number:05}-of-{count:05}.safetensors" for number in range(1, count + 1)]
    where = dict(zip(tensors, itertools.cycle(files), strict=False))
    for file in files:
        save_file({n: t for n, t in tensors.items() if where[n] == file}, folder / file, {"format": "pt"})
    total = sum(tensor.nbytes for tensor in tensors.values())
    index = {"metadata": {"total_size": total}, "weight_map": where}
    (folder / f"{stem}.safetensors.index.json").write_text(json.dumps(index))
    return tensors


@pytest.fixture(params=TRANSFORMERS)
def base(request, tmp_path) -> tuple[str, dict[str, torch.Tensor]]:
    """A base folder of a published layout at tiny width, and its tensors."""
    layout = read(request.param)
    config = published.configs(layout["model"])["transformer"]
    config |= {"num_attention_heads": 2, "attention_head_dim": TINY["head"], "num_layers": LAYERS}
    config |= {"time_embed_dim": TINY["time"], "text_embed_dim": TINY["text"], "max_text_seq_length": 4}
    config |= {"sample_height": 4, "sample_width": 4, "sample_frames": 9}
    folder = tmp_path / "transformer"
    tensors = write_parts(folder, "diffusion_pytorch_model", layout, shapes(layout, TINY, LAYERS))
    (folder / "config.json").write_text(json.dumps(config | {"_class_name": "CogVideoXTransformer3DModel"}))
    return str(tmp_path), tensors


def settings(folder: str, **changes) -> TrainingSettings:
    values = {"run": "run", "base": folder, "seed": 0, "tasks": {}, "steps": 1, "batch_size": 1, "learning_rate": 1e-3}
    return TrainingSettings(**values | changes)


def test_the_base_is_read_key_for_key(base):
    folder, tensors = base
    loaded = starting_transformer(settings(folder), base_folder(folder)).state_dict()
    assert set(loaded) == set(tensors)
    for name, tensor in tensors.items():
        assert loaded[name].dtype == torch.float32 and torch.equal(loaded[name], tensor.float()), name


def test_a_widened_network_has_the_bases_tensors_and_appends_to_three(base):
    folder, tensors = base
    tasks = {"seg": 0.5, "depth": 0.5}
    loaded = starting_transformer(settings(folder, tasks=tasks), base_folder(folder)).state_dict()
    added = set(loaded) - set(tensors)
    assert set(tensors) <= set(loaded) and len(added) == 1 and "task_embedding" in added.pop()
    changed = {name for name, tensor in tensors.items() if loaded[name].shape != tensor.shape}
    assert changed == {"patch_embed.proj.weight", "proj_out.weight", "proj_out.bias"}
    for name, tensor in tensors.items():
        own = loaded[name]
        if name == "patch_embed.proj.weight":
            own = own.flatten(1)[:, : tensor.flatten(1).shape[1]].reshape(tensor.shape)
        assert torch.equal(own[: len(tensor)], tensor.float()), name


def test_diffusers_own_loader_reads_the_same(base):
    from diffusers import CogVideoXTransformer3DModel

    folder, tensors = base
    network, report = CogVideoXTransformer3DModel.from_pretrained(
        folder, subfolder="transformer", output_loading_info=True
    )
    assert not report["missing_keys"] and not report["unexpected_keys"] and not report["mismatched_keys"]
    assert all(torch.equal(network.state_dict()[name].to(t.dtype), t) for name, t in tensors.items())


def test_a_tensor_that_is_missing_is_named(base):
    folder, tensors = base
    lost = "transformer_blocks.1.ff.net.2.bias"
    index = Path(folder) / "transformer/diffusion_pytorch_model.safetensors.index.json"
    if index.exists():
        content = json.loads(index.read_text())
        del content["weight_map"][lost]
        index.write_text(json.dumps(content))
    else:
        left = {name: tensor for name, tensor in tensors.items() if name != lost}
        save_file(left, index.with_name("diffusion_pytorch_model.safetensors"), {"format": "pt"})
    with pytest.raises(ValueError, match=r"no weight 'transformer_blocks\.1\.ff\.net\.2\.bias' \(1 are missing\)"):
        starting_transformer(settings(folder), base_folder(folder))


def test_the_text_encoder_is_read_from_two_files(tmp_path):
    from transformers import T5EncoderModel

    layout = read("t5_xxl")
    sizes = {"width": 16, "inner": 8, "hidden": 32, "vocabulary": 40, "heads": 2}
    tensors = write_parts(tmp_path, "model", layout, shapes(layout, sizes, LAYERS))
    config = published.configs("THUDM/CogVideoX-5b")["text_encoder"] | {"model_type": "t5", "num_layers": LAYERS}
    config |= {"d_model": 16, "d_kv": 4, "d_ff": 32, "vocab_size": 40, "num_heads": 2}
    (tmp_path / "config.json").write_text(json.dumps(config))
    network, report = T5EncoderModel.from_pretrained(tmp_path, output_loading_info=True)
    assert not report["missing_keys"] and not report["unexpected_keys"]
    assert all(torch.equal(network.state_dict()[name].to(t.dtype), t) for name, t in tensors.items())
