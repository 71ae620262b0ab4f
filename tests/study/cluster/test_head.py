"""Addresses of clusters that are there, that come late, and that are none."""

import base64
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import ray

from study import run
from study.cluster import head
from study.cluster.head import await_head
from study.errors import RequestError, StudyFailedError
from tests.commands import call

LOOPBACK = "127.0.0.1"


@pytest.fixture
def port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as free:
        free.bind((LOOPBACK, 0))
        return int(free.getsockname()[1])


@pytest.mark.parametrize("address", ["head", "head:", ":6379", "head:0", "head:65536", "local"])
def test_what_is_no_address_is_refused_with_what_is_one(address: str) -> None:
    with pytest.raises(RequestError, match=f"host:port or auto, found {address}$"):
        await_head(address)


@pytest.mark.parametrize("address", ["ray://head:10001", "http://head:8265"])
def test_rays_client_and_its_jobs_are_refused(address: str) -> None:
    with pytest.raises(RequestError, match="host:port, or auto on the head itself"):
        await_head(address)


def test_a_wrong_address_is_one_line_and_nothing_is_written(port: int, tmp_path: Path) -> None:
    results = tmp_path / "results"
    arguments = ("--address", f"{LOOPBACK}:{port}", "--output", str(results))
    answer = call(run.app, "quickstart", *arguments)
    line = f"no Ray cluster answers at {LOOPBACK}:{port}: connection refused"
    assert (answer.code, answer.output, answer.errors.strip()) == (1, "", line)
    assert not results.exists()
    assert call(run.app, "quickstart", "--plan", *arguments).code == 1


def test_what_takes_connections_is_not_for_that_a_head(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(head, "ANSWER_SECONDS", 1.0)
    with socket.create_server((LOOPBACK, 0)) as listener:
        port = listener.getsockname()[1]  # Ray asks it at another address of this machine
        with pytest.raises(StudyFailedError, match=rf"what listens at \S+:{port} is no head"):
            await_head(f"{LOOPBACK}:{port}")


@pytest.fixture
def late_head(port: int, tmp_path: Path) -> Iterator[int]:
    """The port of a head of Ray's, nothing else of a cluster, that is started after a second."""
    started: list[subprocess.Popen[bytes]] = []

    def start() -> None:
        command = [
            Path(ray.__file__).parent / "core/src/ray/gcs/gcs_server",
            f"--log_dir={tmp_path}",
            f"--config_list={base64.b64encode(b'{}').decode()}",
            f"--gcs_server_port={port}",
            f"--node-ip-address={LOOPBACK}",
            "--session-name=late",
        ]
        started.append(subprocess.Popen(command, stdout=subprocess.DEVNULL))

    timer = threading.Timer(1.0, start)
    timer.start()
    yield port
    timer.join()
    for process in started:
        process.kill()
        process.wait()


@pytest.mark.cluster
def test_a_head_that_comes_late_is_waited_for(
    late_head: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")  # it listens on loopback alone
    with pytest.raises(StudyFailedError, match="connection refused"):
        await_head(f"{LOOPBACK}:{late_head}")
    await_head(f"{LOOPBACK}:{late_head}", patience_seconds=600)
