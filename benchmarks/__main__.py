"""`python -m benchmarks`: run all measurements, print a table, write JSON.

What is compared runs in turn in one process where it can, and medians are shown; on a
machine that others use too, ratios mean more than seconds.
"""

import argparse
import datetime
import json
import math
import os
import platform
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from benchmarks import (
    data,
    folds,
    orchestration,
    report,
    score_search,
    single_sample,
    training_step,
)
from benchmarks.measurement import Measurement

TRIALS = 1000
QUICK_TRIALS = 10

Section = Callable[[argparse.Namespace], list[Measurement]]


def training_steps(options: argparse.Namespace) -> list[Measurement]:
    """Training steps, with one thread and with all cores."""
    threads = dict.fromkeys((1, options.cores))
    return [m for count in threads for m in training_step.measure(count, options.quick)]


def single_samples(options: argparse.Namespace) -> list[Measurement]:
    """Scores of one sample and of many, with one thread and with all cores."""
    threads, repeats = dict.fromkeys((1, options.cores)), 2 if options.quick else 200
    return [m for count in threads for m in single_sample.scoring(count, repeats)]


def folds_together(options: argparse.Namespace) -> list[Measurement]:
    """Five folds side by side."""
    return folds.measure(options.cores, 2 if options.quick else folds.STEPS)


def score_searches(options: argparse.Namespace) -> list[Measurement]:
    """Lambda, gamma, tau and support vector machines."""
    return score_search.measure(options.quick)


def study_trials(options: argparse.Namespace) -> list[Measurement]:
    """What a study costs outside training."""
    with tempfile.TemporaryDirectory() as folder:
        return orchestration.measure(Path(folder), options.cores)


def reports(options: argparse.Namespace) -> list[Measurement]:
    """The report of a large ledger, with nothing kept and with all kept."""
    trials = QUICK_TRIALS if options.quick else TRIALS
    with tempfile.TemporaryDirectory() as folder:
        measured = report.measure(Path(folder), trials)
    return [
        Measurement(
            name=f"report of {trials} trials x 5 folds x 2,000 samples, {kind}",
            seconds=figures.seconds,
            threads=options.cores,
            note=f"{figures.peak_pss_bytes / data.MEGABYTE:.0f} MB"
            f" in {figures.processes} processes",
        )
        for kind, figures in measured.items()
    ]


def loading(options: argparse.Namespace) -> list[Measurement]:
    """MIT-BIH from its raw records and from the cache, and its memory on a node."""
    if options.data is None:
        return []
    return data.measure(options.data)


SECTIONS: dict[str, Section] = {
    "training": training_steps,
    "samples": single_samples,
    "folds": folds_together,
    "scores": score_searches,
    "orchestration": study_trials,
    "report": reports,
    "data": loading,
}


def machine() -> str:
    """Return the processor, what it can do, and what computes on it."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    model = next((line.split(":")[1].strip() for line in lines if "model name" in line), "")
    flags = next((line.split() for line in lines if line.startswith("flags")), [])
    wide = [flag for flag in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if flag in flags]
    cores = len(os.sched_getaffinity(0))
    return (
        f"{model or platform.machine()}, {cores} cores, {' '.join(wide)}; "
        f"Python {platform.python_version()}, PyTorch {torch.__version__}"
    )


def table(measurements: list[Measurement]) -> Table:
    """Return the measurements as a table."""
    shown = Table("what", "threads", "seconds", "ratio", "against", "floor", "note")
    for m in measurements:
        shown.add_row(
            m.name,
            str(m.threads),
            f"{m.seconds:.3g}",
            "" if math.isnan(m.ratio) else f"{m.ratio:.3g}",
            m.reference and f"{m.reference}, {m.reference_seconds:.3g} s",
            "" if math.isnan(m.floor_seconds) else f"{m.floor_seconds:.3g} s: {m.floor}",
            m.note,
        )
    return shown


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="little work: see that all runs")
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=list(SECTIONS))
    parser.add_argument("--data", type=Path, help="data folder with mitdb; without it no data")
    parser.add_argument("--json", type=Path, help="where to write the measurements")
    options = parser.parse_args()
    options.cores = len(os.sched_getaffinity(0))
    console = Console(width=200)
    console.print(machine())
    measured: list[Measurement] = []
    for name in options.only:
        section = SECTIONS[name](options)
        console.print(table(section))
        measured += section
    if options.json:
        content = {
            "machine": machine(),
            "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "measurements": [
                {k: None if v != v else v for k, v in (asdict(m) | {"ratio": m.ratio}).items()}
                for m in measured
            ],
        }
        options.json.write_text(json.dumps(content, indent=1))


if __name__ == "__main__":
    main()
