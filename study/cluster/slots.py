"""The slots of a cluster, each of which holds one fold, and the trials that take them."""

from study.search.rungs import FoldSchedule
from study.search.trial import Trial


class Slots:
    """How many slots the running trials hold, and whether another trial may start.

    Ray gives a trial its slots when they are free, all at once. A trial that has passed a rung and
    needs more is counted with them before it has them: no other is started that would take
    from it what it waits for.

    Args:
        schedule: how many folds a trial has at a time.
        available: how many slots there are; None where trials have all their workers from the
            start, so that whoever bounds their number bounds these.
        workers: slots of one trial at most; None: one for each of its folds.
    """

    def __init__(
        self, schedule: FoldSchedule, available: int | None = None, workers: int | None = None
    ) -> None:
        self.schedule, self._available = schedule, available
        self._most = workers or schedule.all_folds
        self._taken: dict[str, int] = {}

    def has_room(self) -> bool:
        """Return whether a trial may start; one always may where none runs."""
        if self._available is None or not self._taken:
            return True
        needed = min(self.schedule.after(0), self._most)
        return sum(self._taken.values()) + needed <= self._available

    def start(self, trial: Trial) -> None:
        """Count a trial that starts."""
        self._taken[trial.name] = min(self.schedule.at_start(trial), self._most)

    def grow(self, trial: Trial, rung: int) -> None:
        """Count a trial with the folds that it has after a rung."""
        if self.schedule.races(trial):
            self._taken[trial.name] = min(self.schedule.after(rung), self._most)

    def end(self, trial: Trial) -> None:
        """Count a trial no more."""
        self._taken.pop(trial.name, None)
