"""A GPU where there is one, a CPU where there is none, and an error where one was given and does not work."""

from __future__ import annotations

import pytest
import torch

from udpdiff.default_device import default_device


@pytest.mark.parametrize("given", ["", "-1", "NoDevFiles"])
def test_without_gpus_a_cpu(monkeypatch, given):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.version, "cuda", "13.2")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", given)
    assert default_device() == "cpu"


def test_gpus_that_do_not_work_are_no_reason_to_take_a_cpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    monkeypatch.setattr(torch.version, "cuda", "13.2")
    with pytest.raises(
        ValueError, match=r"CUDA_VISIBLE_DEVICES: got 0,1, GPUs that torch .* cannot use.*driver for CUDA 13.2"
    ):
        default_device()
    monkeypatch.setattr(torch.version, "cuda", None)  # a torch that knows no GPUs at all was chosen so
    assert default_device() == "cpu"
