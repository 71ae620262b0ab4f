"""One run of a study as users start it, and its processes, known by a mark they inherit."""

import contextlib
import os
import random
import re
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

MARK = "STUDY_TEST_RUN"
VICTIMS = {
    "worker": "RayTrainWorker",
    "hang": "RayTrainWorker",
    "trial": "ray::ResourceTrainable.train",
    "coordinator": "ray::Coordinator",
    "raylet": "raylet/raylet",
    "head": "gcs/gcs_server",
}
"""What the command line of each kind holds; the driver is known by its process id.

A trial's process has another name while it waits for a trial."""
LOCK_OF_FOLD = re.compile(r"locks/(?:\w+/)?(trial-\d+\.fold-\d+)\.lock$")
"""What a worker has open while it trains a fold; see `study.storage.locks`."""
PATIENCE_SECONDS = 900.0
LOOKS = 3
"""A process that is just replacing its program has no environment to read: look again."""


def marked(mark: str) -> dict[int, str]:
    """Return the living processes with a mark in their environment, with their commands."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            environment = (entry / "environ").read_bytes()
            command = (entry / "cmdline").read_bytes()
        except OSError:
            continue
        if f"{MARK}={mark}".encode() in environment and command:
            found[int(entry.name)] = command.replace(b"\0", b" ").decode(errors="replace")
    return found


def kill_marked(mark: str) -> None:
    """Kill all processes with a mark, by process id, until none is found any more."""
    looks = 0
    while looks < LOOKS:
        found = marked(mark)
        for pid in found:
            kill(pid)
        looks = 0 if found else looks + 1
        time.sleep(0.05)


def kill(pid: int, with_signal: int = signal.SIGKILL) -> bool:
    """Kill -9 a process, or send it another signal; tell whether it was there."""
    try:
        os.kill(pid, with_signal)
    except ProcessLookupError:
        return False
    return True


class Run:
    """One `python -m study.run` and all that it starts.

    Attributes:
        driver: the process that was started.
        log: what it prints, on both streams.
    """

    def __init__(self, folder: Path, *arguments: str, **environment: str) -> None:
        self.mark = secrets.token_hex(16)
        self.log = folder / f"run-{self.mark}.log"
        with self.log.open("w") as log:
            self.driver = subprocess.Popen(
                [sys.executable, "-m", "study.run", *arguments],
                stdout=log,
                stderr=subprocess.STDOUT,
                env={
                    **os.environ,
                    MARK: self.mark,
                    "STUDY_CACHE_DIR": str(folder / "cache"),
                    **environment,
                },
                start_new_session=True,
                # Tests in the background of a shell have SIGINT ignored, and would hand that down.
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
            )

    def printed(self) -> str:
        """Return what it has printed so far."""
        return self.log.read_text()

    def others(self) -> dict[int, str]:
        """Return the living processes but the driver, by process id with their commands."""
        found = marked(self.mark)
        found.pop(self.driver.pid, None)
        return found

    def find(self, kind: str) -> list[int]:
        """Return the process ids of a kind of victim."""
        if kind == "driver":
            return [self.driver.pid]
        return sorted(pid for pid, command in self.others().items() if VICTIMS[kind] in command)

    def folds_in_training(self) -> dict[int, str]:
        """Return the process ids of fold workers that hold a fold, `<trial>.<fold>` of each."""
        held = {}
        for pid in self.find("worker"):
            with contextlib.suppress(OSError):
                for handle in Path(f"/proc/{pid}/fd").iterdir():
                    with contextlib.suppress(OSError):
                        if match := LOCK_OF_FOLD.search(str(handle.readlink())):
                            held[pid] = match[1]
        return held

    def kill_one(self, kind: str, pids: Sequence[int], chance: random.Random) -> int | None:
        """Kill -9 one of these processes of a kind, or stop one that is to hang.

        Returns:
            Its id, or None if there is none.
        """
        how = signal.SIGSTOP if kind == "hang" else signal.SIGKILL
        return next((pid for pid in chance.sample(pids, len(pids)) if kill(pid, how)), None)

    def wait(self) -> int:
        """Wait until the driver ended; return its exit code."""
        return self.driver.wait(PATIENCE_SECONDS)

    def wait_until(self, happened: Callable[[], bool], seconds: float = PATIENCE_SECONDS) -> bool:
        """Wait until something happened or the driver ended; tell whether it happened."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if happened():
                return True
            if self.driver.poll() is not None:
                return happened()
            time.sleep(0.05)
        return False

    def wait_until_printed(self, text: str) -> None:
        """Wait for `text` in the output; the run must not end before."""
        assert self.wait_until(lambda: text in self.printed()), f"no {text!r}: {self.printed()}"

    def wait_for_worker(self) -> int:
        """Return the process id of a fold worker once there is one."""
        assert self.wait_until(lambda: bool(self.find("worker"))), self.printed()
        return self.find("worker")[0]

    def stop(self) -> None:
        """Kill what is left, by process id."""
        kill_marked(self.mark)
        self.wait()


def seconds_until(gone: Callable[[], bool], limit: float) -> float:
    """Return how long it took until something was gone; at least `limit` if it was not."""
    started = time.monotonic()
    while not gone() and time.monotonic() - started < limit:
        time.sleep(0.1)
    return time.monotonic() - started
