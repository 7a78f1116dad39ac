"""How the tests of pipelines call them."""

from __future__ import annotations

import torch


def seeded(*seeds: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def quiet(pipeline):
    pipeline.set_progress_bar_config(disable=True)
    return pipeline
