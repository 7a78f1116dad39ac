"""Reference values of the metrics, which lie beside the project; tests that need them are skipped without them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest


class Golden:
    """Reads expected.json and safetensors files of one part of the reference values."""

    folder = Path(__file__).resolve().parents[3] / "shared" / "golden" / "metrics"

    def json(self, part: str, name: str = "expected.json") -> dict:
        path = self.folder / part / name
        if not path.exists():
            pytest.skip(f"no reference values at ../shared/golden/metrics/{part}/{name}")
        return json.loads(path.read_text())

    def tensors(self, part: str, name: str) -> dict:
        from safetensors.numpy import load_file

        return load_file(self.folder / part / name)


@pytest.fixture(scope="session")
def golden() -> Golden:
    return Golden()
