"""How good a trial a search has for the same CPU seconds: this one, random, and Ray Tune's own.

`python -m benchmarks.search_cost --data DATA --to FILE [--seconds 20000] [--seeds 0 1 2] [--json
FILE] [--picture FILE]` trains real folds, one after the other with one thread, for every search of
`SEARCHES` until it has spent that many CPU seconds. All draw from the study's space and begin with
the settings that it enqueues. Side by side they would train `--slots` trials: who hears of what
when is decided in virtual time, of CPU seconds; training is paid for as it starts. The incumbent of
a search is its best trial by the mean over all folds on validation; beside it stands that trial's
mean on test, which no search sees.

Each fold's curve is appended to the file `--to`, and read from there by a later run, so that what
was interrupted goes on, and what searches have in common is trained once; each pays for it all the
same. With `--fitted FILE` nothing is trained: curves are drawn around what is expected of those of
such a file (`benchmarks.fitted_folds`), and what is expected of the incumbent stands for its test.
"""

import argparse
import functools
import itertools
import json
import os
import statistics
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from benchmarks.fitted_folds import DrawnFolds, FittedFolds
from benchmarks.incumbents import RANDOM, Incumbent, draw, table
from benchmarks.occupancy import OurSearch, StockSearch
from benchmarks.trained_folds import Curves, FoldCurve, TrainedFolds, read_recorded
from benchmarks.virtual_time import Search, VirtualTime, report_step
from study.config.schema import Study
from study.config.study_file import load_study
from study.search.rungs import FoldSchedule
from study.search.trial import mean_over_folds

MOST_TRIALS = 10_000
SETTINGS = (
    f"search.trials={MOST_TRIALS}",
    "search.confirm=0",
    "dataset.limit=20000",
    "training.validation_interval=1",
)
NO_STOPS = "search.stopping=null"
SEARCHES: Mapping[str, tuple[str, ...]] = {
    "study, folds raced": ("search.stopping.folds=[1,2]",),
    "study": (),
    "Ray Tune": (),
    RANDOM: ("search.sampler=random", NO_STOPS),
    "enqueued only": ("search.trials=1", NO_STOPS),
}
"""Settings of each search, by its name."""


@dataclass
class _Trial:
    """A trial that trains.

    Attributes:
        parameters: the trial's.
        folds: how many of its folds train.
        reached: the epoch that all of them have reached.
    """

    parameters: Mapping[str, Any]
    folds: int
    reached: int = 0


class Race:
    """One search, in virtual time.

    Args:
        search: the search.
        schedule: which folds train up to which epoch.
        epochs: of a trial that is not stopped.
        curves: what folds report.
        slots: trials at a time.
        budget: CPU seconds after which nothing more is trained.
    """

    def __init__(
        self,
        search: Search,
        schedule: FoldSchedule,
        epochs: int,
        curves: Curves,
        slots: int,
        budget: float,
    ) -> None:
        self._search, self._schedule, self._epochs = search, schedule, epochs
        self._curves, self._slots, self._budget = curves, slots, budget
        self._names = map(str, itertools.count())
        self._running: dict[str, _Trial] = {}
        self._clock = VirtualTime()
        self._started, self._best = 0, Incumbent(0.0, 0, float("-inf"), float("-inf"))
        self.spent = 0.0

    def run(self, on_better: Callable[[Incumbent], None] = lambda best: None) -> list[Incumbent]:
        """Search until all is spent; return the incumbents, each better than the one before.

        Args:
            on_better: called with each.
        """
        incumbents: list[Incumbent] = []
        self._start_trials()
        while (name := self._clock.next_end()) is not None:
            better = self._end_step(name)
            if better:
                incumbents.append(better)
                on_better(better)
            self._start_trials()
        return incumbents

    def _start_trials(self) -> None:
        while len(self._running) < self._slots and self.spent < self._budget:
            parameters = self._search.propose(name := next(self._names))
            if parameters is None:
                return
            self._started += 1
            self._running[name] = _Trial(dict(parameters), self._schedule.after(0))
            self._start_step(name)

    def _start_step(self, name: str) -> None:
        """Train a trial up to the next rung, and pay for it."""
        trial = self._running[name]
        until = next((rung for rung in self._schedule.rungs if rung > trial.reached), self._epochs)
        before, trained = self._schedule.at(trial.reached), trial.reached
        seconds = [
            sum(curve.seconds[trained if fold < before else 0 : until])
            for fold in range(trial.folds)
            for curve in [self._curves.at(trial.parameters, fold, until)]
        ]
        self.spent += sum(seconds)
        trial.reached = until
        self._clock.train(name, max(seconds))

    def _end_step(self, name: str) -> Incumbent | None:
        """Report what a trial has trained; start its next step if it goes on."""
        trial = self._running[name]
        curves = [
            self._curves.at(trial.parameters, fold, trial.reached) for fold in range(trial.folds)
        ]
        folds = [curve.values[: trial.reached] for curve in curves]
        better = self._better(trial, max(map(mean_over_folds, zip(*folds, strict=True))), curves)
        goes_on = report_step(self._search, name, folds, self._schedule.rungs)
        if goes_on and trial.reached < self._epochs and self.spent < self._budget:
            trial.folds = self._schedule.after(trial.reached)
            self._start_step(name)
            return better
        self._search.end(name, folds)
        self._curves.forget(self._running.pop(name).parameters)
        return better

    def _better(self, trial: _Trial, value: float, curves: Sequence[FoldCurve]) -> Incumbent | None:
        """Return the trial if it has all folds and is better than any before."""
        if trial.folds < self._schedule.all_folds or value <= self._best.validation:
            return None
        test = statistics.mean(curve.test[trial.reached - 1] for curve in curves)
        self._best = Incumbent(round(self.spent, 1), self._started, value, test)
        return self._best


def build(name: str, study: Study, folder: Path) -> Search:
    """Return the search of that name, with nothing known."""
    return StockSearch(study, folder) if name == "Ray Tune" else OurSearch(study, folder)


def curves_of(options: argparse.Namespace) -> Callable[[Study], Curves]:
    """Return what makes the curves of a study's folds: of those that train, or of fitted ones."""
    if not options.fitted:
        return lambda study: TrainedFolds(study, options.data, options.to)
    study = load_study(options.study, [*SETTINGS, *options.set])
    fitted = FittedFolds(list(read_recorded(options.fitted).values()), study)
    return lambda study: DrawnFolds(fitted, study.seed)


def measure(
    options: argparse.Namespace, seed: int, curves_of_study: Callable[[Study], Curves]
) -> dict[str, list[Incumbent]]:
    """Run every search with one seed; return the incumbents of each."""
    incumbents: dict[str, list[Incumbent]] = {}
    request = [*SETTINGS, *options.set, f"seed={seed}"]
    # Searches differ in nothing that a fold is trained with: they share samples and curves.
    curves = curves_of_study(load_study(options.study, request))
    for name in options.searches:
        study = load_study(options.study, [*request, *SEARCHES[name]])
        schedule = FoldSchedule.of(study)
        with tempfile.TemporaryDirectory() as folder:
            search, epochs = build(name, study, Path(folder)), study.training.epochs
            race = Race(search, schedule, epochs, curves, options.slots, options.seconds)
            incumbents[name] = race.run(functools.partial(_print_better, name, seed))
    return incumbents


def _print_better(name: str, seed: int, best: Incumbent) -> None:
    print(
        f"seed {seed}, {name}: after {best.seconds:.0f} s and {best.trials} trials"
        f" {best.validation:.4f} on validation, {best.test:.4f} on test",
        flush=True,
    )


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.search_cost", description=__doc__)
    parser.add_argument("--data", type=Path, help="data folder")
    parser.add_argument("--study", default="mitbih", help="a study with a search, or its file")
    parser.add_argument("--set", action="append", default=[], help="key.path=value; repeatable")
    parser.add_argument("--seconds", type=float, default=20_000, help="CPU seconds of each search")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--slots", type=int, default=4, help="trials at a time")
    parser.add_argument("--searches", nargs="+", default=list(SEARCHES), choices=SEARCHES)
    parser.add_argument("--to", type=Path, help="file of the folds' curves")
    parser.add_argument("--fitted", type=Path, help="such a file, to draw around and train nothing")
    parser.add_argument("--json", type=Path, help="where to write the incumbents")
    parser.add_argument("--picture", type=Path, help="a picture of them: .svg, .png, .pdf")
    options = parser.parse_args()
    if not options.fitted and not (options.data and options.to):
        parser.error("expected --data and --to, or --fitted")
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    torch.set_num_threads(1)
    curves = curves_of(options)
    results = {seed: measure(options, seed, curves) for seed in options.seeds}
    print(table(results))
    if options.json:
        rows = [
            {"seed": seed, "search": name, **asdict(best)}
            for seed, of_seed in results.items()
            for name, incumbents in of_seed.items()
            for best in incumbents
        ]
        options.json.write_text(json.dumps(rows, indent=1) + "\n")
    if options.picture:
        draw(results, options.seconds).savefig(options.picture)


if __name__ == "__main__":
    main()
