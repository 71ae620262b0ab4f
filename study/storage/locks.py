"""Who may write to a study: one driver, the workers of its run, one worker for each fold.

Locks are those of the kernel (flock), on files beside the study's folder: with a killed
process they are gone. A file system of several hosts has them too (NFS 4). An object
store has none: its locks are files of this user on this machine, and keep nobody out who
is on another one.
"""

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

from study.errors import RequestError, StudyFailedError
from study.storage.cache_folder import prepared_folder
from study.storage.folder import Folder, LocalFolder
from study.storage.hashes import sha256

LEAVE_SECONDS = 120.0
"""How long the processes of a killed run may take to be gone."""
LOOK_SECONDS = 0.1


class ForeignRunError(RuntimeError):
    """The study was started again since: this run's workers have no business here."""


def unguarded(output: Folder) -> str:
    """Return a line on what locks do not guard in the output folder; empty if they do."""
    if isinstance(output, LocalFolder):
        return ""
    return (
        f"{output.locate()} has no locks: only on this machine is a second run of the study"
        " refused; start none on another"
    )


@contextlib.contextmanager
def sole_driver(output: Folder, name: str) -> Iterator[None]:
    """Hold a study of the output folder.

    Raises:
        RequestError: another process holds it.
    """
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(locked(output, f".{name}.lock"))
        except TimeoutError:
            raise RequestError(
                f"{output.locate(name)}: another process runs this study; wait for it or stop it"
            ) from None
        yield


def begin_run(output: Folder, name: str, run: str) -> None:
    """Let no worker of an earlier run begin any more, and wait until none is there.

    Args:
        output: the folder of all results.
        name: the study's.
        run: names the run that begins.

    Raises:
        StudyFailedError: a worker of an earlier run does not leave.
    """
    output.write(f".{name}.run", run.encode())
    try:
        with locked(output, f".{name}.workers", patience_seconds=LEAVE_SECONDS):
            pass
    except TimeoutError:
        raise StudyFailedError(
            f"{output.locate(name)}: workers of an earlier run are still there after"
            f" {LEAVE_SECONDS:.0f} s; end them first"
        ) from None


@contextlib.contextmanager
def fold_of_run(output: Folder, name: str, run: str, fold: str) -> Iterator[None]:
    """Hold one fold of a study for a worker of `run`.

    Args:
        output: the folder of all results.
        name: the study's.
        run: the run that the worker belongs to.
        fold: the fold's path below the study's checkpoints.

    Raises:
        ForeignRunError: another run has begun.
        StudyFailedError: another worker holds the fold and does not leave.
    """
    with contextlib.ExitStack() as held:
        try:
            workers = locked(output, f".{name}.workers", LEAVE_SECONDS, shared=True)
            held.enter_context(workers)
            if output.read(f".{name}.run") != run.encode():
                raise ForeignRunError(f"{output.locate(name)}: another run has begun")
            lock = f"{name}/checkpoints/{fold}.lock"
            held.enter_context(locked(output, lock, LEAVE_SECONDS))
        except TimeoutError:
            raise StudyFailedError(
                f"{output.locate(name)}: another worker has {fold} and does not leave"
            ) from None
        yield


@contextlib.contextmanager
def locked(
    folder: Folder, path: str, patience_seconds: float = 0.0, *, shared: bool = False
) -> Iterator[None]:
    """Hold a lock file, which appears if it is not there.

    Raises:
        TimeoutError: others held it for all of `patience_seconds`.
    """
    path_on_disk = _lock_file(folder.locate(path), is_local=isinstance(folder, LocalFolder))
    path_on_disk.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path_on_disk, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        _wait(descriptor, fcntl.LOCK_SH if shared else fcntl.LOCK_EX, patience_seconds)
        yield
    finally:
        os.close(descriptor)


def _lock_file(location: str, *, is_local: bool) -> Path:
    if is_local:
        return Path(location)
    uri, _, _ = location.partition("?")
    return prepared_folder() / "locks" / f"{sha256(uri.encode())}.lock"


def _wait(descriptor: int, kind: int, patience_seconds: float) -> None:
    deadline = time.monotonic() + patience_seconds
    while True:
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise TimeoutError from None
            time.sleep(LOOK_SECONDS)
