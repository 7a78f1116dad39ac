"""A server that starts jobs of the workflow as forks of itself, which has imported everything: `python forked_jobs.py SOCKET`.

`sitecustomize` asks it, where the environment names the socket. A job has the arguments, the folder, the environment and the
streams of the process that asked. What libraries read when they are imported, as HF_HUB_OFFLINE, is the server's.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import pkgutil
import selectors
import socket
import sys

from as_main import run_as_main


def import_everything() -> None:
    """Import all scripts and all of `udpdiff`, and what these import only when they are used."""
    import scripts
    import udpdiff

    for package in (scripts, udpdiff):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            with contextlib.suppress(ModuleNotFoundError):  # of extras
                if not module.name.endswith("__main__"):
                    importlib.import_module(module.name)
    for late in ("sam2.sam2_video_predictor", "hydra", "matplotlib.pyplot", "scipy.ndimage"):
        importlib.import_module(late)


def run(work: dict, streams: list[int]) -> None:
    """Be the process of a job: never returns."""
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    os.chdir(work["folder"])
    os.environ.clear()
    os.environ |= work["environment"]
    os.execve = lambda path, command, environment: start(command[1:], environment)
    start(["-m", *work["arguments"]], dict(os.environ))


def start(arguments: list[str], environment: dict[str, str]) -> None:
    """Run `python -m MODULE ...` here, to its end."""
    os.environ |= environment
    _, module, *words = arguments
    sys.modules.pop(module, None)  # it is read again, as the main module
    run_as_main(module, words)


def asked(connection: socket.socket) -> tuple[dict, list[int]]:
    """Return what a connection wants to have run, and its streams."""
    size, streams, _, _ = socket.recv_fds(connection, 4, 3)
    with connection.makefile("rb") as words:
        return json.loads(words.read(int.from_bytes(size, "big"))), streams


def serve(place: str) -> None:
    """Answer connections until the process that started the server is gone."""
    waiting, parent = selectors.DefaultSelector(), os.getppid()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(place)
        listening.listen()
        waiting.register(listening, selectors.EVENT_READ)
        while os.getppid() == parent:
            for key, _ in waiting.select(timeout=5.0):
                if key.fileobj is listening:
                    connection, _ = listening.accept()
                    work, streams = asked(connection)
                    child = os.fork()
                    if child == 0:
                        run(work, streams)
                    for stream in streams:
                        os.close(stream)
                    connection.sendall(f"{child}\n".encode())
                    waiting.register(os.pidfd_open(child), selectors.EVENT_READ, (child, connection))
                else:
                    child, connection = key.data
                    waiting.unregister(key.fileobj)
                    os.close(key.fd)
                    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
                    connection.sendall(f"{code}\n".encode())
                    connection.close()


if __name__ == "__main__":
    import_everything()
    serve(sys.argv[1])
