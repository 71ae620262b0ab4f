"""A benchmark's result, and how times that are compared are taken."""

import math
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Measurement:
    """The time of one piece of work, beside what it is held against.

    Attributes:
        name: what was done, and on how much.
        seconds: median.
        threads: threads that it could use.
        reference: what else does the same work; "" where nothing was measured.
        reference_seconds: its median, taken in turn with `seconds`; nan without.
        floor_seconds: what the work cannot take less than; nan where nothing is known.
        floor: what that is, e.g. reading the bytes once.
        note: what else must be known to compare, e.g. what each reaches.
    """

    name: str
    seconds: float
    threads: int
    reference: str = ""
    reference_seconds: float = math.nan
    floor_seconds: float = math.nan
    floor: str = ""
    note: str = ""

    @property
    def ratio(self) -> float:
        """How many times faster than the reference; nan without one."""
        return self.reference_seconds / self.seconds


def interleaved(functions: Mapping[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Time functions in turn, so that what slows the machine slows all of them.

    Args:
        functions: by name; each is called once untimed where `repeats` exceeds 1.
        repeats: timed calls of each, at least 1.

    Returns:
        Median seconds by name.
    """
    seconds: dict[str, list[float]] = {name: [] for name in functions}
    if repeats > 1:
        for function in functions.values():
            function()
    for _ in range(repeats):
        for name, function in functions.items():
            start = time.perf_counter()
            function()
            seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(taken) for name, taken in seconds.items()}


def memory(pid: int) -> dict[str, int]:
    """Return `Rss` and `Pss` of a process in bytes; zeros once it is gone."""
    memory_bytes = {"Rss": 0, "Pss": 0}
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return memory_bytes
    for line in lines:
        name, _, rest = line.partition(":")
        if name in memory_bytes:
            memory_bytes[name] = int(rest.split()[0]) * 1024
    return memory_bytes
