"""Fetching the time range of an online video to a file: the one place that touches the network.

`yt_dlp` is the way in use; `plugin:MODULE:FUNCTION` names another, for a mirror or a local store.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from udpdiff import plugins
from udpdiff.sources.download_faults import CannotFetch, fault_of


@dataclass(frozen=True)
class FetchSettings:
    """What a download asks for.

    Attributes:
        height: Pixels of the wanted stream; the nearest at or below it is fetched.
        rate_limit: Most bytes a second; None for no limit.
        cookies: A Netscape cookie file; None for none.
    """

    height: int
    rate_limit: int | None = None
    cookies: str | None = None


Fetch = Callable[[str, float, float, Path, FetchSettings], None]


def load_fetch(ref: str) -> Fetch:
    """Return the function of a reference.

    Args:
        ref: `yt_dlp`, or `plugin:MODULE:FUNCTION`, a function that is called as `fetch_with_yt_dlp` is.

    Raises:
        ValueError: The reference is neither, or there is no such function.
    """
    return fetch_with_yt_dlp if ref == "yt_dlp" else plugins.load(ref)


def fetch_with_yt_dlp(url: str, start: float, end: float, path: Path, settings: FetchSettings) -> None:
    """Write seconds start .. end of the video as a file that begins and ends on these frames, without sound.

    Args:
        url: Of the video's page.
        start: Seconds.
        end: Seconds.
        path: The file to write.
        settings: What to ask for.

    Raises:
        Throttled: It may work later.
        RejectedClip: It never will.
        CannotFetch: This machine never can: yt-dlp, ffmpeg, a JavaScript runtime, the network or room is missing.
    """
    try:
        from yt_dlp import YoutubeDL
        from yt_dlp.utils import YoutubeDLError, download_range_func
    except ImportError as error:
        raise CannotFetch(
            'panda70m.fetch: yt_dlp is not installed. Run pip install "udpdiff[panda70m]", and install ffmpeg.'
        ) from error
    warnings: list[str] = []
    options = {
        "format": "bv*/b",
        "format_sort": [f"res:{settings.height}"],
        "outtmpl": {"default": str(path).replace("%", "%%")},
        "download_ranges": download_range_func(None, [(start, end)]),
        "force_keyframes_at_cuts": True,
        "ratelimit": settings.rate_limit,
        "cookiefile": settings.cookies,
        "noplaylist": True,
        "socket_timeout": 30,
        "retries": 3,
        "overwrites": True,
        "noprogress": True,
        "logger": _Listener(warnings),
    }
    try:
        with YoutubeDL(options) as downloader:
            downloader.download([url])
    except YoutubeDLError as error:
        raise fault_of(str(error), warnings) from error


class _Listener:
    """What yt-dlp logs to: it keeps the warnings."""

    def __init__(self, warnings: list[str]) -> None:
        self.warning = warnings.append

    def debug(self, message: str) -> None:
        """Of no use: what is being done."""

    info = error = debug  # an error comes as an exception too
