"""What the search has decided of trials: which rungs they may pass, and where they stop."""

import math
from bisect import bisect_right
from collections.abc import Sequence

from study.cluster.attempts import Attempt


class Decisions:
    """The driver's decisions, as far as the coordinator has learned of them.

    Args:
        waits: the epochs at which folds wait for the search, in order.
    """

    def __init__(self, waits: Sequence[int]) -> None:
        self._waits = waits
        self._passed: dict[str, int] = {}
        self._stopped: dict[str, int | None] = {}

    def promote(self, trial: str, epoch: int) -> None:
        """Take note that a trial may train on past the rung at `epoch`."""
        self._passed[trial] = max(epoch, self.passed(trial))

    def stop(self, trial: str, epoch: int | None) -> None:
        """Take note that a trial ends at the rung at `epoch`; None: at once."""
        self._stopped[trial] = epoch

    def is_dropped(self, trial: str) -> bool:
        """Return whether a trial has ended at once, and has not begun again."""
        return self._stopped.get(trial, 0) is None

    def passed(self, trial: str) -> int:
        """Return the last rung that a trial was let pass; 0 for none."""
        return self._passed.get(trial, 0)

    def next_wait(self, trial: str) -> float:
        """Return the epoch at which a trial's folds wait next; infinity for none."""
        following = bisect_right(self._waits, self.passed(trial))
        return self._waits[following] if following < len(self._waits) else math.inf

    def let_pass(self, trial: str, epoch: int) -> bool:
        """Return whether a trial's folds need not wait at an epoch, or not any more."""
        return epoch not in self._waits or epoch <= self.passed(trial)

    def apply_to(self, attempt: Attempt) -> None:
        """Have an attempt that begins stop, or give way to one with more folds, if it is to."""
        stops_at = self._stopped.pop(attempt.trial, None)
        if stops_at is not None and stops_at <= attempt.epoch:
            attempt.stops_at = stops_at
        attempt.outgrow(self.passed(attempt.trial))
