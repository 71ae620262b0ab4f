"""When a search has taken what it may take: hours, money, or trials that brought nothing.

It is counted anew whenever it is asked, from the ended trials and the time that all runs of the
study have taken. So a study that is continued stands where it stood, and one whose budget is raised
goes on.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping

from study.config.schema import BudgetSettings
from study.search.trial import TrialRecord


class Budget:
    """What a search may take, and what it has taken.

    Args:
        settings: the study's; None: it may take what it takes.
        seconds: returns for how long the study has run, all its runs together.
        incomplete: ended trials of which folds are lost: they count as they ended.
    """

    def __init__(
        self,
        settings: BudgetSettings | None = None,
        seconds: Callable[[], float] = lambda: 0.0,
        incomplete: Iterable[TrialRecord] = (),
    ) -> None:
        self._settings, self._seconds = settings or BudgetSettings(), seconds
        self._incomplete = {record.name: record for record in incomplete}
        self._counted = (0, 0)

    def is_spent(self, ended: Mapping[str, TrialRecord]) -> bool:
        """Return whether the search is to end, with these trials ended, by name."""
        return any(spent >= limit for spent, limit, _ in self._parts(ended))

    def shown(self, ended: Mapping[str, TrialRecord]) -> str:
        """Return what is spent of each part, in words; "" without a budget."""
        return ", ".join(words for _, _, words in self._parts(ended))

    def _parts(self, ended: Mapping[str, TrialRecord]) -> Iterator[tuple[float, float, str]]:
        """Yield what is spent, what may be, and both in words."""
        settings = self._settings
        if limit := settings.hours:
            hours = self._seconds() / 3600
            yield hours, limit, f"{hours:.2f} of {limit:g} hours"
        if settings.cost and settings.price:
            cost, limit = self._seconds() / 3600 * settings.price, settings.cost
            yield cost, limit, f"{cost:.2f} of a cost of {limit:g}"
        if most := settings.without_improvement:
            known = {**self._incomplete, **ended}
            if self._counted[0] != len(known):
                self._counted = len(known), trials_without_improvement(known.values())
            since = self._counted[1]
            yield since, most, f"{since} of {most} trials without improvement"


def trials_without_improvement(ended: Iterable[TrialRecord]) -> int:
    """Return how many trials have ended since one completed that was better than all before.

    Those that were stopped or failed count too; none counts before one has completed.
    """
    own = (record for record in ended if not record.trial.is_repetition)
    best, since = -math.inf, 0
    for record in sorted(own, key=lambda record: record.completion_order):
        if record.state == "completed" and record.best_value > best:
            best, since = record.best_value, 0
        elif best > -math.inf:
            since += 1
    return since
