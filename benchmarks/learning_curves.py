"""Learning curves of real trials: recorded once, and looked up by a search in virtual time.

`python -m benchmarks.learning_curves --data DATA --to FILE --trials 36` trains small trials of the
study `wafer`, drawn at random from a search space, and appends a line of JSON for each: its
parameters, and the metric and CPU seconds of each epoch. Each trains one fold on an eighth of its
normal samples with one thread. What is in the file already is not trained again.
"""

import argparse
import itertools
import json
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
import numpy.typing as npt

from study.config.schema import Study
from study.config.search_space import shares
from study.config.study_file import load_study
from study.search.sources import trial_source
from study.search.trial import Trial

RECORDED = Path(__file__).parent / "results" / "learning_curves_wafer.jsonl"
SHARE = 8
"""One in so many training samples is used."""
NEIGHBOURS = 3
SETTINGS = (
    "search.confirm=0",
    "search.enqueue=[]",
    "dataset.length=32",
    "training.epochs=12",
    "training.batch_size=64",
    "search.metric={composition: reconstruction, score: f1_weighted}",
    "search.space={model.beta: {loguniform: [1.0e-6, 0.1]}, model.latent_size: {int: [2, 16]},"
    " training.discriminator_updates: {int: [1, 3]},"
    " training.optimizer.learning_rate: {loguniform: [1.0e-6, 1.0e-2]}}",
)


def curve_study(*settings: str) -> Study:
    """Return the search that the curves are of, with some settings replaced."""
    return load_study("wafer", [*SETTINGS, *settings])


@dataclass(frozen=True)
class LearningCurve:
    """What one trial reported.

    Attributes:
        parameters: the trial's, by dotted key.
        values: the metric after each epoch.
        seconds: CPU seconds of each epoch, its validation included.
    """

    parameters: Mapping[str, Any]
    values: Sequence[float]
    seconds: Sequence[float]


class Curves(Protocol):
    """What trials report, and when."""

    def at(self, parameters: Mapping[str, Any]) -> tuple[list[float], list[float]]:
        """Return a trial's values and seconds by epoch."""
        ...


class CurveTable:
    """Recorded curves, from which that of any trial is interpolated.

    Args:
        curves: the recorded ones, all of as many epochs.
        study: whose space they are of.
    """

    def __init__(self, curves: Sequence[LearningCurve], study: Study) -> None:
        self._space = study.search.space
        self._points = np.array([self._point(curve.parameters) for curve in curves])
        self._values = np.array([curve.values for curve in curves])
        self._seconds = np.array([curve.seconds for curve in curves])

    @classmethod
    def read(cls, study: Study, path: Path = RECORDED) -> Self:
        """Read the recorded curves."""
        return cls([LearningCurve(**json.loads(line)) for line in path.open()], study)

    def at(self, parameters: Mapping[str, Any]) -> tuple[list[float], list[float]]:
        """See `Curves.at`: means of the nearest recorded curves, by inverse distance."""
        distances = np.linalg.norm(self._points - self._point(parameters), axis=1)
        nearest = np.argsort(distances)[:NEIGHBOURS]
        weights = 1 / (distances[nearest] + 1e-9)
        weights /= weights.sum()
        values, seconds = weights @ self._values[nearest], weights @ self._seconds[nearest]
        return values.tolist(), seconds.tolist()

    def _point(self, parameters: Mapping[str, Any]) -> npt.NDArray[np.float64]:
        """Return parameters as a point of the unit cube."""
        return np.array(shares(self._space, parameters))


def record(study: Study, data: Path, trials: int, to: Path) -> None:
    """Train the first `trials` of a study that the file does not have, and append them."""
    import torch

    from study.data import load
    from study.data.splits import Fold, make_splits

    torch.set_num_threads(1)
    samples = load(study.dataset, data, study.seed)
    fold = make_splits(samples, study.split, study.seed).folds[0]
    small = Fold(fold.training[::SHARE], fold.validation, fold.test)
    source = trial_source(study)
    known = len(to.read_text().splitlines()) if to.exists() else 0
    for number in range(trials):
        trial = source.next_trial({}, set())
        assert isinstance(trial, Trial)
        if number >= known:
            curve = _train(trial, samples, small)
            with to.open("a") as file:
                file.write(json.dumps(asdict(curve)) + "\n")


def _train(trial: Trial, samples: Any, fold: Any) -> LearningCurve:
    from study.ledger.ledger import Ledger
    from study.storage.folder import LocalFolder
    from study.training.fold import FoldTask, train_fold
    from study.training.validation_report import ValidationReport

    reports: list[ValidationReport] = []
    times = [time.process_time()]

    def watch(report: ValidationReport) -> None:
        reports.append(report)
        times.append(time.process_time())

    with tempfile.TemporaryDirectory() as name:
        folder = LocalFolder(Path(name))
        task = FoldTask(trial.config, trial.folds[0])
        ledger, checkpoints = Ledger.of(folder), folder.folder("checkpoints")
        train_fold(task, samples, fold, ledger, checkpoints, watch)
    return LearningCurve(
        parameters=dict(trial.parameters),
        values=[round(report.value, 5) for report in reports],
        seconds=[round(after - before, 3) for before, after in itertools.pairwise(times)],
    )


def main() -> None:
    """Record what the command line asks for."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.learning_curves", description=__doc__
    )
    parser.add_argument("--data", type=Path, required=True, help="data folder with Wafer")
    parser.add_argument("--trials", type=int, default=36)
    parser.add_argument("--to", type=Path, default=RECORDED, help="file that lines are appended to")
    options = parser.parse_args()
    study = curve_study("search.sampler=random", "training.validation_interval=1")
    record(study, options.data, options.trials, options.to)


if __name__ == "__main__":
    main()
