"""Whether a Ray cluster answers at an address, asked before anything of a study is written.

Ray itself tries for minutes, prints warnings meanwhile, and may end the process. So a process
of its own asks, and is ended when there was time enough for an answer.
"""

import select
import socket
import subprocess
import sys
import time

from study.errors import RequestError, StudyFailedError, one_line

CONNECT_SECONDS = 4.0
ANSWER_SECONDS = 4.0
POLL_SECONDS = 1.0
AUTO = "auto"
ASKING = "asking "
MOST_LETTERS = 200


def await_head(address: str, patience_seconds: float = 0.0) -> None:
    """Return when the head of a cluster answers.

    Args:
        address: "host:port", or "auto" for the cluster on this machine.
        patience_seconds: how long one that does not answer is asked again.

    Raises:
        RequestError: it is no address.
        StudyFailedError: no cluster answers.
    """
    _refuse_no_address(address)
    deadline = time.monotonic() + patience_seconds
    while silence := _silence(address):
        if time.monotonic() >= deadline:
            raise StudyFailedError(f"no Ray cluster answers at {address}: {silence}")
        time.sleep(POLL_SECONDS)


def _refuse_no_address(address: str) -> None:
    """Refuse what is no address of a cluster's head.

    Raises:
        RequestError: it is none.
    """
    if "://" in address:
        raise RequestError(
            f"--address {address}: give the head as host:port, or auto on the head itself; this"
            " does not run through Ray's client or its job API"
        )
    if address != AUTO and _host_and_port(address) is None:
        raise RequestError(f"--address must be host:port or auto, found {address}")


def _host_and_port(address: str) -> tuple[str, int] | None:
    host, _, port = address.rpartition(":")
    is_port = port.isascii() and port.isdigit() and 0 < int(port) < 2**16
    return (host.strip("[]"), int(port)) if host and is_port else None


def _silence(address: str) -> str:
    """Return why no cluster answers; "" if one does."""
    if host_and_port := _host_and_port(address):
        try:
            socket.create_connection(host_and_port, CONNECT_SECONDS).close()
        except OSError as error:
            return (error.strerror or str(error)).lower()
    # Time counts from when Ray is imported, which takes a busy machine longer.
    with subprocess.Popen(
        [sys.executable, "-m", __spec__.name, address],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as question:
        assert question.stdout
        line = question.stdout.readline().strip()
        if not line.startswith(ASKING):
            return line or "Ray cannot be imported"
        if not select.select([question.stdout], [], [], ANSWER_SECONDS)[0]:
            question.kill()
            return f"what listens at {line.removeprefix(ASKING)} is no head of a cluster"
        answer = question.stdout.read().strip()
    return "" if question.returncode == 0 else answer or "the question failed"


def main(address: str) -> int:
    """Ask; say which address is asked, and why there is no answer if there is none."""
    from ray.exceptions import AuthenticationError

    from study.cluster.ray_internals.core import ask_head, find_head

    try:
        head = find_head(address)
        _write_line(f"{ASKING}{head}")
        ask_head(head)
    except AuthenticationError as error:
        if address != AUTO:  # where Ray has found the head itself it looks for the token as well
            return _write_reason(error)
    except Exception as error:
        return _write_reason(error)
    return 0


def _write_reason(error: Exception) -> int:
    _write_line(one_line(error)[:MOST_LETTERS])
    return 1


def _write_line(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
