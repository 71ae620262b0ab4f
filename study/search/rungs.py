"""The rungs of early stopping: epochs at which trials are compared, and may be stopped."""

import math
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from study.config.schema import StoppingSettings, Study
from study.search.objectives import is_no_worse
from study.search.trial import Trial


def rungs(stopping: StoppingSettings | None, epochs: int) -> tuple[int, ...]:
    """Return the epochs grace * reduction^k below the last, in order (ASHA, Li et al. 2020).

    Args:
        stopping: the study's; None without early stops, and so without rungs.
        epochs: of a trial that is not stopped.
    """
    epochs_of_rungs = []
    epoch = stopping.grace_epochs if stopping else epochs
    while stopping and epoch < epochs:
        epochs_of_rungs.append(epoch)
        epoch *= stopping.reduction
    return tuple(epochs_of_rungs)


@dataclass(frozen=True)
class AtRung:
    """What a trial had at a rung.

    Attributes:
        value: of the metric, of which more is better.
        losses: of the other metrics that the search improves, of which less is better.
    """

    value: float
    losses: Sequence[float]


def no_worse(before: Iterable[AtRung], bounds: Sequence[float]) -> list[float]:
    """Return the values of those that are no worse than a trial in the other metrics.

    It is compared with these. A small model, say, is stopped for what smaller ones have, and never
    for what larger ones have, beside which it may be on the front.

    Args:
        before: those that came to the rung before.
        bounds: of the trial, by `study.search.objectives.other_bounds`.
    """
    return [each.value for each in before if is_no_worse(each.losses, bounds)]


def cutoff(values: Sequence[float], reduction: int) -> float:
    """Return what a rung asks for, where these values came before; nan for nothing.

    ASHA (Li et al. 2020), as Ray Tune computes it: the quantile 1 - 1 / `reduction`.
    """
    return float(np.percentile(values, (1 - 1 / reduction) * 100)) if values else math.nan


@dataclass(frozen=True)
class FoldSchedule:
    """How many of a trial's folds train up to each rung; always the first ones.

    What a trial has at an epoch is so the same for all trials, and they are compared on folds
    that they share.

    Attributes:
        all_folds: folds of a trial that no rung stops.
        rungs: the epochs of the rungs, in order.
        at_rungs: folds that train up to each of the first rungs, never fewer than up to the one
            before; all train up to the others, and after the last.
        checks: epochs between rungs at which trials are compared with the best.
    """

    all_folds: int
    rungs: tuple[int, ...] = ()
    at_rungs: Sequence[int] = ()
    checks: tuple[int, ...] = ()

    @classmethod
    def of(cls, study: Study) -> Self:
        """Return a study's."""
        stopping, epochs = study.search.stopping, study.training.epochs
        if stopping is None:
            return cls(study.split.folds)
        at = rungs(stopping, epochs)
        interval = stopping.paired.interval if stopping.paired else epochs
        between = {*range(stopping.grace_epochs + interval, epochs, interval)} - {*at}
        return cls(study.split.folds, at, tuple(stopping.folds), tuple(sorted(between)))

    @property
    def waits(self) -> tuple[int, ...]:
        """The epochs at which folds wait for the search, in order."""
        return tuple(sorted((*self.rungs, *self.checks)))

    def at(self, epoch: int) -> int:
        """Return how many folds' values a trial has at an epoch: those of the rung to come."""
        rung = bisect_left(self.rungs, epoch)
        is_raced = rung < min(len(self.rungs), len(self.at_rungs))
        return self.at_rungs[rung] if is_raced else self.all_folds

    def some_at(self, epoch: int) -> int | None:
        """Return the same; None for all."""
        folds = self.at(epoch)
        return folds if folds < self.all_folds else None

    def after(self, rung: int) -> int:
        """Return how many folds a trial trains once it has passed a rung; 0: from its start."""
        return self.at(rung + 1)

    def races(self, trial: Trial) -> bool:
        """Return whether a trial comes to a rung at which it is compared with others.

        A repetition is compared with nothing, and a model that is fitted once ends before.
        """
        return not trial.is_repetition and trial.config.training.epochs > min(self.rungs, default=0)

    def at_start(self, trial: Trial) -> int:
        """Return how many folds a trial starts with: all, where no rung could bring it more."""
        return self.after(0) if self.races(trial) else self.all_folds

    @property
    def is_raced(self) -> bool:
        """Whether trials start with some of their folds only."""
        return self.after(0) < self.all_folds
