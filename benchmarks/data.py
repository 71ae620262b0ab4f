"""How long samples take to load, and what each further worker on a node costs in memory."""

import os
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.measurement import Measurement
from study.config.study_file import load_study
from study.data import load

MEGABYTE = 2**20

WORKERS = 3


def measure(data: Path) -> list[Measurement]:
    """Load all of MIT-BIH from its raw records and from the cache; see what workers add."""
    with tempfile.TemporaryDirectory() as cache:
        os.environ["STUDY_CACHE_DIR"] = cache
        seconds = _loading(data)
        grown = max(_memory_of_workers(data))
    return [
        Measurement("MIT-BIH from raw records", seconds["raw"], threads=1),
        Measurement(
            "MIT-BIH from the cache",
            seconds["cached"],
            threads=1,
            note=f"each further worker on the node adds {grown:.1f} MB",
        ),
    ]


def _loading(data: Path) -> dict[str, float]:
    study = load_study("mitbih", (), None)
    seconds = {}
    for kind in ("raw", "cached"):
        started = time.perf_counter()
        load(study.dataset, data, study.seed)
        seconds[kind] = time.perf_counter() - started
    return seconds


def _memory_of_workers(data: Path) -> list[float]:
    """Return by worker what a node's memory grows by when it reads MIT-BIH, in MB.

    Workers get the samples as fold workers do, and read every value. What is counted is
    the memory that is a process's alone, before and after; the samples are one copy in
    memory that all share.
    """
    from study.cluster.connection import connected

    study = load_study("mitbih", (), None)
    samples = load(study.dataset, data, study.seed)
    with connected(None):
        import ray

        shared = ray.put(samples)
        actors = [ray.remote(num_cpus=0)(_Reader).remote() for _ in range(WORKERS)]
        return [ray.get(actor.read.remote([shared])) for actor in actors]


class _Reader:
    def __init__(self) -> None:
        import torch  # noqa: F401 - a fold worker has it before it reads samples

        self._kept: list[Any] = []

    def read(self, reference: list[Any]) -> float:
        import ray

        before = self.private()
        samples = ray.get(reference[0])
        self._kept.append(samples)
        float(samples.values.sum())
        return self.private() - before

    def private(self) -> float:
        """Return the memory in MB that is this process's alone."""
        lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
        kilobytes = [int(line.split()[1]) for line in lines if line.startswith("Private_")]
        return sum(kilobytes) * 1024 / MEGABYTE
