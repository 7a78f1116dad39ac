"""Inputs of strangers carry no code and open no other file: model folders, shards, lists of files, tables."""

from __future__ import annotations

import contextlib
import json
import pickle
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from udpdiff.checkpoints import hub, resolve
from udpdiff.labelling import cropformer_checkpoint
from udpdiff.labelling.captioner import write_chat_prompt
from udpdiff.storage.shards import ShardReader, ShardWriter


class Code:
    """What a pickle that carries code does when it is opened: it leaves a file behind."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return open, (str(self.mark), "w")


def _vae(folder):
    from udpdiff.model.loading import load_vae

    load_vae(folder, "cpu")


def _transformer(folder):
    from udpdiff.model.loading import widened_pipeline

    widened_pipeline(folder, {"depth": "spectral"})


def _text(folder):
    from udpdiff.model.text import PromptEncoder

    PromptEncoder.from_pretrained(folder, "cpu")


def _crafter(folder):
    from udpdiff.labelling.depthcrafter import DepthCrafter

    DepthCrafter.from_pretrained(folder, device="cpu")


def _anything(folder):
    from udpdiff.labelling.depth_anything import DepthAnything

    DepthAnything.from_pretrained(folder, "cpu")


def _cropformer(folder):
    from udpdiff.labelling.cropformer import CropFormer

    CropFormer.from_pretrained(folder, "cpu")


def _segmenter(folder):
    from udpdiff.labelling.segmenter import EntitySegmenter

    EntitySegmenter.from_pretrained(folder, "cpu")


def _tracker(folder):
    from udpdiff.labelling.propagation import MaskTracker

    MaskTracker.from_pretrained(folder, "cpu")


def _subjects(folder):
    from udpdiff.metrics.features import SubjectEncoder

    SubjectEncoder.from_pretrained(folder)


def _images(folder):
    from udpdiff.metrics.features import ImageEncoder

    ImageEncoder.from_pretrained(folder)


def _videos(folder):
    from udpdiff.metrics.video_encoders import VideoMAE

    VideoMAE.from_pretrained(folder)


# Shipped folder, the file in it that holds weights, and what loads it.
LOADED = {
    "vae": ("cogvideox", "vae/diffusion_pytorch_model.safetensors", _vae),
    "transformer": ("cogvideox", "transformer/diffusion_pytorch_model.safetensors", _transformer),
    "text encoder": ("cogvideox", "text_encoder/model.safetensors", _text),
    "depthcrafter": ("depthcrafter", "unet/diffusion_pytorch_model.safetensors", _crafter),
    "depthcrafter's vae": ("depthcrafter", "vae/diffusion_pytorch_model.safetensors", _crafter),
    "depthcrafter's image encoder": ("depthcrafter", "image_encoder/model.safetensors", _crafter),
    "depth anything": ("depth_anything", "model.safetensors", _anything),
    "cropformer": ("cropformer", "model.safetensors", _cropformer),
    "mask2former": ("cropformer", "model.safetensors", _segmenter),
    "sam2": ("sam2", "sam2.safetensors", _tracker),
    "subject encoder": ("subject_encoder", "model.safetensors", _subjects),
    "image encoder": ("image_encoder", "model.safetensors", _images),
    "video encoder": ("video_encoder", "model.safetensors", _videos),
}


@pytest.mark.parametrize("as_name", ["pickle", "safetensors"])
@pytest.mark.parametrize("part", LOADED)
def test_a_pickle_in_a_model_folder_is_not_opened(tmp_path, part, as_name):
    name, weights, load = LOADED[part]
    folder, mark = tmp_path / name, tmp_path / "ran"
    shutil.copytree(resolve(f"mini:{name}"), folder)
    path = folder / weights
    assert path.is_file()
    path.unlink()
    pickled = {"pickle": "pytorch_model.bin" if path.name == "model.safetensors" else "diffusion_pytorch_model.bin"}
    path.with_name(pickled.get(as_name, path.name)).write_bytes(pickle.dumps({"weight": Code(mark)}))
    if as_name == "pickle":  # the zip that torch writes, too
        torch.save({"weight": Code(mark)}, path.with_name("model.pt"))
    with pytest.raises(Exception):  # noqa: B017 - of many libraries, and none of them opens it
        load(str(folder))
    assert not mark.exists()


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("part", LOADED)
def test_code_beside_a_model_is_not_run(tmp_path, monkeypatch, part, known):
    """Whatever its configuration names, and even for somebody who would say yes."""
    name, weights, load = LOADED[part]
    folder, mark = tmp_path / name, tmp_path / "ran"
    shutil.copytree(resolve(f"mini:{name}"), folder)
    inside = (folder / weights).parent
    (inside / "evil.py").write_text(f"open({str(mark)!r}, 'w')\n")
    for path in inside.glob("*.json"):
        content = json.loads(path.read_text())
        kinds = ("AutoConfig", "AutoModel", "AutoProcessor", "AutoImageProcessor", "AutoTokenizer")
        content |= {"auto_map": dict.fromkeys(kinds, "evil.Evil"), "custom_pipelines": {"evil": "evil"}}
        path.write_text(json.dumps(content if known else content | {"model_type": "evil", "_class_name": "evil"}))
    monkeypatch.setattr("builtins.input", lambda *_: "y")
    with contextlib.suppress(Exception):
        load(str(folder))
    assert not mark.exists()


def strange_shard(path: Path, kind: str, secret: Path) -> Path:
    """A shard in which a dataset's values lie in another file."""
    with ShardWriter(path, "depth", {}) as writer:
        writer.add("a", {"depth": np.zeros((2, 4, 4), np.uint16)})
    with h5py.File(path, "r+") as file:
        values = file["data/depth"][:]
        del file["data/depth"]
        if kind == "external link":
            with h5py.File(secret.with_suffix(".h5"), "w") as other:
                other["depth"] = values
            file["data/depth"] = h5py.ExternalLink(secret.with_suffix(".h5"), "depth")
        elif kind == "external storage":
            secret.write_bytes(values.tobytes())
            external = [(str(secret), 0, values.nbytes)]
            file["data"].create_dataset("depth", values.shape, values.dtype, external=external)
        elif kind == "virtual":
            with h5py.File(secret.with_suffix(".h5"), "w") as other:
                other["depth"] = values
            layout = h5py.VirtualLayout(values.shape, values.dtype)
            layout[:] = h5py.VirtualSource(secret.with_suffix(".h5"), "depth", values.shape)
            file["data"].create_virtual_dataset("depth", layout)
        else:
            file["data/other"] = values
            file["data/depth"] = h5py.SoftLink("/data/other")
    return path


@pytest.mark.parametrize("kind", ["external link", "external storage", "virtual", "soft link"])
def test_a_shard_holds_its_values_itself(tmp_path, kind):
    path = strange_shard(tmp_path / "0.h5", kind, tmp_path / "secret")
    with pytest.raises(RuntimeError, match=r"0\.h5: .*'depth'.* elsewhere"):
        ShardReader(path).read("a", "depth")


def test_a_hub_cannot_name_files_outside_its_folder():
    named = [
        "../../evil.pt",
        "/tmp/evil.pt",
        "a/../../evil.pt",
        "model.pt",
        "../config.json",
        "transformer/../../config.json",
    ]
    assert hub.chosen_files(named, hub.SAM2) == ["model.pt"]
    assert hub.chosen_files(named, ("transformer", "../transformer", "..")) == []


@pytest.mark.parametrize(
    "template",
    [
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ cycler.__init__.__globals__.os.system('touch ran') }}",
        "{% set x = messages.append(1) %}",
    ],
)
def test_a_chat_template_reaches_nothing_but_the_words(tmp_path, monkeypatch, template):
    from jinja2.exceptions import SecurityError
    from transformers import T5Tokenizer

    monkeypatch.chdir(tmp_path)
    tokenizer = T5Tokenizer.from_pretrained(resolve("mini:cogvideox"), subfolder="tokenizer")
    tokenizer.chat_template = template
    with pytest.raises(SecurityError):
        write_chat_prompt(tokenizer, "Describe.")
    assert not (tmp_path / "ran").exists()


def test_a_converted_checkpoint_is_not_unpickled(tmp_path, monkeypatch):
    mark = tmp_path / "ran"
    torch.save({"model": Code(mark)}, tmp_path / "a.pth")
    monkeypatch.setattr("sys.argv", ["cropformer_checkpoint", str(tmp_path / "a.pth"), str(tmp_path / "folder")])
    with pytest.raises((Exception, SystemExit)):
        cropformer_checkpoint.main()
    assert not mark.exists()
