"""Who may write to a study: one driver, the workers of its run, one worker for each fold.

Locks are those of the kernel (flock), on files of their own beside the study's folder, which
nobody deletes but who holds them: with a killed process they are gone. A file system of several
hosts has them too (NFS 4). Where there are none, in an object store or on a file system without,
a lease keeps a second driver out; see `study.storage.lease`. A store's locks are files of this
user on this machine besides, so that a second driver here is refused at once.
"""

import contextlib
import errno
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from study.errors import StudyFailedError
from study.storage.cache_folder import prepared_folder
from study.storage.folder import Folder, LocalFolder
from study.storage.hashes import sha256
from study.storage.lease import held_elsewhere, leased

LEAVE_SECONDS = 120.0
"""How long the processes of a killed run may take to be gone."""
LOOK_SECONDS = 0.1
DRIVER = "driver.lock"
WITHOUT_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)


class ForeignRunError(RuntimeError):
    """The study was started again since: this run's workers have no business here."""


class NoLocksError(OSError):
    """The file system has no locks."""


@contextlib.contextmanager
def sole_driver(
    output: Folder, name: str, on_lost: Callable[[str], object] = lambda reason: None
) -> Iterator[None]:
    """Hold a study of the output folder.

    Args:
        output: the folder of all results.
        name: the study's.
        on_lost: called from another thread, with the reason, where another driver has taken
            the study over since; only where there are no locks.

    Raises:
        RequestError: another process holds it.
    """
    lock, has_locks = _lock_folder(output, name) / DRIVER, True
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(locked(lock))
        except TimeoutError:
            raise held_elsewhere(output.locate(name)) from None
        except NoLocksError:
            has_locks = False
        if not has_locks or not isinstance(output, LocalFolder):
            held.enter_context(leased(output, name, lock if has_locks else None, on_lost))
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
    deadline = time.monotonic() + LEAVE_SECONDS
    try:
        # Whoever comes to one of these from now on finds that another run has begun.
        for path in sorted(_lock_folder(output, name).glob("trial-*.lock")):
            with (
                contextlib.suppress(NoLocksError),
                locked(path, deadline - time.monotonic(), is_kept=False),
            ):
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
    path = _lock_folder(output, name) / f"{fold.replace('/', '.')}.lock"
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(locked(path, LEAVE_SECONDS, is_kept=False))
        except TimeoutError:
            raise StudyFailedError(
                f"{output.locate(name)}: another worker has {fold} and does not leave"
            ) from None
        except NoLocksError:
            pass  # a manifest is written once, whoever comes first
        if output.read(f".{name}.run") != run.encode():
            raise ForeignRunError(f"{output.locate(name)}: another run has begun")
        yield


@contextlib.contextmanager
def locked(path: Path, patience_seconds: float = 0.0, *, is_kept: bool = True) -> Iterator[None]:
    """Hold a lock file, which appears if it is not there.

    Args:
        path: the file.
        patience_seconds: how long to wait for others.
        is_kept: whether the file stays when it is released.

    Raises:
        TimeoutError: others held it for all of `patience_seconds`.
        NoLocksError: there are no locks where it is.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + patience_seconds
    while (descriptor := _try_lock(path)) is None:
        if time.monotonic() >= deadline:
            raise TimeoutError
        time.sleep(LOOK_SECONDS)
    try:
        yield
    finally:
        if not is_kept:
            path.unlink(missing_ok=True)  # while it is held: who waits for it looks again
        os.close(descriptor)


def _try_lock(path: Path) -> int | None:
    """Return the descriptor of a file that is locked now; None if it is held, or was replaced."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(descriptor), path.stat()):
            return descriptor
    except (BlockingIOError, FileNotFoundError):
        pass
    except OSError as error:
        os.close(descriptor)
        if error.errno in WITHOUT_LOCKS:
            path.unlink(missing_ok=True)
            raise NoLocksError(error.errno, os.strerror(error.errno), str(path)) from None
        if error.errno != errno.ESTALE:  # it was deleted on another host
            raise
        return None
    except BaseException:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None


def _lock_folder(output: Folder, name: str) -> Path:
    """Return where the locks of a study are: beside its folder, or for a store on this machine."""
    location = output.locate(f".{name}.locks")
    if isinstance(output, LocalFolder):
        return Path(location)
    uri, _, _ = location.partition("?")
    return prepared_folder() / "locks" / sha256(uri.encode())
