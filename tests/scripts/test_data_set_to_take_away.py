"""The exported data set: archives that any tar reader and a loader of ten lines read, and a card that says what is in it."""

from __future__ import annotations

import hashlib
import io
import re
import subprocess
import tarfile
from pathlib import Path

import av
import numpy as np
import pytest
import yaml
from hand_made_shards import FRAMES, SIZE, clips, labels, predictions, run
from PIL import Image

from udpdiff import jobs
from udpdiff.panda_dense import archive, card
from udpdiff.panda_dense.loader import samples
from udpdiff.report.paper_figures import FIGURES, PROMPTS
from udpdiff.storage.captions import Caption, CaptionWriter
from udpdiff.storage.errors import StorageError
from udpdiff.storage.sealed import read_record, write_record
from udpdiff.tasks import get_task
from udpdiff.video_io import decode_mp4

ROOT = Path(__file__).parents[2]
NAMES = ("ball.3", "cone", "cube", "tube")
JOB = jobs.DescribeDataSet(source="scenes", labellers={"Depth": "mini:depthcrafter"})


@pytest.fixture(scope="module")
def stored() -> dict:
    rng = np.random.default_rng(1)
    size = (FRAMES, SIZE, SIZE)
    return {
        "video": {name: rng.integers(0, 256, (*size, 3), np.uint8) for name in NAMES},
        "entities": {name: rng.integers(0, 3, size).astype(np.uint16) for name in NAMES},
        "depth": {name: rng.integers(0, 65536, size).astype(np.uint16) for name in NAMES},
    }


@pytest.fixture
def exported(stored, tmp_path, monkeypatch):
    """Of four clips, cone lacks entities and cube a caption."""
    results = tmp_path / "results"
    with CaptionWriter(results / "captions/train/0.parquet", {}) as table:
        for name in NAMES:
            if name == "cube":
                table.reject(name, "loops: la la la")
            else:
                detailed = Caption(f"A {name},", "source", 3, cut_tokens=2, whole=f"A {name}, „rund“.")
                table.add(name, Caption(f"A {name}.", "source", 3), detailed)
    paths = {
        "clips": clips(results / "clips/train/0.h5", stored["video"]),
        "entities": labels(
            results / "entities/entityseg/train/0.h5",
            {name: ids for name, ids in stored["entities"].items() if name != "cone"},
            rejected=["cone"],
        ),
        "depth": labels(results / "depth/depthcrafter/train/0.h5", stored["depth"]),
        "captions": results / "captions/train/0.parquet",
    }
    made = results / "panda_dense"
    for name in ("0", "again"):
        paths |= {"archive": made / f"train/{name}.tar", "record": made / f"train/{name}.json"}
        run("export_clips", monkeypatch, **paths)
    return made


def test_an_archive_holds_every_whole_clip_as_it_is_stored(exported, stored):
    found = list(samples(exported / "train/0.tar"))
    assert [clip["json"]["clip_id"] for clip in found] == ["ball.3", "tube"]
    for clip in found:
        name = clip["json"]["clip_id"]
        assert decode_mp4(clip["mp4"]).shape == stored["video"][name].shape
        for kind in ("entities", "depth"):
            assert clip[kind].dtype == np.uint16
            np.testing.assert_array_equal(clip[kind], stored[kind][name])
        assert (clip["json"]["brief"], clip["json"]["detailed"]) == (f"A {name}.", f"A {name}, „rund“.")
        assert clip["json"]["fps"] == 8
    with tarfile.open(exported / "train/0.tar") as tar:
        names = tar.getnames()
        assert {(entry.mtime, entry.uid, entry.mode) for entry in tar} == {(0, 0, 0o644)}
    assert names[:4] == ["000000.mp4", "000000.entities.npz", "000000.depth.npz", "000000.json"]
    same = [(exported / f"train/{name}.tar").read_bytes() for name in ("0", "again")]
    assert same[0] == same[1]


def test_captions_that_were_cut_for_good_are_not_exported(exported, tmp_path, monkeypatch):
    results = tmp_path / "results"
    table = results / "captions/train/0.parquet"
    with CaptionWriter(table, {}) as written:
        for name in NAMES:
            written.add(name, Caption("A.", "source", 3), Caption("A.", "source", 3, cut_tokens=2))
    with pytest.raises(StorageError, match=r"captions were cut by an earlier version.*rm .*0\.parquet"):
        archive.export_shard(results / "clips/train/0.h5", *[""] * 2, table, exported / "0.tar", exported / "0.json")


def test_the_record_counts_what_is_there_and_what_was_left_out(exported):
    record = read_record(exported / "train/0.json")
    content = (exported / "train/0.tar").read_bytes()
    assert (record["clips"], record["frames"], record["entities"]) == (2, 2 * FRAMES, 4)
    assert (record["bytes"], record["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())
    assert record["rejected"] == {"clips": {}, "entities": {"low coverage": 1}, "depth": {}, "captions": {"loops": 1}}


def test_the_card_says_it_all_and_its_loader_runs(exported, tmp_path, monkeypatch):
    figures = {"entity_miou": {"value": 0.5, "low": 0.25, "high": 0.75, "n": 40}, "grid8.entity_miou": {"value": 0.1}}
    write_record(tmp_path / "labels.json", {"metrics": figures})
    made = {"card": exported / "README.md", "checksums": exported / "SHA256SUMS"}
    records = [exported / "train/0.json"]
    run("describe_data_set", monkeypatch, job=JOB, counts=records, quality=tmp_path / "labels.json", **made)
    text = made["card"].read_text()
    size = sum(path.stat().st_size for path in exported.glob("train/0.tar")) / 1e3
    assert f"| train | 1 | 2 | 1 | 4 | {size:.1f} kB |" in text
    head = yaml.safe_load(text.split("---\n")[1])
    assert head["license"] == "apache-2.0" and head["pretty_name"] and "depth-estimation" in head["task_categories"]
    assert "| entities | low coverage | 1 |" in text and "| captions | loops | 1 |" in text
    assert "| mean IoU | 0.500 (0.250 to 0.750) | 40 |" in text and "0.100" not in text
    assert "rendered by this project" in text and "- Depth: `mini:depthcrafter` (Apache-2.0, trained by" in text
    subprocess.run(["sha256sum", "--quiet", "--check", "SHA256SUMS"], cwd=exported, check=True)
    (code,) = re.findall(r"```python\n(.*?)```", text, re.S)
    assert code in (ROOT / "docs/data.md").read_text()
    monkeypatch.chdir(exported)
    seen: list = []
    exec(code.replace("        clip = {}", "        seen.append(clip); clip = {}"), {"seen": seen})
    assert [sorted(clip) for clip in seen] == [["depth", "entities", "json", "mp4"]] * 2
    (frames,) = re.findall(r"^With PyAV, `(.*)` are the frames", text, re.M)
    assert frames in (ROOT / "docs/data.md").read_text()
    for clip in seen:
        decoded = eval(frames, {"io": io, "np": np, "av": av, "clip": clip})
        assert decoded.dtype == np.uint8 and decoded.shape == (*clip["entities"].shape, 3)
        rows = [decoded.mean((2, 3)).ravel(), decode_mp4(clip["mp4"]).mean((2, 3)).ravel()]
        assert np.corrcoef(rows)[0, 1] > 0.9  # but for how chroma is scaled, the same


def test_without_truth_the_card_claims_nothing(exported):
    job = jobs.DescribeDataSet(source="panda70m", labellers={})
    card.write_card(job, [str(exported / "train/0.json")], None, exported / "card.md", exported / "sums")
    text = (exported / "card.md").read_text()
    assert "of these videos there is no truth" in text and "for research only" in text
    assert "\nlicense: other\n" in text


def test_a_labeller_with_a_licence_of_its_own_makes_the_data_set_no_longer_free(exported):
    labellers = {"Depth": "depth-anything/Depth-Anything-V2-Large-hf", "Detailed captions": "the source's"}
    job = jobs.DescribeDataSet(source="scenes", labellers=labellers)
    card.write_card(job, [str(exported / "train/0.json")], None, exported / "card.md", exported / "sums")
    assert "\nlicense: other\n" in (exported / "card.md").read_text()


@pytest.mark.parametrize(("count", "size"), [(999, "1.0 kB"), (1_600_000, "1.6 MB"), (1_234_500_000_000, "1,234.5 GB")])
def test_sizes_have_a_unit_that_shows_them(count, size):
    assert card._size(count) == size


def test_the_page_says_which_runs_the_figures_show_and_of_how_many_prompts():
    page = " ".join((ROOT / "docs/data.md").read_text().split())
    for number, (name, tasks) in FIGURES.items():
        assert re.search(rf"figure {number} \(run `{name}`, {' and '.join(tasks)}\)", page), number
    assert f"the first {PROMPTS} prompts" in page


def test_a_figure_shows_the_first_prompts_the_base_above_the_run(stored, tmp_path, monkeypatch):
    depth = get_task("depth")
    videos = dict(list(stored["video"].items())[:3])
    base = clips(tmp_path / "base.h5", videos)
    ours = clips(tmp_path / "run.h5", {name: 255 - video for name, video in videos.items()})
    dense = predictions(tmp_path / "dense.h5", {name: stored["depth"][name] for name in videos}, "depth")
    made = {"figure": tmp_path / "figure4.png", "caption": tmp_path / "figure4.txt"}
    run("draw_figure", monkeypatch, base=base, clips=[ours], predictions=[dense], prompts=2, **made)
    drawn = np.asarray(Image.open(made["figure"]))
    assert drawn.shape == (2 * 3 * SIZE + 6, 6 * SIZE, 3)
    first = next(iter(videos))
    second = list(videos)[1]
    lower = drawn[3 * SIZE + 6 :]
    shown = depth.picture(depth.from_storage(stored["depth"][second]))
    np.testing.assert_array_equal(lower[2 * SIZE :, :SIZE], shown[0])
    np.testing.assert_array_equal(lower[2 * SIZE :, -SIZE:], shown[-1])
    from udpdiff.storage.shards import ShardReader

    with ShardReader(base) as reader:
        np.testing.assert_array_equal(drawn[:SIZE, :SIZE], decode_mp4(reader.read(first, "video_mp4"))[0])
    said = made["caption"].read_text().splitlines()
    assert said[0].startswith("The first 2 prompts of the evaluation split")
    assert said[1] == f"base; multi, video; multi, depth: A {first}." and len(said) == 3
