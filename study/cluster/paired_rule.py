"""A rule that ends trials between rungs: those that are worse than the best, fold by fold."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from study.cluster.search_state import SearchState
from study.config.schema import Objective, PairedSettings
from study.ledger.trial_outcome import RowsByFold, validated_rows
from study.search.objectives import MINIMIZED, is_no_worse, other_bounds, other_losses
from study.search.paired import p_of_no_worse
from study.search.trial import TrialRecord, best_trials, fold_name, mean_over_folds


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
        metrics: what the search improves beside its metric: a trial is compared with the best of
            those that are no worse in any of them.
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
        self._read: dict[str, tuple[TrialRecord, RowsByFold]] = {}

    def compare(self, result: Mapping[str, Any]) -> Comparison:
        """Return how a trial's folds, which report `result`, compare with the best one's."""
        if self._settings is None:
            return Comparison()
        epoch, bounds = result["epoch"], other_bounds(result, self._metrics)
        for best in best_trials(self._state.known_ended.values()):
            if is_no_worse(other_losses(self._others(best, epoch), self._metrics), bounds):
                return self._compared(best, result, self._settings)
        return Comparison()

    def _compared(
        self, best: TrialRecord, result: Mapping[str, Any], settings: PairedSettings
    ) -> Comparison:
        of_best = self._rows(best).get(result["epoch"], {})
        shared = {f: name for f in of_best if (name := f"{fold_name(f)}/value") in result}
        values = [float(result[name]) for name in shared.values()]
        others = [of_best[fold]["value"] for fold in shared]
        p = p_of_no_worse(values, others, settings.test, self._ratio)
        return Comparison(best.name, p, p < settings.level)

    def _others(self, record: TrialRecord, epoch: int) -> dict[str, float]:
        """Return a trial's further metrics at an epoch; what scoring costs is always the same."""
        others = dict(record.objectives)
        scores = [name for name in self._metrics if name not in MINIMIZED]
        rows = self._rows(record).get(epoch, {}).values() if scores else ()
        for name in scores:
            values = [row[name] for row in rows if name in row]
            others[name] = mean_over_folds(values) if values else math.nan
        return others

    def _rows(self, record: TrialRecord) -> RowsByFold:
        """Return a trial's histories, read again when it has its lost folds again."""
        known, rows = self._read.get(record.name, (None, {}))
        if known is not record:
            rows = validated_rows(self._state.ledger, record)
            self._read[record.name] = record, rows
        return rows
