"""What a search learned of its settings: which matter, and what each value is worth.

A random forest learns the metric of settings and epochs together, so that trials that were stopped
early count, and values are compared in trials of one length. How much its expectation varies with a
setting is that setting's importance, so that the two cannot contradict each other.
"""

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from study.config.schema import Study
from study.config.search_space import Distribution
from study.randomness import stream_seed
from study.report.dataclass_tables import field_values, schema_fields, table_from_rows
from study.report.metric_on_test import metric_by_fold
from study.report.summary import fold_statistics
from study.scores.settings import metric_range
from study.search.trial import TrialRecord

Float = npt.NDArray[np.float64]

LEARNED_FROM = 20
"""Trials from which on importance and effects are more than noise (`benchmarks.importance`)."""
MOST_TRIALS = 400
GRID, PAIR_GRID = 12, 8
MOST_PAIRED = 3
"""Settings of most importance whose pairs are shown."""
TREES = 32


@dataclass(frozen=True)
class ImportanceRow:
    """A row of `importance.parquet`: how much a searched setting matters.

    Attributes:
        setting: its dotted key.
        share: of the sum over settings of how much `mean` of marginals.parquet varies with each
            alone (variance; fANOVA, Hutter et al. 2014), times the share of trials that have it;
            shares add up to 1, or are all 0 where it varies with none.
        spread: the largest less the smallest `mean`: how far the metric moves with the setting.
        trials: trials that it was taken from.
        stopped: how many of these were stopped early.
    """

    setting: str
    share: float
    spread: float
    trials: int
    stopped: int


@dataclass(frozen=True)
class MarginalRow:
    """A row of `marginals.parquet`: what a value of a setting, or a pair, is worth.

    Attributes:
        setting: its dotted key.
        value: the value, as text.
        position: the value as a number; of a choice its index.
        other: the second setting of a pair; "" for none.
        other_value: its value, as text.
        other_position: as a number; nan for none.
        epochs: the epochs of the trials that it is of.
        mean: the study's metric on test (normal_error: on validation) that a random forest expects
            there, over what trials had of all other settings; mean over folds.
        low: lower end of a 95 % interval over folds inside the metric's range, as in
            summary.parquet; nan for a pair.
        high: its upper end.
        trials: trials that have the settings.
        folds: folds that it is a mean over: those that at least half of the trials had, for the
            few that had more, where folds are raced, are the good ones.
    """

    setting: str
    value: str
    position: float
    other: str
    other_value: str
    other_position: float
    epochs: int
    mean: float
    low: float
    high: float
    trials: int
    folds: int


IMPORTANCE_SCHEMA = pa.schema(schema_fields(ImportanceRow))
MARGINALS_SCHEMA = pa.schema(schema_fields(MarginalRow))


def learned_tables(
    study: Study, records: Sequence[TrialRecord], scores: pa.Table
) -> dict[str, pa.Table]:
    """Return `importance` and `marginals` by name, without rows where trials are too few.

    Args:
        study: the study.
        records: its trials that did not fail.
        scores: `scores.parquet`.
    """
    trials = [r for r in records if not r.trial.is_repetition and not math.isnan(r.best_value)]
    if len(trials) > MOST_TRIALS:
        kept = np.linspace(0, len(trials) - 1, MOST_TRIALS).round().astype(int)
        trials = [trials[index] for index in kept]
    searched = {key: form for key, form in study.search.space.items() if len(set(form.ends)) > 1}
    tables = {"importance": IMPORTANCE_SCHEMA.empty_table(),
              "marginals": MARGINALS_SCHEMA.empty_table()}  # fmt: skip
    if len(trials) < LEARNED_FROM or not searched or len({r.best_value for r in trials}) < 2:
        return tables
    effects = _Effects(searched, trials, scores, stream_seed(study.seed, "importance") % 2**32)
    if not effects.folds:
        return tables
    alone = list(effects.of_settings())
    rows = importance(alone, trials)
    tables["importance"] = table_from_rows(IMPORTANCE_SCHEMA, [field_values(row) for row in rows])
    paired = list(combinations([row.setting for row in rows][:MOST_PAIRED], 2))
    marginals = [*alone, *effects.of_pairs(paired)]
    tables["marginals"] = table_from_rows(
        MARGINALS_SCHEMA, [field_values(row) for row in marginals]
    )
    return tables


def importance(
    marginals: Sequence[MarginalRow], trials: Sequence[TrialRecord]
) -> list[ImportanceRow]:
    """Return each setting's importance, the largest first.

    Args:
        marginals: what values of single settings are worth.
        trials: the trials that it was learned from.
    """
    means: defaultdict[str, list[float]] = defaultdict(list)
    having: dict[str, int] = {}
    for row in marginals:
        means[row.setting].append(row.mean)
        having[row.setting] = row.trials
    variances = {
        key: float(np.var(values)) * having[key] / len(trials) if having[key] else 0.0
        for key, values in means.items()
    }
    total = sum(variances.values()) or 1.0
    stopped = sum(record.state == "pruned" for record in trials)
    return [
        ImportanceRow(key, variance / total, float(np.ptp(means[key])), len(trials), stopped)
        for key, variance in sorted(variances.items(), key=lambda item: -item[1])
    ]


class _Effects:
    """Forests of every fold, and what they expect of values."""

    def __init__(
        self,
        space: Mapping[str, Distribution],
        trials: Sequence[TrialRecord],
        scores: pa.Table,
        seed: int,
    ) -> None:
        self._axes = {key: _Axis(form) for key, form in space.items()}
        self._columns = {key: column for column, key in enumerate(space)}
        self._epochs = max(record.values[-1][0] for record in trials)
        self._range = metric_range(trials[0].trial.config.metric.score)
        values, self._ratio = _values(trials, scores)
        settings = [
            [
                axis.position(record.parameters[key]) if key in record.parameters else math.nan
                for key, axis in self._axes.items()
            ]
            for record in trials
        ]
        reached = [math.log(record.values[-1][0]) for record in trials]
        inputs = np.column_stack([np.array(settings, dtype=float), reached])
        self._forests = [_fitted(inputs, fold, seed) for fold in values.T]
        self._background = inputs.copy()
        self._background[:, -1] = math.log(self._epochs)

    @property
    def folds(self) -> int:
        """Of how many folds there are forests."""
        return len(self._forests)

    def of_settings(self) -> Iterator[MarginalRow]:
        """Yield the rows of each setting's values, with intervals over folds."""
        for key, axis in self._axes.items():
            grid = axis.grid(GRID)
            expected, trials = self._expected([(key, [at for at, _ in grid])])
            ratio = np.full(expected.shape, self._ratio)
            ends = fold_statistics(expected, ratio, self._range)
            for (at, text), (mean, _, low, high) in zip(grid, ends.tolist(), strict=True):
                yield MarginalRow(key, text, axis.value(at), "", "", math.nan, self._epochs,
                                  mean, low, high, trials, self.folds)  # fmt: skip

    def of_pairs(self, pairs: Sequence[tuple[str, str]]) -> Iterator[MarginalRow]:
        """Yield the rows of pairs of values, means over folds."""
        for first, second in pairs:
            one, two = (self._axes[key].grid(PAIR_GRID) for key in (first, second))
            both = [(a, b) for a in one for b in two]
            expected, trials = self._expected(
                [(first, [a[0] for a, _ in both]), (second, [b[0] for _, b in both])]
            )
            means = np.full(len(both), math.nan) if not trials else expected.mean(axis=1)
            for ((at, text), (on, other)), mean in zip(both, means.tolist(), strict=True):
                x, y = self._axes[first].value(at), self._axes[second].value(on)
                yield MarginalRow(first, text, x, second, other, y, self._epochs,
                                  mean, math.nan, math.nan, trials, self.folds)  # fmt: skip

    def _expected(self, settings: Sequence[tuple[str, Sequence[float]]]) -> tuple[Float, int]:
        """Return `(values, folds)` what is expected where settings have values, and of how many.

        Args:
            settings: keys, and the positions of their values, as many of each.
        """
        columns = [self._columns[key] for key, _ in settings]
        background = self._background[~np.isnan(self._background[:, columns]).any(axis=1)]
        count = len(settings[0][1])
        if not len(background):
            return np.full((count, len(self._forests)), math.nan), 0
        inputs = np.tile(background, (count, 1))
        for column, (_, positions) in zip(columns, settings, strict=True):
            inputs[:, column] = np.repeat(positions, len(background))
        folds = np.stack([forest.predict(inputs) for forest in self._forests], axis=1)
        trials = len(background)
        return folds.reshape(count, trials, -1).mean(axis=1), trials


class _Axis:
    """The values of a searched setting as numbers, a logarithm where it is searched by it."""

    def __init__(self, form: Distribution) -> None:
        self._form = form
        self._is_log = form.form.startswith("log")

    def position(self, value: Any) -> float:
        """Return where a value lies."""
        if self._form.choice is not None:
            return float(self._form.index(value))
        return math.log(value) if self._is_log else float(value)

    def value(self, position: float) -> float:
        """Return the number at a position."""
        return math.exp(position) if self._is_log else position

    def grid(self, size: int) -> list[tuple[float, str]]:
        """Return positions and values as text: every choice, or at most `size` of a range."""
        if self._form.choice is not None:
            return [(float(at), str(value)) for at, value in enumerate(self._form.choice)]
        low, high = (self.position(end) for end in self._form.ends)
        positions = np.linspace(low, high, size)
        if not self._form.is_integer:
            return [(float(at), f"{self.value(at):.4g}") for at in positions]
        whole = sorted({round(self.value(at)) for at in positions})
        return [(self.position(value), str(value)) for value in whole]


def _fitted(inputs: Float, values: Float, seed: int) -> Any:
    from sklearn.ensemble import RandomForestRegressor

    known = ~np.isnan(values)
    forest = RandomForestRegressor(n_estimators=TREES, random_state=seed)
    return forest.fit(inputs[known], values[known])


def _values(trials: Sequence[TrialRecord], scores: pa.Table) -> tuple[Float, float]:
    """Return `(trials, folds)` each one's metric, and these folds' test to training samples.

    Folds that fewer than half of the trials have a value of are left out.
    """
    frame = metric_by_fold(scores, trials)
    row_of = {record.name: row for row, record in enumerate(trials)}
    values = np.full((len(trials), int(frame["fold"].max()) + 1), math.nan)
    values[frame["trial"].map(row_of), frame["fold"]] = frame["value"]
    kept = np.flatnonzero((~np.isnan(values)).mean(axis=0) >= 0.5)
    ratio = float(frame.loc[frame["fold"].isin(kept), "ratio"].mean())
    return values[:, kept], ratio
