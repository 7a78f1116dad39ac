"""The warning before bfloat16 is used where it is emulated."""

import warnings

import pytest
import torch

from udpdiff.model import precision


def test_slow_bfloat16_is_warned_of_with_the_key_and_the_remedy(monkeypatch):
    monkeypatch.setattr(precision, "_fastest", lambda dtype: 4.0 if dtype == torch.bfloat16 else 1.0)
    with pytest.warns(UserWarning, match=r'sampling.dtype: bfloat16 is 4 times slower.*Set it to "float32"'):
        precision.warn_of_slow_bfloat16("sampling.dtype", '"float32"')


def test_fast_bfloat16_is_not_warned_of(monkeypatch):
    monkeypatch.setattr(precision, "_fastest", lambda dtype: 1.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        precision.warn_of_slow_bfloat16("sampling.dtype", '"float32"')


def test_products_take_time():
    assert precision._fastest(torch.float32) > 0
