"""What the fronts of searches with several metrics dominate after the same seconds of training.

`python -m benchmarks.hypervolume RESULTS RESULTS [...] [--json FILE]` reads studies with the same
`search.metrics`. A trial counts from when it completed, and every trial is paid for: the seconds
that its folds trained and were scored, stopped or not, one trial after the other in the order in
which they ended. Hypervolume is the share that completed trials dominate of the box between the
worst and the best values of the completed trials of all studies together, at shares of the seconds
that each of them has spent at least. With `search.stopping=null` a search is Optuna's own of
several objectives, without stops.
"""

import argparse
import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from study.config.schema import Objective
from study.errors import RequestError
from study.ledger.fold_files import TIMINGS, read_json
from study.ledger.ledger import Ledger
from study.ledger.study_folder import read_study
from study.search.objectives import Float, hypervolume, losses, on_front
from study.search.trial import TrialRecord
from study.storage.folder import LocalFolder

SHARES = (0.25, 0.5, 0.75, 1.0)
"""Of the seconds that all studies have spent."""


@dataclass(frozen=True)
class Spent:
    """What a study had spent when a trial ended.

    Attributes:
        seconds: of all folds of this trial and of those that ended before.
        losses: the trial's, of which less is better; None if it was stopped.
    """

    seconds: float
    losses: Float | None


def read_search(results: Path) -> tuple[tuple[Objective, ...], list[Spent]]:
    """Return what a search improves, and its trials in the order in which they ended.

    Raises:
        RequestError: it has one metric.
    """
    folder = LocalFolder(results)
    metrics = read_study(folder).search.metrics
    if not metrics:
        raise RequestError(f"{results}: expected a search with search.metrics")
    return metrics, trials_in_turn(Ledger.of(folder), metrics)


def trials_in_turn(ledger: Ledger, metrics: Sequence[Objective]) -> list[Spent]:
    """Return the trials of a search in the order in which they ended.

    Args:
        ledger: the search's.
        metrics: what it improves beside its metric.
    """
    ended = [r for r in ledger.trials() if r.state != "failed" and not r.trial.is_repetition]
    ended.sort(key=lambda record: record.completion_order)
    rows = losses(ended, metrics)
    spent = itertools.accumulate(_seconds(ledger, record) for record in ended)
    return [
        Spent(seconds, row if record.state == "completed" else None)
        for record, row, seconds in zip(ended, rows, spent, strict=True)
    ]


def _seconds(ledger: Ledger, record: TrialRecord) -> float:
    manifests = [manifest for each in record.folds if (manifest := ledger.fold(each))]
    timings = [read_json(ledger, manifest, TIMINGS) for manifest in manifests]
    return float(sum(each["train_seconds"] + each["evaluate_seconds"] for each in timings))


def growth(searches: Mapping[str, Sequence[Spent]]) -> dict[str, list[tuple[float, float]]]:
    """Return seconds and hypervolume of each search, at `SHARES` of what all have spent."""
    completed = [t.losses for spent in searches.values() for t in spent if t.losses is not None]
    best, worst = np.min(completed, axis=0), np.max(completed, axis=0)
    width = np.where(worst > best, worst - best, 1.0)
    least = min(spent[-1].seconds for spent in searches.values())

    def volume(spent: Sequence[Spent], seconds: float) -> float:
        until = [t.losses for t in spent if t.losses is not None and t.seconds <= seconds]
        if not until:
            return 0.0
        points = (np.array(until) - best) / width
        return hypervolume(points[on_front(points)], np.ones(len(best)))

    return {
        name: [(share * least, volume(spent, share * least)) for share in SHARES]
        for name, spent in searches.items()
    }


def main() -> None:
    """Measure the studies that the command line names."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.hypervolume", description=__doc__)
    parser.add_argument("results", type=Path, nargs="+", help="results folders")
    parser.add_argument("--json", type=Path, help="where to write the trials")
    options = parser.parse_args()
    read = {str(results): read_search(results) for results in options.results}
    if len({metrics for metrics, _ in read.values()}) > 1:
        raise RequestError("RESULTS: expected studies of the same search.metrics")
    searches = {name: spent for name, (_, spent) in read.items()}
    print("| search | trials | completed | seconds |", " | ".join(map(str, SHARES)), "|")
    print("| --- " * (4 + len(SHARES)) + "|")
    for name, volumes in growth(searches).items():
        spent = searches[name]
        completed = sum(trial.losses is not None for trial in spent)
        shown = " | ".join(f"{volume:.3f}" for _, volume in volumes)
        print(f"| {name} | {len(spent)} | {completed} | {spent[-1].seconds:.0f} | {shown} |")
    if options.json:
        rows = [
            {"search": name, "seconds": trial.seconds, "losses": None if trial.losses is None
             else trial.losses.tolist()}
            for name, spent in searches.items()
            for trial in spent
        ]  # fmt: skip
        options.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
