"""What the raylet of a private cluster starts as a worker: a fork of the fork server becomes it.

It is here for a moment only, and imports next to nothing. Where no fork server answers, this
process becomes the worker that Ray would have started.
"""

import json
import os
import socket
import sys
from pathlib import Path

ADDRESS = "STUDY_FORK_SERVER"
"""The variable that holds the address of the fork server, a socket's path."""
SETUP_PROGRAM = "setup_worker.py"
"""Ray's, beside a worker's own: it makes the runtime environment, and becomes the worker."""
RAY_PREFIX = "RAY_"
"""Of variables that Ray reads as it is imported."""
OOM_SCORE = Path("/proc/self/oom_score_adj")
"""The raylet raises it, so that workers die first where memory runs out."""


def is_forked(arguments: list[str]) -> bool:
    """Ask the fork server for a fork that becomes the worker.

    Args:
        arguments: the worker's program and its arguments.
    """
    try:
        request = {
            "arguments": arguments,
            "environment": dict(os.environ),
            "folder": str(Path.cwd()),
            "oom_score": OOM_SCORE.read_text(),
        }
        with socket.socket(socket.AF_UNIX) as server:
            server.connect(os.environ[ADDRESS])
            socket.send_fds(server, [b"\n"], [0, 1, 2])
            server.sendall(json.dumps(request).encode())
            server.shutdown(socket.SHUT_WR)
            return bool(server.recv(1))
    except (OSError, KeyError):
        return False


if __name__ == "__main__" and not is_forked(sys.argv[1:]):
    setup = Path(sys.argv[1]).with_name(SETUP_PROGRAM)
    os.execv(sys.executable, [sys.executable, str(setup), *sys.argv[1:]])
