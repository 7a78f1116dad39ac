"""Fetching clips across shards: which serve a task, what is read, and from where."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from udpdiff.storage.dataset import LatentSource
from udpdiff.storage.shards import ShardWriter

SHAPE = (2, 3, 4, 4)
ATTRS = {"scaling_factor": 1.0, "vae": "none"}


def value(clip: int, stream: int, part: int = 0) -> np.ndarray:
    """Latents that tell clip, stream and colouring apart."""
    return np.full(SHAPE, clip + 100 * stream + 1000 * part, np.float16)


def write_latents(path: Path, clips: range, stream: int, parts: int = 0, rejected: tuple[int, ...] = ()) -> Path:
    with ShardWriter(path, "latents", ATTRS) as writer:
        for clip in clips:
            latents = np.stack([value(clip, stream, k) for k in range(parts)]) if parts else value(clip, stream)
            if clip in rejected:
                writer.reject(f"c{clip}", "no entities")
            else:
                writer.add(f"c{clip}", {"latents": latents})
    return path


def write_text(path: Path, clips: range, style: int = 0) -> Path:
    with ShardWriter(path, "text", {"text_style": str(style)}) as writer:
        for clip in clips:
            arrays = {
                name: np.full((5, 6), clip + k + 50 * style, np.float16)
                for k, name in ((0.25, "brief"), (0.5, "detailed"))
            }
            writer.add(f"c{clip}", arrays)
        writer.add("", {name: np.full((5, 6), -1, np.float16) for name in ("brief", "detailed")})
    return path


@pytest.fixture
def shards(tmp_path) -> dict[str, list[Path]]:
    """Clips 0-3 and 4-7 in two shards per stream; seg rejected clip 5, depth has no second shard."""
    halves = (range(4), range(4, 8))
    return {
        "video": [write_latents(tmp_path / f"v{i}.h5", clips, 0) for i, clips in enumerate(halves)],
        "seg": [
            write_latents(tmp_path / f"s{i}.h5", clips, 1, parts=3, rejected=(5,)) for i, clips in enumerate(halves)
        ],
        "depth": [write_latents(tmp_path / "d0.h5", halves[0], 2)],
        "text": [write_text(tmp_path / f"t{i}.h5", clips) for i, clips in enumerate(halves)],
        "named": [write_text(tmp_path / "n.h5", range(8), style=1)],
    }


@pytest.fixture
def source(shards) -> LatentSource:
    return LatentSource(shards["video"], {task: shards[task] for task in ("seg", "depth")}, {"plain": shards["text"]})


def test_clips_serve_a_task_when_all_its_streams_hold_them(source):
    assert source.clip_ids() == [f"c{clip}" for clip in range(8)]
    assert source.clip_ids(["seg"]) == [f"c{clip}" for clip in range(8) if clip != 5]
    assert source.clip_ids(["depth"]) == [f"c{clip}" for clip in range(4)]
    assert source.missing(["seg"]) == {"c5": "dense seg: no entities"}
    assert source.missing(["depth"])["c7"] == "dense depth: absent"


def test_a_clip_is_read_whole_and_in_float32(source):
    example = source.read("c6", ["seg"], "detailed", colouring=0.7)
    assert torch.equal(example.video_latents, torch.full(SHAPE, 6.0))
    assert torch.equal(example.dense_latents["seg"], torch.full(SHAPE, 2106.0))
    assert torch.equal(example.prompt_embeds, torch.full((5, 6), 6.5))
    assert (
        example.video_latents.dtype
        == example.dense_latents["seg"].dtype
        == example.prompt_embeds.dtype
        == torch.float32
    )
    assert source.read("c6", [], "brief").dense_latents == {}
    assert source.read("c6", [], "brief").prompt_embeds[0, 0] == 6.25
    assert source.read("c6", [], "empty").prompt_embeds[0, 0] == -1


def test_colourings_are_chosen_evenly_and_single_ones_always(source):
    parts = [
        int(source.read("c1", ["seg"], "brief", u).dense_latents["seg"][0, 0, 0, 0]) // 1000
        for u in (0, 0.3, 0.34, 0.6, 0.99)
    ]
    assert parts == [0, 0, 1, 1, 2]
    assert source.read("c1", ["depth"], "brief", 0.99).dense_latents["depth"][0, 0, 0, 0] == 201


def test_prompts_that_name_the_task_are_preferred(shards):
    source = LatentSource(shards["video"], {"seg": shards["seg"]}, {"plain": shards["text"], "seg": shards["named"]})
    assert source.read("c1", ["seg"], "brief").prompt_embeds[0, 0] == 51.25
    named_alone = LatentSource(shards["video"], {"seg": shards["seg"]}, {"seg": shards["named"]})
    assert named_alone.clip_ids() == source.clip_ids() and len(named_alone.clip_ids(["seg"])) == 7
    with pytest.raises(ValueError, match=r"No text shards for tasks .'depth'"):
        LatentSource(shards["video"], {"depth": shards["depth"]}, {"seg": shards["named"]})


def test_a_bounded_cache_changes_nothing_but_memory(shards):
    row = np.zeros(SHAPE, np.float16).nbytes
    for capacity in (0, 3 * row, 10**6):
        source = LatentSource(shards["video"], {}, {"plain": shards["text"]}, cache_bytes=capacity)
        for clip in (0, 7, 3, 0, 5, 7):
            assert source.read(f"c{clip}", [], "brief").video_latents[0, 0, 0, 0] == clip
            assert source._cache.held_bytes <= capacity


def test_many_shards_are_read_with_few_open_files(tmp_path):
    videos = [write_latents(tmp_path / f"v{clip}.h5", range(clip, clip + 1), 0) for clip in range(40)]
    source = LatentSource(videos, {}, {"plain": [write_text(tmp_path / "t.h5", range(40))]}, cache_bytes=0)
    for clip in range(40):
        assert source.read(f"c{clip}", [], "brief").video_latents[0, 0, 0, 0] == clip
    open_files = [
        path for path in Path("/proc/self/fd").iterdir() if path.is_symlink() and str(tmp_path) in str(path.readlink())
    ]
    assert len(open_files) <= 20
    source.close()


def test_worker_processes_read_the_same(source):
    source.read("c0", ["seg"], "brief")  # open in this process before the workers fork
    order = [3, 0, 7, 2]
    loader = DataLoader(_Rows(source), sampler=order, batch_size=None, num_workers=2)
    assert [int(latents[0, 0, 0, 0]) for latents in loader] == order
    copy = pickle.loads(pickle.dumps(source))
    assert torch.equal(copy.read("c2", ["seg"], "brief", 0.9).dense_latents["seg"], torch.full(SHAPE, 2102.0))


class _Rows(torch.utils.data.Dataset):
    def __init__(self, source: LatentSource) -> None:
        self.source = source

    def __getitem__(self, clip: int) -> torch.Tensor:
        return self.source.read(f"c{clip}", [], "brief").video_latents


def test_the_digest_follows_the_content(shards, tmp_path):
    def digest(**changes) -> str:
        streams = {**shards, **changes}
        return LatentSource(streams["video"], {"seg": streams["seg"]}, {"plain": streams["text"]}).digest()

    assert digest() == digest(video=shards["video"][::-1])
    (tmp_path / "copy").mkdir()
    same = [write_latents(tmp_path / "copy" / f"s{i}.h5", r, 1, 3, (5,)) for i, r in enumerate((range(4), range(4, 8)))]
    assert digest(seg=same) == digest()
    other = [same[0], write_latents(tmp_path / "copy" / "other.h5", range(4, 8), 1, 3, (6,))]
    assert digest(seg=other) != digest()


def test_misuse_is_refused(source, shards):
    with pytest.raises(ValueError, match="two shards"):
        LatentSource([*shards["video"], shards["video"][0]], {}, {"plain": shards["text"]})
    with pytest.raises(ValueError, match="has no shards"):
        LatentSource([], {}, {"plain": shards["text"]})
    with pytest.raises(ValueError, match="no clip 'c5': no entities"):
        source.read("c5", ["seg"], "brief")
    with pytest.raises(ValueError, match="Unknown caption: got 'short'"):
        source.read("c0", ["seg"], "short")
