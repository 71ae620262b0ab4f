"""Searches in virtual time: what they are asked, and what happens when."""

import heapq
import itertools
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from study.search.trial import mean_over_folds


class Search(Protocol):
    """A search: what proposes trials, and what stops them.

    Attributes:
        name: whose it is.
    """

    name: str

    def propose(self, name: str) -> Mapping[str, Any] | None:
        """Return the parameters of the next trial; None while there is none to start."""
        ...

    def goes_on(self, name: str, epoch: int, value: float) -> bool:
        """Take what a trial reports after an epoch; return whether it trains on."""
        ...

    def end(self, name: str, folds: Sequence[Sequence[float]] = ()) -> None:
        """Take note that a trial has ended.

        Args:
            name: the trial's.
            folds: what each of its folds has reported, epoch by epoch; empty if all have reported
                what the trial has.
        """
        ...


class VirtualTime:
    """Trials that train, by when they end it; of equal ends the first begun comes first.

    Attributes:
        now: seconds.
    """

    def __init__(self) -> None:
        self.now = 0.0
        self._ends: list[tuple[float, int, str]] = []
        self._order = itertools.count()

    def train(self, name: str, seconds: float) -> None:
        """Have a trial train from now on."""
        heapq.heappush(self._ends, (self.now + seconds, next(self._order), name))

    def next_end(self) -> str | None:
        """Go on to the next end and return its trial; None if none trains."""
        if not self._ends:
            return None
        self.now, _, name = heapq.heappop(self._ends)
        return name


def report_step(
    search: Search, name: str, folds: Sequence[Sequence[float]], rungs: Sequence[int]
) -> bool:
    """Report what a trial has trained since the rung before; return whether it trains on.

    Args:
        search: the search.
        name: the trial's.
        folds: values of each of its folds, up to the epoch that all have reached.
        rungs: epochs of the rungs, in order.
    """
    reached = len(folds[0])
    before = max((rung for rung in rungs if rung < reached), default=0)
    for epoch in range(before + 1, reached + 1):
        value = mean_over_folds([values[epoch - 1] for values in folds])
        goes_on = search.goes_on(name, epoch, value)
    return goes_on
