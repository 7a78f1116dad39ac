"""The folder of an exported run: damage is told before anything is loaded, and a disk that fills leaves the old one."""

from __future__ import annotations

import os
import resource
import shutil
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from udpdiff.model.loading import load_run, widened_pipeline
from udpdiff.storage.errors import StorageError
from udpdiff.storage.sealed import check_folder
from udpdiff.training.export import export_run
from udpdiff.training.loop import train

TASKS = {"seg": "pixelplanes"}


@pytest.fixture(scope="module")
def exported(base, streams, tmp_path_factory):
    """Settings of a run with an adapter, its checkpoints and its folder."""
    pytest.importorskip("peft", reason="LoRA needs peft, the extra `lora`")
    from udpdiff.storage.dataset import LatentSource
    from udpdiff.training.settings import TrainingSettings

    folder = tmp_path_factory.mktemp("run")
    settings = TrainingSettings(
        run="seg", base=base, seed=5, tasks={"seg": 1.0}, steps=1, batch_size=2, learning_rate=1e-3, lora_rank=2
    )
    source = LatentSource([streams["video"]], {"seg": [streams["seg"]]}, {"plain": [streams["plain"]]})
    train(settings, source, folder / "state", folder / "run")
    return settings, folder / "state", folder / "run"


def files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_every_file_of_a_run_is_covered(exported, tmp_path):
    run = exported[2]
    read = [name for name in files(run) if name != "digests.json"]
    assert set(check_folder(run, [name.split("/")[0] for name in read])) == set(read)
    for name in read:
        if name.startswith(("adapter/", "train.jsonl", "provenance.json", "README.md")):
            continue
        copied = tmp_path / name.replace("/", "-")
        shutil.copytree(run, copied, copy_function=os.link)
        content = bytearray((copied / name).read_bytes())
        content[len(content) // 2] ^= 1
        (copied / name).unlink()
        (copied / name).write_bytes(content)
        with pytest.raises(StorageError, match=rf"/{name}: it is not what was written .*rm -r .* && snakemake"):
            load_run(copied)


@pytest.mark.parametrize("name", ["pytorch_lora_weights.safetensors", "widened.safetensors"])
def test_a_damaged_adapter_is_refused_wherever_it_lies(exported, base, tmp_path, name):
    shutil.copytree(exported[2] / "adapter", tmp_path / "adapter")
    path = tmp_path / "adapter" / name
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match="damaged"):
        widened_pipeline(base, TASKS).load_lora_weights(tmp_path / "adapter")


def test_an_adapter_without_its_digest_is_refused(exported, base, tmp_path):
    from safetensors import safe_open

    shutil.copytree(exported[2] / "adapter", tmp_path / "adapter")
    path = tmp_path / "adapter" / "widened.safetensors"
    with safe_open(path, "pt") as file:
        said = file.metadata()["udpdiff"].replace("widened_sha256", "other")
    save_file(load_file(path), path, metadata={"udpdiff": said})
    with pytest.raises(ValueError, match=r"widened\.safetensors is damaged"):
        widened_pipeline(base, TASKS).load_lora_weights(tmp_path / "adapter")


@pytest.mark.parametrize("share", [0.02, 0.5, 0.98])
def test_an_export_onto_a_full_disk_leaves_the_old_folder(exported, tmp_path, share):
    """In a process of its own, for the limit is a process's."""
    settings, state, run = exported
    shutil.copytree(run, tmp_path / "run")
    limit = int(share * max((run / name).stat().st_size for name in files(run)))
    said = tmp_path / "said.txt"
    if not (child := os.fork()):
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
        try:
            export_run(settings, state, tmp_path / "run", settings.steps)
        except BaseException as error:
            said.write_text(f"{type(error).__name__}: {error}")
        os._exit(0)
    os.waitpid(child, 0)
    assert said.read_text().startswith(f"StorageError: {tmp_path}/run: cannot be written"), said.read_text()
    assert "too large" in said.read_text() and "the disk at" in said.read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run", "said.txt"]
    load_run(tmp_path / "run")
