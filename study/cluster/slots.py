"""The slots of a cluster, each of which holds one fold, and the trials that take them."""

from study.search.rungs import FoldSchedule
from study.search.trial import Trial


class Slots:
    """How many folds the running trials train, and whether another trial may start.

    Ray gives a trial its slots when they are free, all at once. A trial that has passed a rung and
    needs more is counted with them before it has them: no other is started that would take
    from it what it waits for.

    Args:
        schedule: how many folds a trial has at a time.
        available: how many slots there are; None where trials have all their folds from the start,
            so that whoever bounds their number bounds their folds.
    """

    def __init__(self, schedule: FoldSchedule, available: int | None = None) -> None:
        self.schedule, self._available = schedule, available
        self._taken: dict[str, int] = {}

    def has_room(self) -> bool:
        """Return whether a trial may start; one always may where none runs."""
        if self._available is None or not self._taken:
            return True
        return sum(self._taken.values()) + self.schedule.after(0) <= self._available

    def start(self, trial: Trial) -> None:
        """Count a trial that starts."""
        self._taken[trial.name] = self.schedule.at_start(trial)

    def grow(self, trial: Trial, rung: int) -> None:
        """Count a trial with the folds that it has after a rung."""
        if not trial.is_repetition:
            self._taken[trial.name] = self.schedule.after(rung)

    def end(self, trial: Trial) -> None:
        """Count a trial no more."""
        self._taken.pop(trial.name, None)
