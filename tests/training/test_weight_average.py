"""The average of the weights by its formula, from the first step on."""

from __future__ import annotations

import torch
from torch import nn

from udpdiff.training.optimizer import weight_average


def test_after_every_step_the_average_keeps_a_share_that_grows_up_to_the_decay():
    weight = nn.Parameter(torch.tensor([4.0, -2.0]))
    average, expected = weight_average([weight], 0.6), weight.detach().clone()
    for step in range(1, 25):  # the decay is reached at step 13
        with torch.no_grad():
            weight += torch.tensor([1.0, -0.5]) * step
        average.step([weight])
        kept = min(0.6, (1 + step) / (10 + step))
        expected = kept * expected + (1 - kept) * weight.detach()
        torch.testing.assert_close(average.shadow_params[0], expected)
