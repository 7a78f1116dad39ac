"""References to checkpoints: mini names become folders, everything else passes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from udpdiff import checkpoints


@pytest.mark.parametrize("ref", ["THUDM/CogVideoX-5b", "/some/folder", "relative/folder", "cogvideox"])
def test_other_references_pass_unchanged(ref):
    assert checkpoints.resolve(ref) == ref


def test_mini_reference_leads_to_its_folder(tmp_path, monkeypatch):
    (tmp_path / "small").mkdir()
    (tmp_path / "small" / "config.json").write_text("{}")
    monkeypatch.setattr(checkpoints, "_FOLDER", tmp_path)
    assert Path(checkpoints.resolve("mini:small")) == tmp_path / "small"


def test_unknown_mini_reference_lists_what_exists(tmp_path, monkeypatch):
    (tmp_path / "small").mkdir()
    (tmp_path / "small" / "config.json").write_text("{}")
    (tmp_path / "empty").mkdir()
    monkeypatch.setattr(checkpoints, "_FOLDER", tmp_path)
    with pytest.raises(ValueError, match=r"mini:large.*mini:small") as raised:
        checkpoints.resolve("mini:large")
    assert "mini:empty" not in str(raised.value)


def test_shipped_checkpoints_are_small_and_name_no_folder_of_the_machine_they_were_trained_on():
    folder = Path(checkpoints.__file__).parent
    weights = sum(path.stat().st_size for path in folder.rglob("*.safetensors"))
    assert 0 < weights < 24_000_000
    configs = list(folder.rglob("*.json"))
    assert configs
    for path in configs:
        assert not re.search(r'"(/|[A-Z]:\\)\w', path.read_text()), path
