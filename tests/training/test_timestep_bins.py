"""Which quarter of the noise schedule a timestep is in."""

from __future__ import annotations

import torch

from udpdiff.training.log import timestep_bins


def test_quarters_begin_where_they_should_and_the_last_step_is_in_the_last():
    steps = torch.tensor([0, 249, 250, 499, 500, 749, 750, 999])
    assert timestep_bins(steps, 1000).tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    assert torch.bincount(timestep_bins(torch.arange(1000), 1000)).tolist() == [250] * 4
