"""How often a search that stops trials ends with the winner of one that trains everything.

`python -m benchmarks.racing_replay RESULTS [--orders 200] [--slots 10] [--json FILE]` reads a study
whose trials have all their folds and epochs (`search.stopping=null`), and gives the same trials,
in orders drawn at random, to the real searcher, scheduler and ledger in virtual time: stopped by
epochs alone, and with `search.stopping.folds`. Nothing is trained: a fold reports what it did in
the study. What a trial is worth is its best mean over all folds, as the study ranks it; `regret`
is what the winner of a race is worth less than the study's. What else the study improves
(`search.metrics`) stops and ranks no trial, and plays no part.
"""

import argparse
import json
import os
import statistics
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Self

import numpy as np

from benchmarks.fold_racing import Parameters, Raced, Values, play
from study.config.schema import Study
from study.config.study_file import check_study, dump_study
from study.errors import RequestError
from study.ledger.fold_files import TIMINGS, read_history, read_json
from study.ledger.ledger import Ledger
from study.ledger.study_folder import read_study
from study.search.trial import TrialRecord, best_trials, mean_over_folds
from study.storage.folder import LocalFolder
from study.storage.hashes import canonical_hash

RACES: Sequence[Sequence[int]] = ((), (1, 2))
"""`search.stopping.folds` of the races; none: all folds from the start."""
GRACE_EPOCHS = 3
COLUMNS = [
    *("folds at rungs", "races", "fold-epochs"),
    *("same winner", "among best 3", "regret", "worst regret"),
]

FoldValues = tuple[Values, Sequence[float]]


class WholeStudy:
    """A study whose trials trained to the end, with all folds.

    Args:
        study: the study.
        curves: values `(folds, epochs)` and seconds of each epoch, by the parameters of a trial.

    Attributes:
        worths: what each trial is worth, the best first.
        fold_epochs: epochs trained, of all folds together.
    """

    def __init__(self, study: Study, curves: Sequence[tuple[Parameters, FoldValues]]) -> None:
        self._study, self._parameters = study, [parameters for parameters, _ in curves]
        self._curves = {_key(parameters): folds for parameters, folds in curves}
        self.worths = sorted(map(_worth, self._curves.values()), reverse=True)
        self.fold_epochs = sum(values.size for values, _ in self._curves.values())

    @classmethod
    def read(cls, results: Path) -> Self:
        """Read a results folder.

        Raises:
            RequestError: trials were stopped, or not validated at each epoch.
        """
        folder = LocalFolder(results)
        study, ledger = read_study(folder), Ledger.of(folder)
        if study.search.stopping or study.training.validation_interval != 1:
            raise RequestError(
                f"{results}: expected search.stopping=null and training.validation_interval=1,"
                " so that each trial has all folds and epochs"
            )
        trials = best_trials(ledger.trials())
        return cls(study, [(trial.parameters, _folds(ledger, trial)) for trial in trials])

    def at(self, number: int, parameters: Parameters) -> tuple[Values, Sequence[float], float]:
        """See `TrialCurves.at`; what a trial reports does not depend on its number."""
        values, seconds = folds = self._curves[_key(parameters)]
        return values, seconds, _worth(folds)

    def race(self, order: int, folds: Sequence[int], reduction: int) -> Study:
        """Return a search of the same trials that stops them, in an order drawn by a seed."""
        drawn = np.random.default_rng(order).permutation(len(self._parameters))
        content = dump_study(self._study)
        content["search"] |= {
            "trials": len(drawn),
            "enqueue": [dict(self._parameters[index]) for index in drawn],
            "confirm": 0,
            "metrics": [],
            "stopping": {
                "grace_epochs": GRACE_EPOCHS,
                "reduction": reduction,
                "folds": list(folds),
            },
        }
        return check_study(content, "replay")


def _key(parameters: Parameters) -> str:
    return canonical_hash(dict(parameters))


def _worth(folds: FoldValues) -> float:
    return max(map(mean_over_folds, folds[0].T))


def _folds(ledger: Ledger, record: TrialRecord) -> FoldValues:
    manifests = [manifest for each in record.folds if (manifest := ledger.fold(each))]
    values = np.array([[r["value"] for r in read_history(ledger, m)] for m in manifests])
    timings = [read_json(ledger, manifest, TIMINGS)["train_seconds"] for manifest in manifests]
    epochs = values.shape[1]
    return values, [statistics.mean(timings) / epochs] * epochs


def replay(whole: WholeStudy, orders: int, slots: int, reduction: int) -> list[Raced]:
    """Race the study's trials in several orders, with each of `RACES`."""
    results = []
    for folds in RACES:
        for order in range(orders):
            with tempfile.TemporaryDirectory() as folder:
                race = play(whole.race(order, folds, reduction), slots, whole, Path(folder))
            results.append(replace(race, seed=order))
    return results


def table(whole: WholeStudy, results: Sequence[Raced]) -> str:
    """Return a line for each of `RACES`, as Markdown."""
    rows = [COLUMNS, ["---"] * len(COLUMNS)]
    for folds in RACES:
        races = [race for race in results if race.folds == tuple(folds)]
        share = statistics.mean(race.fold_epochs for race in races) / whole.fold_epochs
        ranks = [sum(worth > race.worth for worth in whole.worths) for race in races]
        regrets = [whole.worths[0] - race.worth for race in races]
        rows.append(
            [
                ", ".join(map(str, folds)) or "all",
                f"{len(races)}",
                f"{share:.2f}",
                f"{ranks.count(0) / len(races):.2f}",
                f"{sum(rank < 3 for rank in ranks) / len(races):.2f}",
                f"{statistics.mean(regrets):.4f}",
                f"{max(regrets):.4f}",
            ]
        )
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def main() -> None:
    """Replay what the command line names."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.racing_replay", description=__doc__)
    parser.add_argument("results", type=Path, help="a study's results folder")
    parser.add_argument("--orders", type=int, default=200)
    parser.add_argument("--slots", type=int, default=10, help="folds at a time")
    parser.add_argument("--reduction", type=int, default=2, help="search.stopping.reduction")
    parser.add_argument("--json", type=Path, help="where to write the races")
    options = parser.parse_args()
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    whole = WholeStudy.read(options.results)
    results = replay(whole, options.orders, options.slots, options.reduction)
    print(table(whole, results))
    if options.json:
        options.json.write_text(json.dumps([asdict(row) for row in results], indent=1) + "\n")


if __name__ == "__main__":
    main()
