"""The fetcher in use, yt-dlp itself, against a site of this machine that fails in every way, and an ffmpeg that does."""

from __future__ import annotations

import os
import socket
import struct
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from yt_dlp.postprocessor.ffmpeg import FFmpegPostProcessor

from udpdiff.clip import RejectedClip, Rejection
from udpdiff.sources.download_faults import CannotFetch, Throttled
from udpdiff.sources.fetching import FetchSettings, fetch_with_yt_dlp

SETTINGS = FetchSettings(height=360)


class Site(BaseHTTPRequestHandler):
    """Answers by the path: a status, a connection that breaks, or a file of zeros that calls itself a video."""

    def do_GET(self) -> None:
        what = self.path.strip("/").split(".")[0]
        if what in ("reset", "closed"):
            if what == "reset":
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
            return
        body = bytes(1000) if what == "video" else b"<html>hello</html>"
        self.send_response(int(what) if what.isdecimal() else 200)
        self.send_header("Content-Type", "video/mp4" if what == "video" else "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    do_HEAD = do_GET

    def log_message(self, *words) -> None:
        """Says nothing."""


@pytest.fixture(scope="module")
def site():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture(autouse=True)
def no_programs(monkeypatch, tmp_path):
    """A PATH with nothing but what a test puts there, and no proxy between here and the site."""
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", os.fspath(tmp_path / "bin"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    # What yt-dlp found out about the programs of the PATH before.
    for cache in ("_version_cache", "_features_cache"):
        monkeypatch.setattr(FFmpegPostProcessor, cache, {})


def fault(url: str, tmp_path: Path) -> Exception:
    with pytest.raises((Throttled, CannotFetch, RejectedClip)) as raised:
        fetch_with_yt_dlp(url, 0.0, 5.0, tmp_path / "clip.mp4", SETTINGS)
    return raised.value


@pytest.mark.parametrize("path", ["403", "429", "500", "502", "503", "reset", "closed"])
def test_a_site_that_fails_is_asked_again_later(site, tmp_path, path):
    assert isinstance(fault(f"{site}/{path}", tmp_path), Throttled)


@pytest.mark.parametrize("path", ["404", "410"])
def test_a_page_that_is_gone_is_a_dead_link(site, tmp_path, path):
    assert fault(f"{site}/{path}", tmp_path).reason == Rejection.DEAD_LINK


def test_what_is_no_video_is_not_fetched(site, tmp_path):
    assert fault(f"{site}/page", tmp_path).reason == Rejection.NOT_FETCHED


def test_nobody_at_the_address(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    assert isinstance(fault(f"http://127.0.0.1:{port}/", tmp_path), CannotFetch)


def test_without_ffmpeg(site, tmp_path):
    assert "ffmpeg is not installed" in str(fault(f"{site}/video.mp4", tmp_path))


@pytest.mark.parametrize(
    ("ends", "kind"), [("exit 1", Throttled), ("kill -SEGV $$", Throttled), ("exit 228", CannotFetch)]
)
def test_an_ffmpeg_that_fails(site, tmp_path, ends, kind):
    program = tmp_path / "bin/ffmpeg"
    program.write_text(f'#!/bin/sh\ncase "$*" in *version*|*bsfs*) echo "ffmpeg version 7.1";; *) {ends};; esac\n')
    program.chmod(0o755)
    assert isinstance(fault(f"{site}/video.mp4", tmp_path), kind)


def test_cookies_that_are_none(site, tmp_path):
    (tmp_path / "cookies.txt").write_text("no cookies")
    settings = FetchSettings(height=360, cookies=os.fspath(tmp_path / "cookies.txt"))
    with pytest.raises(CannotFetch, match="cookies"):
        fetch_with_yt_dlp(f"{site}/404", 0.0, 5.0, tmp_path / "clip.mp4", settings)
