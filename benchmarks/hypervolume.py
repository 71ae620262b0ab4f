"""What the fronts of searches with several metrics dominate after the same seconds of training.

`python -m benchmarks.hypervolume RESULTS RESULTS [...] [--expected] [--json FILE]` reads studies
with the same `search.metrics`. A trial counts from when it completed, and every trial is paid for:
the seconds that its folds trained and were scored, stopped or not, one trial after the other in the
order in which they ended. Hypervolume is the share that completed trials dominate of the box
between the worst and the best values of the completed trials of all studies together, at shares of
the seconds that each of them has spent at least. With `search.stopping=null` a search is Optuna's
own of several objectives, without stops. With `--expected` an epoch of a fold counts with the
seconds that a Gaussian process expects of its settings in all studies together, so that what else
the machine did while one of them ran counts for none.
"""

import argparse
import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from study.config.schema import Objective, Study
from study.errors import RequestError
from study.ledger.fold_files import TIMINGS, read_json
from study.ledger.ledger import FoldManifest, Ledger
from study.ledger.study_folder import read_study
from study.search.objectives import Float, hypervolume, losses, on_front
from study.search.trial import TrialRecord
from study.storage.folder import LocalFolder

Price = Callable[[Ledger, TrialRecord], float]
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


def read_searches(results: Sequence[Path], *, expected: bool = False) -> dict[str, list[Spent]]:
    """Return the trials of searches in the order in which they ended, by results folder.

    Args:
        results: the folders.
        expected: whether seconds are those that are expected of settings.

    Raises:
        RequestError: a search has one metric, or others than the first.
    """
    studies = [read_study(LocalFolder(each)) for each in results]
    metrics = studies[0].search.metrics
    if not metrics or any(study.search.metrics != metrics for study in studies):
        raise RequestError("RESULTS: expected searches with the same search.metrics")
    ledgers = [Ledger.of(LocalFolder(each)) for each in results]
    price = _expected_seconds(studies[0], ledgers) if expected else _seconds
    return {
        str(each): trials_in_turn(ledger, metrics, price)
        for each, ledger in zip(results, ledgers, strict=True)
    }


def trials_in_turn(
    ledger: Ledger, metrics: Sequence[Objective], price: Price | None = None
) -> list[Spent]:
    """Return the trials of a search in the order in which they ended.

    Args:
        ledger: the search's.
        metrics: what it improves beside its metric.
        price: returns the seconds of a trial; None: those that its folds took.
    """
    ended = _ended(ledger)
    rows, price = losses(ended, metrics), price or _seconds
    spent = itertools.accumulate(price(ledger, record) for record in ended)
    return [
        Spent(seconds, row if record.state == "completed" else None)
        for record, row, seconds in zip(ended, rows, spent, strict=True)
    ]


def _ended(ledger: Ledger) -> list[TrialRecord]:
    ended = [r for r in ledger.trials() if r.state != "failed" and not r.trial.is_repetition]
    return sorted(ended, key=lambda record: record.completion_order)


def _expected_seconds(study: Study, ledgers: Sequence[Ledger]) -> Price:
    """Return a price by what epochs with such settings took in all of these searches."""
    from benchmarks.fitted_folds import Expected  # with PyTorch, which nothing else here needs

    taken = [
        (record.parameters, _seconds(ledger, record) / _fold_epochs(ledger, record))
        for ledger in ledgers
        for record in _ended(ledger)
    ]
    an_epoch = Expected(study, taken)
    return lambda ledger, record: an_epoch.at(record.parameters) * _fold_epochs(ledger, record)


def _fold_epochs(ledger: Ledger, record: TrialRecord) -> int:
    return sum(manifest.last_epoch for manifest in _manifests(ledger, record))


def _manifests(ledger: Ledger, record: TrialRecord) -> list[FoldManifest]:
    return [manifest for each in record.folds if (manifest := ledger.fold(each))]


def _seconds(ledger: Ledger, record: TrialRecord) -> float:
    manifests = _manifests(ledger, record)
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
    parser.add_argument("--expected", action="store_true", help="seconds expected of settings")
    options = parser.parse_args()
    searches = read_searches(options.results, expected=options.expected)
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
