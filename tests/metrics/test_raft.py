"""RAFT of torchvision as optical flow, with random weights: its pictures, its file, and what is refused."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torchvision.models import optical_flow

from udpdiff.files import file_sha256
from udpdiff.metrics.extractors import load_extractors
from udpdiff.metrics.flow import load_flow
from udpdiff.metrics.raft import OWN, own_file


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return optical_flow.raft_small(weights=None).eval()


@pytest.fixture(scope="module")
def file(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "raft_small.pth"
    torch.save(model.state_dict(), path)
    return path


def reference(path) -> str:
    return f"raft:{path}#{file_sha256(path)}"


def video(height: int, width: int) -> np.ndarray:
    """Two frames that differ, and one like the second."""
    first, second = np.random.default_rng(0).integers(0, 256, (2, height, width, 3), np.uint8)
    return np.stack([first, second, second])


def test_flow_is_the_networks_own_of_the_padded_picture(file, model):
    estimator, frames = load_flow(reference(file)), video(66, 136)
    found = estimator.flow(frames)
    assert found.shape == (2, 66, 136, 2) and found.dtype == np.float32
    assert not found[1].any(), "equal frames have no flow, to the digit"
    rows, columns = np.clip(np.arange(128), 0, 65), np.arange(136)
    padded = [torch.from_numpy(frame[rows][:, columns]).permute(2, 0, 1)[None] / 255 for frame in frames[:2]]
    with torch.inference_mode():
        first, second = optical_flow.Raft_Small_Weights.C_T_V1.transforms()(*padded)
        expected = model(first, second, num_flow_updates=20)[-1][0, :, :66].permute(1, 2, 0).numpy()
    np.testing.assert_allclose(found[0], expected, atol=1e-3)


def test_the_record_has_name_and_digest(file, tmp_path):
    networks = load_extractors("mini:video_encoder", flow=reference(file)).networks
    digest = file_sha256(file)
    assert (networks["flow"].name, networks["flow"].sha256) == (f"raft_small {digest[:12]} (torchvision)", digest)
    large = tmp_path / "large.safetensors"
    save_file(optical_flow.raft_large(weights=None).state_dict(), large)
    assert load_flow(reference(large)).name.startswith("raft_large ")
    assert load_extractors("mini:video_encoder", flow="dis").networks["flow"].sha256 is None


class Hostile:
    """What a pickle that carries code does when it is opened."""

    def __init__(self, path) -> None:
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def test_what_is_no_file_of_weights_is_refused(file, tmp_path):
    hostile, other = tmp_path / "hostile.pth", tmp_path / "other.pth"
    hostile.write_bytes(pickle.dumps(Hostile(tmp_path / "was_run")))
    torch.save({"module.fnet.conv1.weight": torch.zeros(1)}, other)
    for ref, words in (
        (f"raft:{file}", "expected one to be named.*then write raft:"),
        (f"raft:{file}#{'0' * 64}", f"has SHA-256 {file_sha256(file)}"),
        (f"raft:{tmp_path / 'none.pth'}#{'0' * 64}", "no file"),
        (reference(hostile), "no plain tensors"),
        (reference(other), "is not the weights of torchvision's raft_large or raft_small"),
        ("farneback", "expected dis, raft_large, raft_small or raft:FILE#SHA256"),
    ):
        with pytest.raises(ValueError, match=words):
            load_flow(ref)
    assert not (tmp_path / "was_run").exists()


def test_torchvisions_own_weights_are_those_in_torchs_cache(file, tmp_path, monkeypatch):
    urls = [optical_flow.Raft_Large_Weights.C_T_V1.url, optical_flow.Raft_Small_Weights.C_T_V1.url]
    assert [url.rpartition("/")[2] for url in urls] == list(OWN.values())
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ValueError, match=r"nothing is fetched; .*raft_small_C_T_V1.*download.pytorch.org"):
        load_flow("raft_small")
    own_file("raft_small").parent.mkdir(parents=True)
    own_file("raft_small").write_bytes(file.read_bytes())
    assert str(own_file("raft_small").parent.parent) == torch.hub.get_dir()
    assert load_flow("raft_small").sha256 == file_sha256(file)
