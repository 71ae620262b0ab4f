"""Where there are no locks: one driver at a time, also of two that come at the same moment."""

import contextlib
import errno
import fcntl
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from study.errors import RequestError
from study.storage import lease
from study.storage.folder import Folder, LocalFolder, open_folder
from study.storage.lease import leased
from study.storage.locks import begin_run, fold_of_run, sole_driver
from tests.s3_server import S3Server


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "RENEW_SECONDS", 0.05)
    monkeypatch.setattr(lease, "LEASE_SECONDS", 1.0)


@pytest.fixture(params=["store", "disk"])
def output(request: pytest.FixtureRequest, tmp_path: Path, store: S3Server) -> Folder:
    if request.param == "store":
        return open_folder(store.uri(f"lease/{tmp_path.name}"))
    return LocalFolder(tmp_path)


@contextlib.contextmanager
def held(output: Folder, lost: list[str] | None = None) -> Iterator[None]:
    """Hold the lease as a driver of another machine does."""
    with leased(output, "mine", None, (lost if lost is not None else []).append):
        yield


def test_of_drivers_that_start_at_the_same_moment_one_is_let_in(output: Folder) -> None:
    ready, done = threading.Barrier(4), threading.Barrier(4, timeout=60)

    def drive(_: int) -> bool:
        ready.wait()
        try:
            with held(output):
                done.wait()
                return True
        except RequestError:
            done.wait()
            return False

    with ThreadPoolExecutor(4) as drivers:
        assert sum(drivers.map(drive, range(4))) == 1


@pytest.mark.slow
def test_a_driver_that_lives_keeps_others_out_however_long_it_takes(output: Folder) -> None:
    lost: list[str] = []
    with held(output, lost):
        time.sleep(1.2 * lease.LEASE_SECONDS)
        with pytest.raises(RequestError, match="another process runs this study"), held(output):
            pass
    assert not lost
    began = time.monotonic()
    with held(output):
        pass
    assert time.monotonic() - began < lease.LEASE_SECONDS


@pytest.mark.slow
def test_a_dead_driver_is_followed_and_one_that_was_only_slow_learns_of_it(
    output: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost: list[str] = []
    with monkeypatch.context() as slow:
        slow.setattr(lease, "RENEW_SECONDS", 2.5)
        first = contextlib.ExitStack()
        first.enter_context(held(output, lost))
    with held(output), first:
        deadline = time.monotonic() + 10
        while not lost and time.monotonic() < deadline:
            time.sleep(0.02)
    assert len(lost) == 1
    assert "another process has taken the study over" in lost[0]


def test_a_file_that_was_written_without_an_answer_is_the_holders_own(
    output: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, lost = output.folder(".mine.lease"), list[str]()
    with held(output, lost):
        first = folder.names()
        create, failed = type(folder).create, threading.Event()

        def create_unheard(self: Folder, path: str, content: bytes) -> bool:
            created = create(self, path, content)
            if not failed.is_set():
                failed.set()
                raise OSError("no answer")
            return created

        monkeypatch.setattr(type(folder), "create", create_unheard)
        assert failed.wait(10)
        deadline = time.monotonic() + 10
        while folder.names()[0] <= first[0] and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(3 * lease.RENEW_SECONDS)
    assert not lost
    assert folder.names() == []


def test_a_store_that_knows_no_conditions_lets_one_in_as_well(
    output: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def create(path: str, content: bytes) -> bool:
        output.folder(".mine.lease").write(path, content)
        return True

    with held(output):
        other = lease._Lease(output.folder(".mine.lease"), "mine", None)
        other._number = other._newest()
        monkeypatch.setattr(other._folder, "create", create)
        with pytest.raises(RequestError):
            other.take()


def test_a_second_driver_on_this_machine_is_refused_at_once_and_follows_a_killed_one_at_once(
    store: S3Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("STUDY_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(lease, "LEASE_SECONDS", 600.0)
    output = open_folder(store.uri("lease/here"))
    with sole_driver(output, "mine"):
        left = output.folder(".mine.lease").names()
        with pytest.raises(RequestError), sole_driver(output, "mine"):
            pass
        content = output.read(f".mine.lease/{left[-1]}")
    output.write(".mine.lease/000000000041.json", content)  # as a killed one leaves it
    with sole_driver(output, "mine"):
        pass


def test_a_disk_without_locks_has_a_lease_and_its_workers_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    output = LocalFolder(tmp_path)
    with sole_driver(output, "mine"):
        with pytest.raises(RequestError, match="another process runs"), sole_driver(output, "mine"):
            pass
        begin_run(output, "mine", "run")
        with fold_of_run(output, "mine", "run", "trial-00000/fold-0"):
            pass
        begin_run(output, "mine", "run")
