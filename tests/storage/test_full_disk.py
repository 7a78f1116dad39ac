"""Every stage that writes, on a disk that fills: the write that fails names the file and the disk, and leaves nothing.

Once by a limit on the size of files, in a process of its own, and once on a small disk, where one can be mounted.
"""

from __future__ import annotations

import csv
import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from errno import EDQUOT, EFBIG, ENOSPC
from pathlib import Path

import numpy as np
import pytest

HERE = Path(__file__).parent
sys.path.append(str(HERE))


def write_shard(schema: str, folder: Path) -> Path:
    from test_damage import write

    return write(folder / "0.h5", schema, 3, resume=True)


def write_captions(folder: Path) -> Path:
    from udpdiff.storage.captions import Caption, CaptionWriter

    with CaptionWriter(folder / "0.parquet", {}) as table:
        for number in range(40):
            if f"clip{number}" not in table.done:
                table.add(f"clip{number}", Caption(f"A dog {number}.", "s", 3), Caption("A dog runs.", "m", 4))
    return table.path


def write_mean(folder: Path) -> Path:
    from udpdiff.storage.means import _write

    _write(folder / "mean.npz", np.random.default_rng(0).random((40, 40)), 8)
    return folder / "mean.npz"


def write_summary(folder: Path) -> Path:
    from test_damage import write

    from udpdiff.storage.summaries import write_summary

    shard = folder.parent / "shard.h5"
    if not shard.exists():
        write(shard, "entities", 3)
    write_summary(shard, folder / "0.json")
    return folder / "0.json"


def write_record(folder: Path) -> Path:
    from udpdiff.storage.sealed import write_record

    write_record(folder / "quality.json", {"per_video": list(range(1000))})
    return folder / "quality.json"


def write_folder(folder: Path) -> Path:
    from udpdiff.storage.files import replace_folder, write_text
    from udpdiff.storage.sealed import seal_folder

    with replace_folder(folder / "run") as fresh:
        write_text(fresh / "weights", "w" * 9000)
        seal_folder(fresh)
    return folder / "run"


def write_table(folder: Path) -> Path:
    from scripts import fill_table
    from udpdiff.jobs import FillTable
    from udpdiff.storage.sealed import write_record
    from udpdiff.tables.specs import needed

    metric = {"value": 0.5, "low": None, "high": None, "n": 8, "per_video": [], "clips": [], "extractor": "mini " * 200}
    paths = []
    for run, task in needed(2):
        paths.append(folder.parent / f"{run}-{task}.json")
        if not paths[-1].exists():
            write_record(paths[-1], {"run": run, "task": task, "metrics": {"fvd": metric}})
    words = ["--number", "2", "--measured", *map(str, paths), "--table", str(folder / "table2.csv")]
    words += ["--digest", str(folder / "table2.csv.sha256"), "--comparisons", str(folder / "table2.json")]
    sys.argv = ["fill_table", *words, "--job", FillTable(bootstrap_samples=20, seed=0).dump()]
    fill_table.main()
    return folder / "table2.csv"


def write_chosen(folder: Path) -> Path:
    from udpdiff.config.data import PandaGates
    from udpdiff.jobs import ChooseClips
    from udpdiff.sources.panda70m_files import write_sample
    from udpdiff.sources.panda70m_table import COLUMNS

    table = folder.parent / "table.csv"
    if not table.exists():
        rows = []
        for number in range(60):
            name = f"{number:011d}"
            fields = [f"https://www.youtube.com/watch?v={name}", "[['0:00:00.000', '0:00:05.000']]", "['A ball.']"]
            fields += ["[0.5]", "['desirable']", "[[['0:00:00.000', '0:00:04.960']]]"]
            rows.append([name, *fields])
        with table.open("w", newline="") as file:
            csv.writer(file).writerows([COLUMNS, *rows])
    gates = PandaGates(max_seconds=60, min_matching_score=0.4, desirable_only=True, single_shot=True, clips_per_video=3)
    job = ChooseClips(table="", seed=0, train=20, evaluation=9, min_seconds=1, reserve=0.5, gates=gates)
    write_sample(job, table, folder / "chosen.parquet", folder / "rejected.csv")
    return folder / "chosen.parquet"


def write_timing(folder: Path) -> Path:
    from udpdiff.timing import Throughput, write_throughput

    write_throughput(folder / "0.json", Throughput("depth", {}, {}, 1, 1.0, 1.0, 1.0, "a CPU " * 500, None, 1.0))
    return folder / "0.json"


def write_log(folder: Path) -> Path:
    from udpdiff.training.log import append_entry

    append_entry(folder / "train.jsonl", {"step": 1, "loss_timestep": [0.5] * 900})
    return folder / "train.jsonl"


def note_invocation(folder: Path) -> Path:
    from udpdiff.planning.costs import Invocations

    Invocations(folder).started()
    return folder / "invocations.jsonl"


def note_stop(folder: Path) -> Path:
    from udpdiff.launching.stops import Stops

    Stops([folder / "0.h5"]).note()
    return folder / ".0.h5.stops"


def write_film(folder: Path) -> Path:
    from udpdiff.report.media import write_film

    write_film(folder, "film", [np.random.default_rng(0).integers(0, 255, (3, 32, 32, 3), np.uint8)], 8)
    return folder / "film.mp4"


def write_picture(kind: str, folder: Path) -> Path:
    from udpdiff.report import media

    picture = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    (media.write_png if kind == "png" else media.write_jpeg)(folder / f"picture.{kind}", picture)
    return folder / f"picture.{kind}"


def write_page(folder: Path) -> Path:
    from udpdiff.storage.files import write_text

    write_text(folder / "index.html", "<p>" * 4000)
    return folder / "index.html"


def write_checkpoint(folder: Path) -> Path:
    import torch

    from udpdiff.training.checkpoint import save_checkpoint

    parts = {"weights": {"w": torch.rand(60, 60)}, "optimizer": {"w.exp_avg": torch.rand(60, 60)}}
    return save_checkpoint(folder, 3, {"fingerprint": "a"}, parts, {"window": {}})


WRITERS: dict[str, Callable[[Path], Path]] = {
    **{schema: lambda folder, schema=schema: write_shard(schema, folder) for schema in ("clips", "depth", "latents")},
    "captions": write_captions,
    "mean": write_mean,
    "summary": write_summary,
    "figures": write_record,
    "folder": write_folder,
    "table": write_table,
    "chosen clips": write_chosen,
    "timing": write_timing,
    "training log": write_log,
    "invocations": note_invocation,
    "stops": note_stop,
    "film": write_film,
    "png": lambda folder: write_picture("png", folder),
    "jpg": lambda folder: write_picture("jpg", folder),
    "page": write_page,
    "checkpoint": write_checkpoint,
}
APPENDED = {"training log", "invocations"}


def largest(folder: Path) -> int:
    return max(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def outcome(case: str, limited: Callable[[int], object], folder: Path) -> dict:
    """Write once as a measure, once where there is no room for half of it, and once more when there is."""
    write, measure, place = WRITERS[case], folder / "measure", folder / "place"
    for each in (measure, place):
        each.mkdir(parents=True)
    final = place / write(measure).relative_to(measure)
    with limited(largest(measure) // 2):
        try:
            write(place)
            error = None
        except Exception as raised:
            error = raised
    left = final.exists()
    return {"error": f"{type(error).__name__}: {error}", "left": left, "written": write(place) == final}


@contextmanager
def small_files(size: int) -> Iterator[None]:
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def assert_survived(case: str, found: dict, words: str) -> None:
    assert found["error"].startswith("StorageError"), found
    assert "cannot be written" in found["error"] and words in found["error"] and "the disk at" in found["error"], found
    assert case in APPENDED or not found["left"], found
    assert found["written"], "once there is room again"


@pytest.fixture(scope="module")
def under_a_limit(tmp_path_factory) -> dict[str, dict]:
    folder = tmp_path_factory.mktemp("limited")
    # The process runs this file as a program, so that `scripts` is not on its path as it is on pytest's.
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run([sys.executable, __file__, str(folder)], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("case", WRITERS)
def test_a_file_that_may_not_grow_stops_the_job(under_a_limit, case):
    assert_survived(case, under_a_limit[case], os.strerror(EFBIG))


@pytest.fixture(scope="module")
def small_disk(tmp_path_factory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("disk")
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", folder], capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"no small disk can be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", folder], check=True)


@pytest.mark.parametrize("case", WRITERS)
def test_a_full_disk_stops_the_job(small_disk, case):
    page = os.sysconf("SC_PAGE_SIZE")

    @contextmanager
    def filled(size: int) -> Iterator[None]:
        filler = small_disk / "filler"
        room = os.statvfs(small_disk)
        # What is a page at most finds no page at all.
        filler.write_bytes(bytes(room.f_bavail * room.f_bsize - size // page * page))
        try:
            yield
        finally:
            filler.unlink()

    assert_survived(case, outcome(case, filled, small_disk / case), os.strerror(ENOSPC))


@pytest.mark.parametrize("number", [ENOSPC, EDQUOT])
def test_a_file_of_a_library_that_cannot_be_written_is_no_clips_fault(number):
    """Such as a temporary file: not one of ours, so nobody named it."""
    from udpdiff.storage.errors import StorageError
    from udpdiff.storage.failures import Failures

    failures = Failures(100, 0.5)
    for chained in (False, True):
        with pytest.raises(StorageError, match=r"a: stopped by a disk .*Make room"), failures.caught("a"):
            try:
                raise OSError(number, os.strerror(number))
            except OSError as error:
                if chained:
                    raise RuntimeError("the codec failed") from error
                raise
    assert failures.reasons == {}


def test_a_lock_that_cannot_be_written_is_not_held(tmp_path, monkeypatch):
    from udpdiff.storage.errors import StorageError
    from udpdiff.training.state import exclusive

    def full(*_):
        raise OSError(ENOSPC, os.strerror(ENOSPC))

    with monkeypatch.context() as patch, pytest.raises(StorageError, match=r"state: cannot be written .*No space left"):
        patch.setattr(os, "pwrite", full)
        exclusive(tmp_path / "state").__enter__()
    with exclusive(tmp_path / "state"):
        assert [path.name for path in (tmp_path / "state").iterdir()] == ["lock"]


if __name__ == "__main__":
    root = Path(sys.argv[1])
    print(json.dumps({case: outcome(case, small_files, root / case) for case in WRITERS}))
