"""Stands in for the network: files of rendered scenes or of the local clips, or the answers that online videos give.

Every call is noted in the file that PANDA_STAND_IN_CALLS names, a line each; a throttled clip works on its second call.
PANDA_STAND_IN_KILL_AFTER: the process dies when so many calls were noted.
"""

from __future__ import annotations

import json
import os
import signal
from functools import cache
from pathlib import Path

from udpdiff.clip import RejectedClip, Rejection
from udpdiff.sources.download_faults import Throttled

# What becomes of the local clips, over and over in their order; letters as in `answer`.
FATES = "GGDGPGTGBGN"


def fetch(url, start, end, path, settings) -> None:
    """A rendered scene, or what the first letter of the videoID says."""
    video_id = url.rpartition("=")[2]
    answer(video_id[0], note(video_id), video_id, path, scene())


def fetch_local(url, start, end, path, settings) -> None:
    """The local clip of that video and time; dead where there is none."""
    name = clip_name(url.rpartition("=")[2], start)
    before = note(name)
    if name not in local_clips():
        answer("D", before, name, path, b"")
    else:
        letter, clip = local_clips()[name]
        answer(letter, before, name, path, (shared() / "data/panda70m/clips" / clip).read_bytes())


def clip_name(video_id: str, start: float) -> str:
    """How `fetch_local` notes a clip."""
    return f"{video_id} from {start:.2f} s"


def answer(letter: str, before: list[str], name: str, path: Path, data: bytes) -> None:
    """D: dead, P: private, T: throttled once, N: throttled always, B: truncated, others: the data."""
    if letter == "D":
        raise RejectedClip(Rejection.DEAD_LINK, "Video unavailable <script>")
    if letter == "P":
        raise RejectedClip(Rejection.PRIVATE, "Private video")
    if letter == "T" and name not in before:
        raise Throttled("HTTP Error 429")
    if letter == "N":
        raise Throttled("Sign in to confirm you are not a bot")
    path.write_bytes(data[: len(data) // 3] if letter == "B" else data)


def note(name: str) -> list[str]:
    """Note a call; returns those before it, of this process and earlier ones."""
    calls = Path(os.environ["PANDA_STAND_IN_CALLS"])
    before = calls.read_text().splitlines() if calls.exists() else []
    if len(before) == int(os.environ.get("PANDA_STAND_IN_KILL_AFTER", -1)):
        os.kill(os.getpid(), signal.SIGKILL)
    with calls.open("a") as file:  # jobs run side by side
        file.write(f"{name}\n")
    return before


def shared() -> Path:
    return Path(os.environ["PANDA_STAND_IN_SHARED"])


@cache
def local_clips() -> dict[str, tuple[str, str]]:
    """Name of the table's entries that have a file -> fate and file name."""
    table = json.loads((shared() / "golden/panda70m_csv/table.expected.json").read_text())
    clips = sorted(table["local_clips"], key=lambda clip: clip["clip"])
    return {
        clip_name(clip["videoID"], clip["start_s"]): (FATES[number % len(FATES)], clip["clip"])
        for number, clip in enumerate(clips)
    }


@cache
def scene() -> bytes:
    from udpdiff.sources.scenes import SceneSettings, render_clip
    from udpdiff.video_io import encode_mp4

    settings = SceneSettings(height=64, width=64, num_frames=9, fps=8.0)
    return encode_mp4(render_clip(settings, 3).video, settings.fps)
