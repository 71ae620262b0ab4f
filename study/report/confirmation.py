"""The best trials of a search trained again with another seed, beside what the search knew.

What is best of many is in part best by luck, so that its value flatters it; trained again it is
that of its settings. On test, where nothing was chosen, it is compared with the settings that the
search tries first (`search.enqueue`), also trained again. The error of normals, which is of
validation alone, is not compared.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa

from study.config.schema import SearchSettings
from study.report.dataclass_tables import field_values, schema_fields, table_from_rows
from study.report.metric_on_test import metric_on_test
from study.report.paired_tests import fold_tests
from study.search.trial import TrialRecord, trial_name


@dataclass(frozen=True)
class ConfirmedRow:
    """A row of `confirmed.parquet`: a trial that was trained again with another seed.

    Attributes:
        trial: the trial's name.
        confirmation: the name of the trial that trains it again.
        seed: the seed of that one.
        folds: how many the first training had: fewer than all where it was stopped before it had
            them, so that its values are means over others than those of the second.
        value: the metric that the search knew, on validation, mean over folds.
        confirmed_value: the same, trained again.
        test_value: the metric on test, weights of the best validation epoch, mean over folds; nan
            of normal_error, which is of validation alone.
        confirmed_test_value: the same, trained again.
        against: the trial that was enqueued first, trained again as well; "" for none, or
            without values on test.
        difference: `confirmed_test_value` less that of `against`.
        low: lower end of its 95 % interval, over folds (Nadeau and Bengio 2003).
        high: its upper end.
        p: of the difference, two-sided; nan where all folds have one test set.
        p_holm: the same, corrected after Holm over the rows.
    """

    trial: str
    confirmation: str
    seed: int
    folds: int
    value: float
    confirmed_value: float
    test_value: float
    confirmed_test_value: float
    against: str
    difference: float
    low: float
    high: float
    p: float
    p_holm: float


SCHEMA = pa.schema(schema_fields(ConfirmedRow))


def confirmed_table(
    records: Sequence[TrialRecord], scores: pa.Table, search: SearchSettings
) -> pa.Table:
    """Return `confirmed.parquet`, the best trial first; without rows if nothing was confirmed.

    Args:
        records: all trials that did not fail.
        scores: `scores.parquet`.
        search: says whether the first trial was enqueued.
    """
    first = trial_name(0) if search.enqueue else ""
    return table_from_rows(SCHEMA, [field_values(row) for row in _rows(records, scores, first)])


def confirmed_values(records: Sequence[TrialRecord]) -> dict[str, float]:
    """Return the metric of trials that were trained again with another seed, by their names."""
    return {
        trial_name(record.trial.number): record.best_value
        for record in records
        if record.trial.is_confirmation
    }


def _rows(records: Sequence[TrialRecord], scores: pa.Table, first: str) -> Iterator[ConfirmedRow]:
    named = {record.name: record for record in records}
    again = [
        (named[trial_name(record.trial.number)], record)
        for record in records
        if record.trial.is_confirmation and trial_name(record.trial.number) in named
    ]
    if not again:
        return
    # A stopped trial's value, of its best epoch and of fewer folds, is not held against others'.
    again.sort(
        key=lambda pair: (pair[0].state != "completed", -pair[0].best_value, pair[0].trial.number)
    )
    on_test = metric_on_test(scores, [record for pair in again for record in pair])
    test = {
        str(name): rows.set_index("fold").sort_index() for name, rows in on_test.groupby("trial")
    }
    measured = [pair for pair in again if pair[1].trial.config.metric.reads_labels]
    other = next((record for trial, record in measured if trial.name == first), None)
    tests = _tests(test, [record for trial, record in measured if trial.name != first], other)
    for trial, record in again:
        outcome = tests.get(record.name, _NO_TEST)
        yield ConfirmedRow(
            trial=trial.name,
            confirmation=record.name,
            seed=record.trial.config.seed,
            folds=len(test[trial.name]),
            value=trial.best_value,
            confirmed_value=record.best_value,
            test_value=float(test[trial.name]["value"].mean()),
            confirmed_test_value=float(test[record.name]["value"].mean()),
            against=first if record.name in tests else "",
            **outcome,
        )


_NO_TEST = dict.fromkeys(("difference", "low", "high", "p", "p_holm"), float("nan"))


def _tests(
    test: Mapping[str, pd.DataFrame], compared: Sequence[TrialRecord], first: TrialRecord | None
) -> dict[str, dict[str, float]]:
    """Return difference, interval and p of each trial and the first, by name."""
    if first is None or not compared:
        return {}
    other = test[first.name]
    own = [test[record.name].reindex(other.index) for record in compared]
    one = np.stack([frame["value"].to_numpy(dtype=float) for frame in own])
    two = np.broadcast_to(other["value"].to_numpy(dtype=float), one.shape)
    ratio = np.broadcast_to(other["ratio"].to_numpy(dtype=float), one.shape)
    score = first.trial.config.metric.score
    difference, _, paired = fold_tests(one - two, ratio, first.trial.protocol, score)
    columns = {"difference": difference} | {
        name: getattr(paired, name) for name in ("low", "high", "p", "p_holm")
    }
    return {
        record.name: {name: float(values[row]) for name, values in columns.items()}
        for row, record in enumerate(compared)
    }
