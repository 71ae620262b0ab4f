"""The report at scale: ledgers of 10, 100, 1000 trials, built cold and built again.

`python -m benchmarks.report FOLDER --trials 10 100 1000` makes a ledger of each size
under FOLDER with the study's own code for files and commits, makes its tables in a
process of its own without and with kept scores, and prints seconds and memory. Linux.
"""

import argparse
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.drawn_ledger import make_results
from benchmarks.measurement import memory
from study.report.cache import FOLDER
from study.storage.folder import LocalFolder

SAMPLING_SECONDS = 0.05


@dataclass(frozen=True)
class ReportFigures:
    """What one run of `python -m study.report` took.

    Attributes:
        seconds: from the start of its process to its end.
        cpu_seconds: of all its processes together.
        peak_rss_bytes: largest sum of resident memory over its processes; a page that
            two of them share counts twice.
        peak_pss_bytes: the same with shared pages counted once.
        processes: most processes at a time.
    """

    seconds: float
    cpu_seconds: float
    peak_rss_bytes: int
    peak_pss_bytes: int
    processes: int


def report_cold(results: Path) -> ReportFigures:
    """Make the tables of `results` with nothing kept from an earlier run."""
    LocalFolder(results).remove(FOLDER)
    return report(results)


def report(results: Path) -> ReportFigures:
    """Make the tables of `results` in a process of its own, watching its processes.

    Raises:
        subprocess.CalledProcessError: it failed; its error output is shown.
    """
    command = [sys.executable, "-m", "study.report", str(results)]
    started, used = time.perf_counter(), _cpu_seconds()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    rss = pss = count = 0
    while True:
        try:
            process.wait(SAMPLING_SECONDS)
            break
        except subprocess.TimeoutExpired:
            by_process = [memory(pid) for pid in _tree(process.pid)]
            rss = max(rss, sum(m["Rss"] for m in by_process))
            pss = max(pss, sum(m["Pss"] for m in by_process))
            count = max(count, len(by_process))
    seconds = time.perf_counter() - started
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return ReportFigures(seconds, _cpu_seconds() - used, rss, pss, count)


def measure(root: Path, trials: int, **sizes: int) -> dict[str, ReportFigures]:
    """Return the figures of a `cold` and a `warm` report of `trials` trials."""
    results = make_results(root, trials, **sizes)
    return {"cold": report_cold(results), "warm": report(results)}


def _cpu_seconds() -> float:
    """Return what children of this process that have ended, and theirs, took of the CPU."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _tree(root: int) -> Iterator[int]:
    """Yield the ids of a process and of all that it started, as far as they live."""
    yield root
    for task in Path(f"/proc/{root}/task").glob("*/children"):
        try:
            children = task.read_text().split()
        except OSError:
            continue
        for child in children:
            yield from _tree(int(child))


def main() -> None:
    """Measure the sizes that the command line names, and print a line for each run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where ledgers are made, and kept")
    parser.add_argument("--trials", type=int, nargs="+", default=[10, 100])
    arguments = parser.parse_args()
    print(f"{len(os.sched_getaffinity(0))} cores")
    for trials in arguments.trials:
        for name, figures in measure(arguments.folder, trials).items():
            print(trials, name, asdict(figures))


if __name__ == "__main__":
    main()
