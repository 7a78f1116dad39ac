"""Fetching the time range of an online video to a file: the one place that touches the network.

`yt_dlp` is the way in use; `plugin:MODULE:FUNCTION` names another, for a mirror or a local store.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from udpdiff import plugins
from udpdiff.clip import RejectedClip, Rejection


class Throttled(Exception):
    """The site asks to wait; the clip may be had later."""


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

# What yt-dlp's messages say, in the order of the looks.
_MACHINE = re.compile(
    r"ffmpeg|javascript runtime|network is unreachable|failed to resolve|name or service|connection refused|no route to"
    r"|no space left|\[errno -?\d+\]",
    re.IGNORECASE,
)
_THROTTLED = re.compile(r"\b429\b|\b403\b|not a bot|rate.?limit|too many requests|timed? ?out|temporar", re.IGNORECASE)
_PRIVATE = re.compile(r"private|members.only|sign in|log in|age.restricted|your age", re.IGNORECASE)
_DEAD = re.compile(
    r"unavailable|removed|terminated|deleted|not available|no longer|does not exist|\b404\b|\b410\b", re.IGNORECASE
)


def load_fetch(ref: str) -> Fetch:
    """Return the function of a reference.

    Args:
        ref: `yt_dlp`, or `plugin:MODULE:FUNCTION`, a function that is called as `fetch_with_yt_dlp` is.

    Raises:
        ValueError: The reference is neither.
    """
    check_reference(ref)
    if ref == "yt_dlp":
        return fetch_with_yt_dlp
    return plugins.load(ref)


def check_reference(ref: str) -> None:
    """Check the form of a reference; nothing is imported.

    Raises:
        ValueError: It is neither `yt_dlp` nor `plugin:MODULE:FUNCTION`.
    """
    if ref != "yt_dlp" and not re.fullmatch(r"plugin:[\w.]+:\w+", ref):
        raise ValueError(f"panda70m.fetch: got {ref!r}; allowed: yt_dlp, or plugin:MODULE:FUNCTION")


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
        RuntimeError: yt-dlp is not installed.
    """
    try:
        from yt_dlp import YoutubeDL
        from yt_dlp.utils import DownloadError, download_range_func
    except ImportError:
        raise RuntimeError(
            'panda70m.fetch: yt_dlp is not installed. Run pip install "udpdiff[panda70m]", and install ffmpeg.'
        ) from None
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
        "quiet": True,
        "no_warnings": True,
        "noprogress": True,
    }
    try:
        with YoutubeDL(options) as downloader:
            downloader.download([url])
    except DownloadError as error:
        raise fault_of(str(error)) from error


def fault_of(message: str) -> Exception:
    """Return what a failed download means: Throttled, a RejectedClip with its reason, or a RuntimeError.

    The last is a fault of this machine, which no other clip would escape: it stops the job, and no clip is rejected for it.
    """
    line = " ".join(message.split())[:200]
    said = re.sub(r"\[[\w:]+\] [\w-]{11}: ", "", message)  # without the clip's id, which may hold 429
    if _MACHINE.search(said) and not _THROTTLED.search(said):
        return RuntimeError(
            f"this machine cannot fetch: {line}; needs ffmpeg, a JavaScript runtime, a network and room"
        )
    if _THROTTLED.search(said):
        return Throttled(line)
    for pattern, reason in ((_PRIVATE, Rejection.PRIVATE), (_DEAD, Rejection.DEAD_LINK)):
        if pattern.search(said):
            return RejectedClip(reason, line)
    return RejectedClip(Rejection.NOT_FETCHED, line)
