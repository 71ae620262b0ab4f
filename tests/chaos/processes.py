"""The processes of one run of a study, known by a mark in their environment."""

import os
import random
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path

MARK = "STUDY_TEST_RUN"
VICTIMS = {
    "worker": "RayTrainWorker",
    "trial": "ray::ResourceTrainable",
    "raylet": "raylet/raylet",
    "head": "gcs/gcs_server",
}
"""What the command line of each kind holds; the driver is known by its process id."""


class Run:
    """One `python -m study.run` and all that it starts."""

    def __init__(self, folder: Path, arguments: list[str], cache: Path, **environment: str) -> None:
        self.mark = uuid.uuid4().hex
        self.log = folder / f"run-{self.mark}.log"
        with self.log.open("w") as log:
            self.driver = subprocess.Popen(
                [sys.executable, "-m", "study.run", *arguments],
                stdout=log,
                stderr=subprocess.STDOUT,
                env={
                    **os.environ,
                    MARK: self.mark,
                    "STUDY_CACHE_DIR": str(cache),
                    **environment,
                },
                start_new_session=True,
            )

    def said(self) -> str:
        return self.log.read_text()

    def others(self) -> dict[int, str]:
        """Return the living processes but the driver, by process id with their commands."""
        found = {}
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                environment = (entry / "environ").read_bytes()
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except (OSError, UnicodeDecodeError):
                continue
            if f"{MARK}={self.mark}".encode() in environment and command:
                found[int(entry.name)] = command
        found.pop(self.driver.pid, None)
        return found

    def find(self, kind: str) -> list[int]:
        """Return the process ids of a kind of victim."""
        if kind == "driver":
            return [self.driver.pid]
        others = self.others()
        return sorted(pid for pid, command in others.items() if VICTIMS[kind] in command)

    def kill_one(self, kind: str, chance: random.Random) -> int | None:
        """Kill -9 one process of a kind; return its id, or None if there is none."""
        for pid in chance.sample(found := self.find(kind), len(found)):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
            return pid
        return None

    def wait(self, happened: Callable[[], bool], seconds: float) -> bool:
        """Wait until something happened or the driver ended; tell whether it happened."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if happened():
                return True
            if self.driver.poll() is not None:
                return happened()
            time.sleep(0.05)
        return False

    def stop(self) -> None:
        """Kill what is left, by process id."""
        for pid in [self.driver.pid, *self.others()]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self.driver.wait()


def seconds_until(gone: Callable[[], bool], limit: float) -> float:
    """Return how long it took until something was gone; at least `limit` if it was not."""
    started = time.monotonic()
    while not gone() and time.monotonic() - started < limit:
        time.sleep(0.1)
    return time.monotonic() - started
