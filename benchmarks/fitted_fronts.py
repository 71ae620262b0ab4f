"""What the fronts of searches with two metrics dominate, with many seeds, on fitted curves.

`python -m benchmarks.fitted_fronts RESULTS [RESULTS ...] [--seconds 6000] [--seeds 24] [--slots 1]
[--json FILE]` reads searches of one space with one further metric of which less is better, and
fits Gaussian processes to their folds' curves (`benchmarks.fitted_folds`), to the seconds of an
epoch and to that metric. On curves drawn around them the first study's search runs with the
stops of the last that has any, and without, until it has spent its seconds; `--slots` trials
train side by side. Hypervolume is as in `benchmarks.hypervolume`, of the pair of each seed.
"""

import argparse
import json
import os
import statistics
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy

from benchmarks.fitted_folds import DrawnFolds, Expected, FittedFolds
from benchmarks.hypervolume import SHARES, growth, trials_in_turn
from benchmarks.occupancy import OurSearch
from benchmarks.search_cost import MOST_TRIALS, Race
from benchmarks.trained_folds import FoldCurve, RecordedFold
from study.config.schema import Study
from study.config.study_file import check_study, dump_study
from study.errors import RequestError
from study.ledger.fold_contents import json_file
from study.ledger.fold_files import TIMINGS, WEIGHTS, read_history, read_json
from study.ledger.ledger import Ledger
from study.ledger.study_folder import read_study
from study.search.objectives import MINIMIZED
from study.search.rungs import FoldSchedule
from study.search.trial import Trial
from study.storage.folder import LocalFolder

STANDS_FOR = "microseconds"
"""What the further metric is called in these searches: the one that is read off a small file."""


@dataclass(frozen=True)
class Recorded:
    """What searches recorded.

    Attributes:
        folds: their folds.
        costs: the further metric of trials, by their parameters.
    """

    folds: list[RecordedFold]
    costs: list[tuple[Mapping[str, Any], float]]

    @classmethod
    def read(cls, results: Sequence[Path]) -> "Recorded":
        """Read results folders.

        Raises:
            RequestError: one has no further metric, several, or one of which more is better.
        """
        recorded = cls([], [])
        for each in results:
            folder = LocalFolder(each)
            study, ledger = read_study(folder), Ledger.of(folder)
            metrics = study.search.metrics
            if len(metrics) != 1 or metrics[0] not in MINIMIZED:
                raise RequestError(f"{each}: expected one of {', '.join(sorted(MINIMIZED))} in"
                                   " search.metrics")  # fmt: skip
            for record in ledger.trials():
                if record.state == "failed" or record.trial.is_repetition:
                    continue
                recorded.costs.append((record.parameters, record.objectives[metrics[0]]))
                for manifest in filter(None, map(ledger.fold, record.folds)):
                    values = [float(row["value"]) for row in read_history(ledger, manifest)]
                    timings = read_json(ledger, manifest, TIMINGS)
                    seconds = timings["train_seconds"] + timings["evaluate_seconds"]
                    curve = FoldCurve(values, values, [seconds / len(values)] * len(values))
                    fold = RecordedFold(record.parameters, study.seed, manifest.fold, curve)
                    recorded.folds.append(fold)
        return recorded


class TimedFolds(DrawnFolds):
    """Drawn curves whose epochs take the seconds that are expected of their settings."""

    def __init__(self, fitted: FittedFolds, seed: int, seconds: Expected) -> None:
        super().__init__(fitted, seed)
        self._seconds = seconds

    def at(self, parameters: Mapping[str, Any], fold: int, epoch: int) -> FoldCurve:
        """See `Curves.at`."""
        curve = super().at(parameters, fold, epoch)
        return replace(curve, seconds=[self._seconds.at(parameters)] * len(curve.values))


class CostedSearch(OurSearch):
    """A search whose folds say what they took, and what its further metric is."""

    def __init__(self, study: Study, folder: Path, seconds: Expected, costs: Expected) -> None:
        super().__init__(study, folder)
        self._seconds, self._costs = seconds, costs

    def costs(self, trial: Trial) -> dict[str, float]:
        """See `OurSearch.costs`."""
        return {STANDS_FOR: self._costs.at(trial.parameters)}

    def other_files(self, trial: Trial, fold: int, epochs: int) -> dict[str, bytes]:
        """See `OurSearch.other_files`."""
        timings = {
            "train_seconds": epochs * self._seconds.at(trial.parameters),
            "evaluate_seconds": 0.0,
            "score_microseconds": self._costs.at(trial.parameters),
        }
        return {TIMINGS: json_file(timings), WEIGHTS: safetensors.numpy.save({})}


def searches_of(results: Sequence[Path]) -> dict[str, Study]:
    """Return the search with and without stops, by name."""
    studies = [read_study(LocalFolder(each)) for each in results]
    stopped = [study.search.stopping for study in studies if study.search.stopping]
    if not stopped:
        raise RequestError("RESULTS: expected a study with search.stopping among them")
    content = dump_study(studies[0])
    content["search"] |= {"trials": MOST_TRIALS, "metrics": [STANDS_FOR], "confirm": 0}
    stopping = dump_study(next(s for s in studies[::-1] if s.search.stopping))["search"]["stopping"]
    return {
        name: check_study(content | {"search": content["search"] | {"stopping": stops}}, name)
        for name, stops in (("with stops", stopping), ("without", None))
    }


def measure(
    studies: Mapping[str, Study], recorded: Recorded, seeds: int, slots: int, seconds: float
) -> list[dict[str, list[tuple[float, float]]]]:
    """Run both searches with each seed; return their seconds and hypervolumes, as `growth`."""
    study = next(iter(studies.values()))
    fitted = FittedFolds(recorded.folds, study)
    taken = [(fold.parameters, fold.curve.seconds[0]) for fold in recorded.folds]
    timed, costs = Expected(study, taken), Expected(study, recorded.costs)
    results = []
    for seed in range(seeds):
        curves, searches = TimedFolds(fitted, seed, timed), {}
        for name, asked in studies.items():
            seeded = asked.model_copy(update={"seed": seed})
            with tempfile.TemporaryDirectory() as folder:
                search = CostedSearch(seeded, Path(folder), timed, costs)
                schedule = FoldSchedule.of(seeded)
                Race(search, schedule, seeded.training.epochs, curves, slots, seconds).run()
                searches[name] = trials_in_turn(search.ledger, seeded.search.metrics)
        results.append(growth(searches))
    return results


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fitted_fronts", description=__doc__)
    parser.add_argument("results", type=Path, nargs="+", help="results folders")
    parser.add_argument("--seconds", type=float, default=6000, help="of training, of each search")
    parser.add_argument("--seeds", type=int, default=24)
    parser.add_argument("--slots", type=int, default=1, help="trials at a time")
    parser.add_argument("--json", type=Path, help="where to write seconds and hypervolumes")
    options = parser.parse_args()
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    recorded = Recorded.read(options.results)
    studies = searches_of(options.results)
    results = measure(studies, recorded, options.seeds, options.slots, options.seconds)
    print("| search |", " | ".join(map(str, SHARES)), "|")
    print("| --- " * (1 + len(SHARES)) + "|")
    volumes = {
        name: np.array([[volume for _, volume in result[name]] for result in results])
        for name in studies
    }
    for name, values in volumes.items():
        print(f"| {name} |", " | ".join(f"{statistics.median(v):.3f}" for v in values.T), "|")
    more, fewer = volumes.values()
    wins = (more > fewer).mean(axis=0)
    print("| share of seeds with more |", " | ".join(f"{share:.2f}" for share in wins), "|")
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
