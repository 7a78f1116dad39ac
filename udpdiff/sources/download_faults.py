"""What a failed download means: a clip that is gone, a site or network that fails for now, or a machine that cannot fetch.

Only what the site says of this very video loses the clip; whatever else happens passes, or stops the job with its cause.

Source: yt-dlp's messages (yt_dlp/extractor/youtube/_video.py, yt_dlp/YoutubeDL.py, yt_dlp/downloader/).
"""

from __future__ import annotations

import errno
import re
from collections.abc import Sequence

from udpdiff.clip import RejectedClip, Rejection


class Throttled(Exception):
    """The site asks to wait, or the way to it fails for now; the clip may be had later."""


class CannotFetch(RuntimeError):
    """No clip can be fetched, for a reason that waiting does not change; it stops the job, and no clip is lost to it."""


# Looked for in this order, in a message without the name of the site and the clip's id, which may hold any number.
_REFUSED = re.compile(
    r"not a bot|captcha|temporary failure|temporarily|rate.?limit|too many requests|try again later"
    r"|on this app|latest version of youtube|ip is likely being blocked"
    r"|(?:http error|server returned|status code:?) (?:403|408|425|429|5[\dx]{2})"
    r"|(?:video data|fragment|manifest|m3u8|api page|player)\b.*http error (?:404|410)",
    re.IGNORECASE,
)
_PRIVATE = re.compile(
    r"private video|video is private|members.only|available (?:only )?(?:to|for) [\w ]*(?:members|users)|join this channel"
    r"|confirm your age|age.restrict|inappropriate for some users|if you've been granted access|requires? payment",
    re.IGNORECASE,
)
_DEAD = re.compile(
    r"video (?:is |has been |was )?(?:currently )?(?:unavailable|removed|deleted|terminated|taken down)"
    r"|(?:video|content|recording) (?:is|isn't|isn’t) (?:not |no longer )?available|has been (?:removed|terminated|deleted|closed)"
    r"|removed by the|copyright|terms of service|in your (?:country|location|region)|from your (?:country|location|region)"
    r"|geo.?restrict|drm protected|live event|premieres? in|(?:video|page|post) does not exist|http error (?:404|410|451)",
    re.IGNORECASE,
)
_NO_FORMAT = re.compile(r"requested format is not available|only images are available", re.IGNORECASE)
_CHALLENGE = re.compile(r"challenge|signature solving|javascript runtime", re.IGNORECASE)
_NO_ROOM = re.compile(rf"exited with code {256 - errno.ENOSPC}\b")  # FFmpeg ends with the negative error
_MACHINE = re.compile(
    r"javascript runtime|network is unreachable|name or service|failed to resolve|connection refused|no route to|proxy|cookies? file|load cookies"
    r"|certificate verify failed|no space left|quota exceeded|read-only file system|permission denied|too many open files"
    r"|cannot allocate|ff(?:mpeg|probe)\b.*(?:not installed|not found|could not be found|no such file)|no such file.*ffmpeg",
    re.IGNORECASE,
)
_PASSING = re.compile(
    r"timed? ?-?out|temporar|connection (?:was )?(?:reset|aborted|closed)|closed connection|broken pipe|incomplete ?read"
    r"|more expected|content too short|\bssl\b|eof occurred|max retries|giving up after"
    r"|file is empty|did not get any data|not found, unable to continue|unable to download|exited with code|postprocessing"
    r"|\[errno -?\d+\]|sign in|log in",
    re.IGNORECASE,
)
_LOCAL_ERRORS = {
    number
    for name in ("ENOSPC", "EDQUOT", "EROFS", "EACCES", "EPERM", "EMFILE", "ENFILE", "ENOMEM", "EIO", "ENOENT")
    if (number := getattr(errno, name, None)) is not None
}
_LONGEST_MESSAGE = 300


def fault_of(message: str, warnings: Sequence[str] = ()) -> Exception:
    """Return what a failed download means.

    Args:
        message: Of yt-dlp's error.
        warnings: That came before it: of a challenge that was not solved they alone tell.

    Returns:
        Throttled, RejectedClip with its reason, or CannotFetch. What nobody knows is `Rejection.NOT_FETCHED`.
    """
    whole = " ".join(message.split())
    line, text = whole[:_LONGEST_MESSAGE], re.sub(r"^(?:ERROR: )?(?:\[[\w:]+\] )?(?:[\w-]{11}: )?", "", whole)
    if _REFUSED.search(text):
        return Throttled(line)
    for pattern, reason in ((_PRIVATE, Rejection.PRIVATE), (_DEAD, Rejection.DEAD_LINK)):
        if pattern.search(text):
            return RejectedClip(reason, line)
    unsolved = [warning for warning in warnings if _CHALLENGE.search(warning)]
    if _NO_FORMAT.search(text) and unsolved:
        return _of_machine(f"{line}; before that: {' '.join(unsolved[0].split())[:_LONGEST_MESSAGE]}")
    if _MACHINE.search(text) or _NO_ROOM.search(text):
        return _of_machine(line)
    if _NO_FORMAT.search(text) or _PASSING.search(text):
        return Throttled(line)
    return RejectedClip(Rejection.NOT_FETCHED, line)


def fault_of_system(error: OSError) -> Exception:
    """Return what an error of the operating system means that a fetcher lets through: Throttled or CannotFetch."""
    return _of_machine(str(error)) if error.errno in _LOCAL_ERRORS else Throttled(str(error) or type(error).__name__)


def _of_machine(cause: str) -> CannotFetch:
    return CannotFetch(
        f"this machine cannot fetch: {cause}. It needs ffmpeg, a JavaScript runtime such as deno, a network, and room in "
        "TMPDIR; no clip is lost, start again when it has them."
    )
