"""What a failed download says: of this video, of the site or network for now, or of this machine. No clip is lost to the
last two."""

from __future__ import annotations

import errno

import pytest
from panda_stand_in import scene
from test_download_clips import Download, ids

from udpdiff.clip import RejectedClip, Rejection
from udpdiff.sources.download_faults import Throttled, fault_of
from udpdiff.video_io import decode_mp4, encode_mp4

OF_THE_VIDEO = {
    "Video unavailable": Rejection.DEAD_LINK,
    "Video unavailable. This video has been removed by the uploader": Rejection.DEAD_LINK,
    "Video unavailable. This video is no longer available because the YouTube account associated with this video has been"
    " terminated.": Rejection.DEAD_LINK,
    "Video unavailable. This video is no longer available due to a copyright claim by Timeout 429 Records": Rejection.DEAD_LINK,
    "Video unavailable. This video contains content from X, who has blocked it in your country on copyright grounds": (
        Rejection.DEAD_LINK
    ),
    "The uploader has not made this video available in your country": Rejection.DEAD_LINK,
    "This video has been removed for violating YouTube's Terms of Service": Rejection.DEAD_LINK,
    "This live stream recording is not available.": Rejection.DEAD_LINK,
    "This video is DRM protected": Rejection.DEAD_LINK,
    "Unable to download webpage: HTTP Error 404: Not Found (caused by <HTTPError 404: Not Found>)": Rejection.DEAD_LINK,
    "Private video. Sign in if you've been granted access to this video": Rejection.PRIVATE,
    "Sign in to confirm your age. This video may be inappropriate for some users": Rejection.PRIVATE,
    "Join this channel to get access to members-only content like this video": Rejection.PRIVATE,
}
FOR_NOW = [
    *(f"Unable to download API page: HTTP Error {code}: {code} (caused by <HTTPError {code}>)" for code in (403, 429)),
    "Unable to download API page: HTTP Error 500: Internal Server Error (caused by <HTTPError 500: Internal Server Error>)",
    "Unable to download webpage: HTTP Error 502: Bad Gateway (caused by <HTTPError 502: Bad Gateway>)",
    "Unable to download webpage: HTTP Error 503: Service Unavailable (caused by <HTTPError 503: Service Unavailable>)",
    "unable to download video data: HTTP Error 504: Gateway Time-out",
    "unable to download video data: HTTP Error 403: Forbidden",
    "unable to download video data: HTTP Error 404: Not Found",
    "Unable to download webpage: ('Connection aborted.', ConnectionResetError(104, 'Connection reset by peer'))",
    "[Errno 104] Connection reset by peer",
    "Unable to download webpage: [SSL: UNEXPECTED_EOF_WHILE_READING] EOF occurred in violation of protocol (_ssl.c:1006)"
    " (caused by SSLError('[SSL: UNEXPECTED_EOF_WHILE_READING]'))",
    "Unable to download webpage: Remote end closed connection without response",
    "unable to download video data: 1024 bytes read, 2048 more expected",
    "The read operation timed out",
    "Failed to resolve 'www.youtube.com' ([Errno -3] Temporary failure in name resolution)",
    "Requested format is not available. Use --list-formats for a list of available formats",
    "Sign in to confirm you’re not a bot. Use --cookies-from-browser or --cookies for the authentication",
    "Video unavailable. This content isn't available, try again later. The current session has been rate-limited by YouTube",
    "This helps protect our community. YouTube is requiring a captcha challenge before playback",
    # Said of every video where the site refuses a client.
    "The following content is not available on this app.. Watch on the latest version of YouTube.",
    "All player responses are invalid. Your IP is likely being blocked by Youtube",
    "The downloaded file is empty",
    "fragment 3 not found, unable to continue",
    "ffmpeg exited with code 1",
    "ffmpeg exited with code -11",
]  # fmt: skip
OF_THE_MACHINE = [
    "You have requested downloading the video partially, but ffmpeg is not installed. Aborting",
    "ffmpeg not found. Please install or provide the path using --ffmpeg-location",
    "Postprocessing: ffprobe and ffmpeg not found. Please install or provide the path using --ffmpeg-location",
    "Unable to download video: [Errno 28] No space left on device",
    "unable to open for writing: [Errno 28] No space left on device: '/tmp/x'",
    "[Errno 122] Disk quota exceeded",
    "[Errno 30] Read-only file system",
    "ffmpeg exited with code 228",  # -ENOSPC as an exit status
    "Unable to download webpage: [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: unable to get local issuer",
    "Failed to resolve 'www.youtube.com' ([Errno -2] Name or service not known)",
    "[Errno 101] Network is unreachable",
    "Unable to connect to proxy",
    "Failed to resolve 'www.youtube.com'",
    "No supported JavaScript runtime could be found",
]


@pytest.mark.parametrize("words", OF_THE_VIDEO)
def test_only_what_the_site_says_of_this_video_loses_it(words):
    fault = fault_of(f"ERROR: [youtube] abcdefghijk: {words}")
    assert isinstance(fault, RejectedClip) and fault.reason == OF_THE_VIDEO[words]


@pytest.mark.parametrize("words", FOR_NOW)
def test_a_fault_of_site_or_network_passes(words):
    fault = fault_of(f"ERROR: [youtube] abcdefghijk: {words}")
    assert isinstance(fault, Throttled) and words.split(":")[0][:20] in str(fault)


@pytest.mark.parametrize("words", OF_THE_MACHINE)
def test_a_fault_of_the_machine_names_it(words):
    fault = fault_of(f"ERROR: {words}")
    assert isinstance(fault, RuntimeError) and "this machine cannot fetch" in str(fault)


def test_a_failed_challenge_is_a_fault_of_the_machine():
    warning = (
        "[youtube] abcdefghijk: n challenge solving failed: Some formats may be missing. Ensure you have a supported"
    )
    fault = fault_of("ERROR: [youtube] abcdefghijk: Requested format is not available.", [warning])
    assert isinstance(fault, RuntimeError) and "n challenge solving failed" in str(fault)


@pytest.fixture
def download(monkeypatch, capsys, tmp_path) -> Download:
    return Download(monkeypatch, capsys, tmp_path)


def fetch_by(download, monkeypatch, fetch) -> list[str]:
    """Fetch by a function of (videoID, path) instead; returns the videos that it is asked for."""
    import panda_stand_in

    asked = []

    def replaced(url, start, end, path, settings):
        asked.append(url.rpartition("=")[2])
        fetch(asked[-1], path)

    monkeypatch.setattr(panda_stand_in, "fetch", replaced)
    download.fetching = download.fetching.model_copy(update={"attempts": 1})
    return asked


def whole_film() -> bytes:
    """A scene of 40 seconds."""
    video = decode_mp4(scene())
    return encode_mp4(video.repeat(36, axis=0)[:320], 8)


def test_a_fetcher_that_brings_nothing_stops_the_job_before_the_reserve_is_spent(download, monkeypatch):
    download.choose(ids("G" * 60), train=4, evaluation=1, reserve=10)
    asked = fetch_by(download, monkeypatch, lambda video_id, path: None)
    download.shard("train", 0, expected=1)
    assert len(asked) == 10 and "no file came" in download.said and "Traceback" not in download.said
    assert not (download.folder / "train-0.h5").exists()
    asked.clear()
    fetch_by(download, monkeypatch, lambda video_id, path: path.write_bytes(scene()))
    with download.shard("train", 0) as shard:
        assert len(shard) == 4 and not shard.rejected, "no clip was lost to it"


def test_a_file_that_is_longer_than_its_range_is_not_taken(download, monkeypatch):
    download.choose(ids("LGGGG"), train=3, evaluation=1, reserve=0.3)
    film = whole_film()
    fetch_by(download, monkeypatch, lambda video_id, path: path.write_bytes(film if video_id[0] == "L" else scene()))
    split = download.split_of("L0000000000.0")
    with download.shard(split, 0) as shard:
        reasons = [entry["reason"] for entry in shard.rejected]
    assert "L0000000000.0" not in shard.clip_ids
    assert reasons == ["not fetched: got 40.0 s for a range of 5.0 s"]


def test_a_fetcher_that_brings_whole_films_stops_the_job(download, monkeypatch):
    download.choose(ids("G" * 30), train=4, evaluation=1, reserve=4)
    film = whole_film()
    asked = fetch_by(download, monkeypatch, lambda video_id, path: path.write_bytes(film))
    download.shard("train", 0, expected=1)
    assert len(asked) == 10 and "got 40.0 s for a range of 5.0 s" in download.said


def test_nothing_fetched_at_all_is_no_finished_shard(download, monkeypatch):
    download.choose(ids("G" * 4), train=3, evaluation=1, reserve=0)
    fetch_by(download, monkeypatch, lambda video_id, path: None)
    download.shard("train", 0, expected=1)
    assert not (download.folder / "train-0.h5").exists() and "no file came" in download.said


@pytest.mark.parametrize(
    ("number", "code"), [(errno.ECONNRESET, 69), (errno.ETIMEDOUT, 69), (errno.ENOSPC, 1), (errno.EDQUOT, 1)]
)
def test_errors_that_a_fetcher_lets_through_lose_no_clip(download, monkeypatch, number, code):
    def fail(video_id, path):
        raise OSError(number, "as the system says it")

    download.choose(ids("G" * 4), train=3, evaluation=1, reserve=0)
    fetch_by(download, monkeypatch, fail)
    download.shard("train", 0, expected=code)
    assert "as the system says it" in download.said and "Traceback" not in download.said


def test_a_disk_that_is_full_before_the_fetcher_is_asked(download, monkeypatch):
    def full(*arguments, **options):
        raise OSError(errno.ENOSPC, "No space left on device")

    download.choose(ids("G" * 4), train=3, evaluation=1, reserve=0)
    monkeypatch.setattr("tempfile.mkdtemp", full)
    download.shard("train", 0, expected=1)
    assert "No space left on device" in download.said


def test_a_missing_yt_dlp_is_one_sentence(download, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "yt_dlp", None)
    download.choose(ids("G" * 4), train=3, evaluation=1, reserve=0)
    download.fetching = download.fetching.model_copy(update={"fetch": "yt_dlp"})
    download.shard("train", 0, expected=1)
    assert 'pip install "udpdiff[panda70m]"' in download.said and "Traceback" not in download.said


@pytest.mark.parametrize("data", [b"", b"<html>Sign in</html>" * 100])
def test_a_fetcher_that_brings_something_else_stops_the_job(download, monkeypatch, data):
    download.choose(ids("G" * 30), train=4, evaluation=1, reserve=4)
    asked = fetch_by(download, monkeypatch, lambda video_id, path: path.write_bytes(data))
    download.shard("train", 0, expected=1)
    assert len(asked) == 10 and "10 clips in a row were not fetched" in download.said
