"""A hub on this machine: the few answers that the real client of huggingface_hub asks for, from folders of files."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


@dataclass
class SmallHub:
    """Repositories by id, each with its files; `asked` has the path of every request.

    A repository has one branch, main, whose commit follows from the files.
    """

    repositories: dict[str, dict[str, bytes]] = field(default_factory=dict)
    gated: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)
    endpoint: str = ""

    def commit(self, name: str) -> str:
        files = self.repositories[name]
        return hashlib.sha1(b"".join(path.encode() + files[path] for path in sorted(files))).hexdigest()

    def add_folder(self, name: str, folder: Path, **others: bytes) -> None:
        files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        self.repositories[name] = files | others

    def answer(self, path: str) -> tuple[int, dict[str, str], bytes]:
        """Return status, headers and body of a request."""
        kind = path.split("?")[0].strip("/").split("/")
        name = "/".join(kind[2:4] if kind[0] == "api" else kind[:2])
        rest = kind[4:] if kind[0] == "api" else kind[2:]
        if name not in self.repositories:
            return 404, {"X-Error-Code": "RepoNotFound"}, b""
        if name in self.gated and rest[:1] in (["auth-check"], ["resolve"]):
            return 403, {"X-Error-Code": "GatedRepo"}, b""
        files, commit = self.repositories[name], self.commit(name)
        if rest[:1] in (["revision"], ["resolve"], ["tree"]) and rest[1] not in ("main", commit):
            return 404, {"X-Error-Code": "RevisionNotFound"}, b""
        if rest[:1] == ["resolve"]:
            body = files["/".join(rest[2:])]
            return 200, {"ETag": f'"{hashlib.sha1(body).hexdigest()}"', "X-Repo-Commit": commit}, body
        if rest[:1] == ["tree"]:
            listed = [
                {"type": "file", "path": path, "size": len(body), "oid": hashlib.sha1(body).hexdigest()}
                for path, body in files.items()
            ]
        else:
            listed = {"id": name, "sha": commit, "siblings": [{"rfilename": path} for path in files]}
        return 200, {"Content-Type": "application/json"}, json.dumps(listed).encode()


@contextmanager
def serve(hub: SmallHub) -> Iterator[SmallHub]:
    """Answer at `hub.endpoint` while the body runs."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            hub.asked.append(self.path)
            status, headers, body = hub.answer(self.path)
            self.send_response(status)
            for key, value in headers.items():
                self.send_header(key, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        do_HEAD = do_GET

        def log_message(self, *arguments) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    hub.endpoint = f"http://127.0.0.1:{server.server_port}"
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
