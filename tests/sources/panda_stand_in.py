"""Stands in for the network: files of rendered scenes, or the answers that online videos give.

The first letter of a videoID says which. A counter file beside this run lets a throttled video work on its second call.
"""

from __future__ import annotations

import os
from pathlib import Path

from udpdiff.clip import RejectedClip, Rejection
from udpdiff.sources.fetching import Throttled


def fetch(url, start, end, path, settings) -> None:
    video_id = url.rpartition("=")[2]
    calls = Path(os.environ["PANDA_STAND_IN_CALLS"])
    before = calls.read_text().splitlines() if calls.exists() else []
    calls.write_text("\n".join([*before, video_id]))
    if video_id[0] == "D":
        raise RejectedClip(Rejection.DEAD_LINK, "Video unavailable <script>")
    if video_id[0] == "P":
        raise RejectedClip(Rejection.PRIVATE, "Private video")
    if video_id[0] == "T" and video_id not in before:
        raise Throttled("HTTP Error 429")
    if video_id[0] == "N":
        raise Throttled("Sign in to confirm you are not a bot")
    data = scene()
    path.write_bytes(data[: len(data) // 2] if video_id[0] == "B" else data)


def scene() -> bytes:
    from udpdiff.sources.scenes import SceneSettings, render_clip
    from udpdiff.video_io import encode_mp4

    settings = SceneSettings(height=64, width=64, num_frames=9, fps=8.0)
    return encode_mp4(render_clip(settings, 3).video, settings.fps)
