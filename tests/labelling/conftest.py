"""Reference values of the labellers, which lie beside the project; tests that need them are skipped without them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[3] / "shared" / "golden"


class GoldenCase:
    """One case of one labeller: its settings, its inputs, and what the upstream implementation gave."""

    def __init__(self, folder: Path) -> None:
        from safetensors.torch import load_file

        self.settings = json.loads((folder / "case.json").read_text())
        self.input, self.expected = (load_file(folder / f"{name}.safetensors") for name in ("input", "expected"))

    def check(self, name: str, values) -> None:
        """Compare with an expected tensor under the tolerance that the case states."""
        import torch

        tolerance = self.settings["tolerance_abs"][name]
        torch.testing.assert_close(torch.as_tensor(values), self.expected[name], atol=tolerance, rtol=0)


@pytest.fixture(scope="session")
def golden_folder():
    """Return the folder of a labeller's reference values; skips where there are none."""

    def find(labeller: str) -> Path:
        if not (FOLDER / labeller).is_dir():
            pytest.skip(f"no reference values at ../shared/golden/{labeller}")
        return FOLDER / labeller

    return find


@pytest.fixture(scope="session")
def golden_case(golden_folder):
    """Return a case by labeller and name."""
    return lambda labeller, case: GoldenCase(golden_folder(labeller) / f"case_{case}")
