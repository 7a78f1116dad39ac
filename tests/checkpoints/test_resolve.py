"""References to checkpoints: mini names become folders, everything else passes."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from udpdiff import checkpoints
from udpdiff.files import file_sha256
from udpdiff.storage.errors import StorageError
from udpdiff.storage.sealed import read_record


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


def test_the_weights_of_shipped_checkpoints_are_what_they_were(tmp_path, monkeypatch):
    folder = Path(checkpoints.__file__).parent
    files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.safetensors"))
    listed = read_record(folder / "digests.json")["files"]
    how = "seal_folder(Path('udpdiff/checkpoints'), '*.safetensors')"
    assert listed == {name: file_sha256(folder / name) for name in files}, f"after new weights call {how}"

    shutil.copytree(folder / "sam2", tmp_path / "sam2")
    shutil.copy(folder / "digests.json", tmp_path)
    monkeypatch.setattr(checkpoints, "_FOLDER", tmp_path)
    assert checkpoints.local_folder("mini:sam2") == str(tmp_path / "sam2")
    weights = tmp_path / "sam2" / "sam2.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(
        StorageError, match=r"mini:sam2: a file in .*sam2 is not what the package brought.*git checkout"
    ):
        checkpoints.local_folder("mini:sam2")


def test_shipped_checkpoints_are_small_and_name_no_folder_of_the_machine_they_were_trained_on():
    folder = Path(checkpoints.__file__).parent
    weights = sum(path.stat().st_size for path in folder.rglob("*.safetensors"))
    assert 0 < weights < 36_000_000
    configs = list(folder.rglob("*.json"))
    assert configs
    for path in configs:
        assert not re.search(r'"(/|[A-Z]:\\)\w', path.read_text()), path
