"""Groups of fold workers: the attempt that each has, and who waits for a change of one."""

import asyncio
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from study.cluster.attempts import Attempt
from study.cluster.exchange import FoldWorker, Turn


class Groups:
    """What each group trains, or trained last.

    Attributes:
        attempts: by the name of the group; one of no trial where its workers are to end.
    """

    def __init__(self) -> None:
        self.attempts: dict[str, Attempt] = {}
        self._changes: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)

    async def until(self, group: str, happened: Callable[[], Any]) -> None:
        """Wait until something has happened to a group; others are not woken by it."""
        while not happened():
            await self._changes[group].wait()

    def wake(self, *groups: str) -> None:
        """Have those that wait for a change of these groups look again."""
        for group in groups:
            self._changes.pop(group, asyncio.Event()).set()

    def wake_unassigned(self) -> None:
        """Wake the groups that have no attempt yet, and whose workers wait."""
        self.wake(*(self._changes.keys() - self.attempts.keys()))

    def assign(self, group: str, attempt: Attempt) -> None:
        """Have a group train an attempt, in place of the one that it had."""
        self.attempts[group] = attempt
        self.wake(group)
        self.wake_unassigned()

    def attempts_at(self, trial: str) -> list[tuple[str, Attempt]]:
        """Return the groups that have an attempt at a trial, each with it."""
        return [(g, attempt) for g, attempt in self.attempts.items() if attempt.trial == trial]

    def current(self, group: str, name: str) -> Attempt | None:
        """Return the attempt with this name if its group still trains it; None if it is over."""
        attempt = self.attempts.get(group)
        is_current = attempt and attempt.name == name and not attempt.is_over
        return attempt if is_current else None

    def turn(self, worker: FoldWorker, after: str, wait: Callable[[str], float]) -> Turn | None:
        """Return what a worker trains after a fold of the attempt `after`; None if nothing yet.

        One that is new to its group's attempt gets a fold at any rate: where that has come as far
        as it may, it waits with it in its memory.

        Args:
            worker: the worker.
            after: the attempt that it had; "" for none.
            wait: returns the epoch at which the folds of a trial wait next.
        """
        attempt = self.attempts.get(worker.group)
        is_new = attempt is not None and attempt.name != after
        if attempt is None or attempt.is_over or not (is_new or attempt.takes_turns):
            return None
        fold = attempt.next_fold(worker, wait(attempt.trial))
        if fold is None and is_new:
            fold = worker.fold % attempt.workers
        return None if fold is None else Turn(attempt.assignment, fold)

    def lacks(self, worker: FoldWorker, name: str, reported: int, has_ended: bool) -> bool:
        """Return whether a report of a worker's on its group's attempt has not come."""
        attempt = self.current(worker.group, name)
        return attempt is not None and not attempt.knows(worker.fold, reported, has_ended)
