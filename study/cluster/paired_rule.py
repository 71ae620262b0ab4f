"""A rule that ends trials between rungs: those that are worse than the best, fold by fold."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from study.cluster.search_state import SearchState
from study.config.schema import Objective, PairedSettings
from study.ledger.trial_outcome import values_by_fold
from study.search.objectives import is_no_worse, loss_of_others
from study.search.paired import p_of_no_worse
from study.search.trial import TrialRecord, best_trial, fold_name


@dataclass(frozen=True)
class Comparison:
    """What a trial was compared with, and what came of it.

    Attributes:
        against: the name of the best completed trial; None if none has completed.
        p: that the trial is no worse than that one.
        is_worse: whether p is below the level.
    """

    against: str | None = None
    p: float | None = None
    is_worse: bool = False


class PairedRule:
    """Compares trials with the best completed one at the same epoch.

    Args:
        settings: the study's; None: no trial is compared.
        state: knows what has ended.
        ratio: validation samples to training samples.
        metrics: what the search improves beside its metric: a trial that is worse in any of them
            is not held against another.
    """

    def __init__(
        self,
        settings: PairedSettings | None,
        state: SearchState,
        ratio: float,
        metrics: Sequence[Objective] = (),
    ) -> None:
        self._settings, self._state, self._ratio = settings, state, ratio
        self._metrics = metrics
        self._best: TrialRecord | None = None
        self._values: Mapping[int, Mapping[int, float]] = {}

    def compare(self, result: Mapping[str, Any]) -> Comparison:
        """Return how a trial's folds, which report `result`, compare with the best one's."""
        losses = loss_of_others(result, self._metrics, unknown=math.inf)
        best = best_trial(
            record
            for record in self._state.known_ended.values()
            if is_no_worse(self._losses(record), losses)
        )
        if best is None or self._settings is None:
            return Comparison()
        if best is not self._best:  # its record is another when it has its lost folds again
            self._best, self._values = best, values_by_fold(self._state.ledger, best)
        of_best = self._values.get(result["epoch"], {})
        shared = {f: name for f in of_best if (name := f"{fold_name(f)}/value") in result}
        values = [float(result[name]) for name in shared.values()]
        others = [of_best[fold] for fold in shared]
        p = p_of_no_worse(values, others, self._settings.test, self._ratio)
        return Comparison(best.name, p, p < self._settings.level)

    def _losses(self, record: TrialRecord) -> Sequence[float]:
        """Return a trial's further metrics; what is not known of it speaks for no other."""
        return loss_of_others(record.objectives, self._metrics, unknown=-math.inf)
