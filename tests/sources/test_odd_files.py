"""Whatever lies in a folder of videos under a video's name becomes a clip or is listed with the reason."""

from __future__ import annotations

import os
from pathlib import Path

import av
import numpy as np
import pytest
from test_samples_of_folders import LOOSE

from udpdiff import jobs
from udpdiff.clip import RejectedClip
from udpdiff.config.data import ClipSize
from udpdiff.sources.cutting import cut_clip, cut_shard
from udpdiff.sources.folder_notices import ignored_notice
from udpdiff.sources.videos import list_videos
from udpdiff.storage.shards import ShardReader
from udpdiff.video_io import write_mp4

SIZE = ClipSize(height=64, width=64, num_frames=9, fps=8)


def film(seed: int = 0) -> np.ndarray:
    colours = np.random.default_rng(seed).integers(0, 256, (18, 8, 8, 3), np.uint8)
    return colours.repeat(8, axis=1).repeat(8, axis=2)


def write_mpeg(path: Path, ending: str) -> None:
    muxer = {".vob": "vob", ".asf": "asf", ".dv": "avi"}.get(ending)
    with av.open(os.fspath(path), "w", format=muxer) as container:
        stream = container.add_stream("mpeg2video" if ending == ".vob" else "mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        for array in film().repeat(3, axis=0):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(array, format="rgb24")))
        container.mux(stream.encode(None))


@pytest.fixture
def folder(tmp_path) -> Path:
    folder = tmp_path / "videos"
    write_mp4(folder / "good.mp4", film(), 8)
    (folder / "empty.mp4").touch()
    (folder / "dead.mp4").symlink_to(folder / "nothing")
    (folder / "circle.mp4").symlink_to(folder / "circle.mp4")
    (folder / "to_folder.mp4").symlink_to(tmp_path)
    (folder / "folder.mp4").mkdir()
    os.mkfifo(folder / "pipe.mp4")
    (folder / "device.mp4").symlink_to("/dev/zero")
    write_mp4(folder / "locked.mp4", film(1), 8)
    (folder / "locked.mp4").chmod(0)
    return folder


def cut(folder: Path, names: list[str]) -> dict[str, str]:
    """File name -> why it was rejected, empty for a clip."""
    job = jobs.CutVideos(captioned=False, clip_ids=tuple(names), content="", size=SIZE, filters=LOOSE)
    cut_shard(job, folder, None, folder.parent / "0.h5")
    with ShardReader(folder.parent / "0.h5") as shard:
        return dict.fromkeys(shard.clip_ids, "") | {each["clip_id"]: each["reason"] for each in shard.rejected}


def test_odd_files_are_listed_with_the_reason(folder):
    names = [path.name for path in list_videos(folder)]  # folder.mp4 is one that was a file when the job was planned
    assert names == ["circle.mp4", "dead.mp4", "device.mp4", "empty.mp4", "good.mp4", "locked.mp4", "pipe.mp4"]
    outcome = cut(folder, [*names, "folder.mp4"])
    reasons = {name: reason.split(":")[0] for name, reason in outcome.items() if name != "locked.mp4"}
    assert reasons == {
        "good.mp4": "",
        "empty.mp4": "empty file",
        "folder.mp4": "no caption",
        **dict.fromkeys(("circle.mp4", "dead.mp4", "device.mp4", "pipe.mp4"), "unreadable"),
    }
    assert outcome["locked.mp4"] == "" if os.access(folder / "locked.mp4", os.R_OK) else "unreadable"
    told = ignored_notice(folder, {name: folder / name for name in names})
    assert "2 folders (folder.mp4, to_folder.mp4)" in told


def test_a_file_without_permission_is_listed(folder):
    """As a user whom permissions bind, also where tests run as root."""
    cut_clip(folder / "good.mp4", SIZE, LOOSE)
    root = os.geteuid() == 0
    for parent in folder.parents if root else ():
        if parent.name.startswith(("pytest-", "popen-", "test_")):
            parent.chmod(0o755)
    if root:
        os.seteuid(65534)
    try:
        with pytest.raises(RejectedClip, match=r"unreadable: .*ermission"):
            cut_clip(folder / "locked.mp4", SIZE, LOOSE)
    finally:
        if root:
            os.seteuid(0)


@pytest.mark.parametrize("ending", [".vob", ".VOB", ".qt", ".3g2", ".asf", ".mpe", ".M2T", ".mxf"])
def test_files_of_rarer_endings_are_videos(tmp_path, ending):
    plain = tmp_path / f"plain{ending.lower()}"
    if ending.lower() in (".vob", ".asf"):
        write_mpeg(plain, ending.lower())
    else:
        write_mp4(plain, film(), 8)  # what is inside counts, not the ending
    (tmp_path / "videos").mkdir()
    plain.rename(tmp_path / f"videos/film{ending}")
    (found,) = list_videos(tmp_path / "videos")
    assert cut(tmp_path / "videos", [found.name]) == {f"film{ending}": ""}
