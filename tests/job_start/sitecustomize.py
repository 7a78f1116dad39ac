"""How Python starts in the jobs of a test's workflow: without packages of extras, and forked where a server is at hand.

Without extras is how the README's first command installs. With a server (see `forked_jobs`) a job of the workflow is a fork of a
process that has imported everything, which spares it seconds of imports; everything else is as it would be.
"""

import os
import sys
from importlib.machinery import PathFinder

EXTRAS = {"peft", "bitsandbytes", "torchao", "yt_dlp"}
SERVER = "UDPDIFF_TESTS_FORK_JOBS"  # the server's socket


class WithoutExtras(PathFinder):
    @classmethod
    def find_spec(cls, fullname, path=None, target=None):
        return None if fullname.partition(".")[0] in EXTRAS else super().find_spec(fullname, path, target)


def have_it_forked(server: str) -> None:
    """Leave this process's work to a fork of the server, whose streams are ours, and end as it ends."""
    import json
    import signal
    import socket

    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(server)
        work = {"arguments": sys.orig_argv[2:], "folder": os.getcwd(), "environment": dict(os.environ)}
        words = json.dumps(work).encode()
        socket.send_fds(connection, [len(words).to_bytes(4, "big")], [0, 1, 2])
        connection.sendall(words)
        answer = connection.makefile()
        child = int(answer.readline())
        signal.signal(signal.SIGTERM, lambda *_: os.kill(child, signal.SIGTERM))
        code = int(answer.readline() or -signal.SIGKILL)
    if code < 0:
        signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)


sys.meta_path[sys.meta_path.index(PathFinder)] = WithoutExtras
if SERVER in os.environ and sys.orig_argv[1:2] == ["-m"] and sys.orig_argv[2].startswith("scripts."):
    have_it_forked(os.environ[SERVER])
