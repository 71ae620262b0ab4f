"""What a search saves that races folds as well as epochs, and whether it ends with the same winner.

`python -m benchmarks.fold_racing --trials 50 --slots 20 --race 1,2 [--json FILE]` runs the real
searcher, sampler, scheduler and ledger in virtual time, with all folds from the start and with
`search.stopping.folds`, for several seeds. A slot holds one fold. Curves are those of
`benchmarks.occupancy`; a fold's is the trial's, plus what the fold adds to every trial, plus what
it adds to this one, drawn from normal distributions of the deviations `--between` and `--within`.
What a trial is worth is the best of its curve without either: `regret` is what the winner, the best
by its mean over folds, is worth less than the best of all trials of that run.
"""

import argparse
import itertools
import json
import os
import statistics
import tempfile
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from benchmarks.learning_curves import Curves, CurveTable, curve_study
from benchmarks.occupancy import OurSearch
from benchmarks.virtual_time import VirtualTime, report_step
from study.config.schema import Study
from study.search.rungs import FoldSchedule
from study.search.trial import best_trial

Parameters = Mapping[str, Any]
Values = npt.NDArray[np.float64]

FOLDS = 5
BETWEEN, WITHIN = 0.01, 0.01
"""Deviations of weighted F1 on Wafer: the paper has 0.008 over folds, both kinds together."""


@dataclass(frozen=True)
class Raced:
    """What became of a search.

    Attributes:
        folds: folds that trained up to the first rungs; empty for all from the start.
        seed: the study's.
        fold_epochs: epochs trained, of all folds together.
        makespan: virtual seconds to the end of the last trial.
        occupancy: share of slots' seconds in which folds trained.
        winner: the best trial by its mean over folds.
        worth: what it is worth.
        regret: what the best of all trials is worth more.
    """

    folds: tuple[int, ...]
    seed: int
    fold_epochs: int
    makespan: float
    occupancy: float
    winner: str
    worth: float
    regret: float


class TrialCurves(Protocol):
    """What the folds of trials report, and when."""

    def at(self, number: int, parameters: Parameters) -> tuple[Values, Sequence[float], float]:
        """Return values `(folds, epochs)` of a trial, seconds by epoch, and what it is worth."""
        ...


class FoldCurves:
    """Curves of the folds of trials, drawn around recorded ones."""

    def __init__(self, curves: Curves, seed: int, between: float, within: float) -> None:
        self._curves, self._seed, self._within = curves, seed, within
        self._of_folds = between * np.random.default_rng(seed).standard_normal(FOLDS)

    def at(self, number: int, parameters: Parameters) -> tuple[Values, Sequence[float], float]:
        """See `TrialCurves.at`."""
        values, seconds = self._curves.at(parameters)
        own = np.random.default_rng((self._seed, number)).standard_normal(FOLDS)
        added = self._of_folds + self._within * own
        return np.array(values) + added[:, None], seconds, max(values)


@dataclass
class _Running:
    """A trial that trains, or waits for slots.

    Attributes:
        values: `(folds, epochs)` what its folds report.
        seconds: of each epoch.
        folds: how many it has.
        reached: the last epoch of each fold.
    """

    values: Values
    seconds: Sequence[float]
    folds: int
    reached: list[int] = field(default_factory=list)

    def train(self, until: int) -> tuple[list[float], int]:
        """Train all folds up to an epoch; return seconds of each, and epochs of all."""
        self.reached += [0] * (self.folds - len(self.reached))
        seconds = [sum(self.seconds[epoch:until]) for epoch in self.reached]
        epochs = sum(until - epoch for epoch in self.reached)
        self.reached = [until] * self.folds
        return seconds, epochs


def play(study: Study, slots: int, curves: TrialCurves, folder: Path) -> Raced:
    """Run a search in virtual time.

    Args:
        study: the study.
        slots: folds at a time.
        curves: what folds report, and when.
        folder: for its ledger.
    """
    schedule, last = FoldSchedule.of(study), study.training.epochs
    search = OurSearch(study, folder, slots if schedule.is_raced else None)
    steps = (*schedule.rungs, last)
    names = map(str, itertools.count())
    running: dict[str, _Running] = {}
    worth: dict[str, float] = {}
    waiting: deque[str] = deque()
    clock, free, work, fold_epochs = VirtualTime(), slots, 0.0, 0
    while True:
        while len(running) < slots // schedule.after(0):
            parameters = search.propose(name := next(names))
            if parameters is None:
                break
            trial = search.trial(name)
            values, seconds, worth[trial.name] = curves.at(trial.number, dict(parameters))
            running[name] = _Running(values, seconds, schedule.after(0))
            waiting.append(name)
        while waiting and running[waiting[0]].folds <= free:  # all that it needs, or none
            started = running[name := waiting.popleft()]
            free -= started.folds
            begun = max(started.reached, default=0)
            taken, trained = started.train(next(step for step in steps if step > begun))
            work, fold_epochs = work + sum(taken), fold_epochs + trained
            clock.train(name, max(taken))
        paused = clock.next_end()
        if paused is None:
            break
        ended, reached = running[paused], running[paused].reached[0]
        free += ended.folds
        folds = ended.values[: ended.folds, :reached].tolist()
        if report_step(search, paused, folds, schedule.rungs) and reached < last:
            ended.folds = schedule.after(reached)
            waiting.appendleft(paused)
        else:
            search.end(paused, folds)
            del running[paused]
    best = best_trial(search.ledger.trials())
    assert best is not None
    return Raced(
        folds=tuple(schedule.at_rungs),
        seed=study.seed,
        fold_epochs=fold_epochs,
        makespan=clock.now,
        occupancy=work / (slots * clock.now),
        winner=best.name,
        worth=worth[best.name],
        regret=max(worth.values()) - worth[best.name],
    )


def measure(
    trials: int,
    slots: int,
    race: Sequence[int],
    seed: int,
    sampler: str = "tpe",
    between: float = BETWEEN,
    within: float = WITHIN,
) -> list[Raced]:
    """Run a search with all folds from the start, and one that races them."""
    results = []
    for folds in ((), tuple(race)):
        study = curve_study(
            f"search.trials={trials}",
            f"split.folds={FOLDS}",
            f"seed={seed}",
            f"search.sampler={sampler}",
            f"search.stopping.folds={list(folds)}",
        )
        curves = FoldCurves(CurveTable.read(study), seed, between, within)
        with tempfile.TemporaryDirectory() as folder:
            results.append(play(study, slots, curves, Path(folder)))
    return results


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fold_racing", description=__doc__)
    parser.add_argument("--trials", type=int, default=50)
    parser.add_argument("--slots", type=int, default=20, help="folds at a time")
    parser.add_argument("--race", default="1,2", help="search.stopping.folds")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--sampler", default="tpe")
    parser.add_argument("--between", type=float, default=BETWEEN, help="deviation of folds")
    parser.add_argument("--within", type=float, default=WITHIN, help="of a trial's folds besides")
    parser.add_argument("--json", type=Path, help="where to write the results")
    options = parser.parse_args()
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    race = [int(folds) for folds in options.race.split(",")]
    rows: list[Raced] = []
    for seed in range(options.seeds):
        pair = measure(options.trials, options.slots, race, seed, options.sampler,
                       options.between, options.within)  # fmt: skip
        for row in pair:
            print(
                f"seed {seed}, folds {list(row.folds) or 'all'}: {row.fold_epochs} fold-epochs,"
                f" makespan {row.makespan:.0f} s, occupancy {row.occupancy:.3f}, {row.winner},"
                f" worth {row.worth:.4f}, regret {row.regret:.4f}",
                flush=True,
            )
        rows += pair
    print(_summary(rows))
    if options.json:
        options.json.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")


def _summary(rows: Sequence[Raced]) -> str:
    pairs = list(zip(rows[::2], rows[1::2], strict=True))
    epochs = statistics.mean(raced.fold_epochs / every.fold_epochs for every, raced in pairs)
    makespan = statistics.mean(raced.makespan / every.makespan for every, raced in pairs)
    same = sum((r.winner, r.worth) == (every.winner, every.worth) for every, r in pairs)
    worth = statistics.mean(raced.worth - every.worth for every, raced in pairs)
    return (
        f"raced to all: {epochs:.2f} of the fold-epochs, {makespan:.2f} of the makespan, winner"
        f" worth {worth:+.4f}, the same trial in {same} of {len(pairs)}"
    )


if __name__ == "__main__":
    main()
