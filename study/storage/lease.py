"""A lease on a study, which keeps a second driver out where there are no locks.

A lease is a row of numbered files, of which the newest says who holds the study. Each is written
on condition that it is not there. The holder writes the next one every few seconds, and only then
deletes the one before. Another driver watches the newest by its own clock: if none comes for long
enough, its holder is dead, and the other writes the next one. A holder that cannot write its
next one since somebody else has it has lost the study.
"""

import contextlib
import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

from study.errors import RequestError
from study.storage.folder import Folder

RENEW_SECONDS = 15.0
LEASE_SECONDS = 60.0
"""How long a holder that renews nothing is waited for."""
LOOK_SECONDS = 2.0
BOOT = Path("/proc/sys/kernel/random/boot_id")


@contextlib.contextmanager
def leased(
    output: Folder, name: str, lock: Path | None, on_lost: Callable[[str], object]
) -> Iterator[None]:
    """Hold the lease on a study of the output folder.

    Args:
        output: the folder of all results.
        name: the study's.
        lock: a lock file that this process holds: an earlier holder of the same one is dead,
            and is not waited for. None where there are no locks on this machine either.
        on_lost: called from another thread, with the reason, where somebody else has it.

    Raises:
        RequestError: another process holds it.
    """
    lease = _Lease(output.folder(f".{name}.lease"), output.locate(name), lock)
    lease.take()
    ended = threading.Event()
    renewing = threading.Thread(target=lease.renew, args=(ended, on_lost), daemon=True)
    renewing.start()
    try:
        yield
    finally:
        ended.set()
        renewing.join()
        lease.release()


def held_elsewhere(study: str) -> RequestError:
    """Return what is raised where another process holds a study."""
    return RequestError(f"{study}: another process runs this study; wait for it or stop it")


class _Lease:
    def __init__(self, folder: Folder, study: str, lock: Path | None) -> None:
        self._folder, self._study = folder, study
        self._machine = _identity(lock) if lock else ""
        content = {"holder": uuid.uuid4().hex, "lock": self._machine}
        self._content = json.dumps(content).encode()
        self._number, self._renew_seconds = 0, RENEW_SECONDS

    def take(self) -> None:
        """Write the next file, once the holder of the newest is known to be dead."""
        newest = self._newest()
        if newest and not self._is_of_this_machine(newest):
            deadline = time.monotonic() + LEASE_SECONDS
            while time.monotonic() < deadline:
                time.sleep(min(LOOK_SECONDS, LEASE_SECONDS / 4))
                if self._newest() != newest:
                    raise held_elsewhere(self._study)
        self._number = newest
        # A holder that was only slow may have written more than one by now; and a store that
        # writes on no condition lets everybody write: what is there then decides.
        if not self._write_next() or self._read(self._number) != self._content:
            raise held_elsewhere(self._study)
        if newest:
            self._folder.remove(self._file(newest))

    def renew(self, ended: threading.Event, on_lost: Callable[[str], object]) -> None:
        """Write the next file from time to time, until `ended` is set or somebody else has it."""
        while not ended.wait(self._renew_seconds):
            with contextlib.suppress(OSError):  # a store that does not answer is asked next time
                # Who takes over deletes the file of before, and may be gone itself by now.
                if not (self._holds_newest() and self._write_next()):
                    on_lost(f"{self._study}: another process has taken the study over")
                    return
                self._folder.remove(self._file(self._number - 1))

    def release(self) -> None:
        """Delete the own file."""
        with contextlib.suppress(OSError):
            self._folder.remove(self._file())

    def _holds_newest(self) -> bool:
        """Return whether the newest file is this one's, written with or without an answer."""
        newest = self._newest()
        if newest > self._number and self._read(newest) == self._content:
            self._folder.remove(self._file())
            self._number = newest
        return newest == self._number

    def _write_next(self) -> bool:
        """Write the next file; return whether it is this one's, and the newest."""
        if not self._folder.create(self._file(self._number + 1), self._content):
            return False
        self._number += 1
        return self._newest() == self._number

    def _newest(self) -> int:
        """Return the newest file's number; 0 if there is none."""
        numbers = (name.removesuffix(".json") for name in self._folder.names())
        return max((int(number) for number in numbers if number.isdecimal()), default=0)

    def _file(self, number: int | None = None) -> str:
        return f"{self._number if number is None else number:012d}.json"

    def _read(self, number: int) -> bytes:
        """Return what a file holds; nothing if it is gone."""
        try:
            return self._folder.read(self._file(number))
        except FileNotFoundError:
            return b""

    def _is_of_this_machine(self, number: int) -> bool:
        try:
            held = json.loads(self._read(number))["lock"]
        except (ValueError, KeyError, TypeError):
            return False
        return bool(self._machine) and held == self._machine


def _identity(lock: Path) -> str:
    """Return what tells a lock file from those of all other machines; "" if nothing does."""
    try:
        status = lock.stat()
        return f"{BOOT.read_text().strip()} {status.st_dev} {status.st_ino}"
    except OSError:
        return ""
