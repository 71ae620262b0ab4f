"""The best trials of a search trained again with another seed, beside what the search said.

What is best of many is in part best by luck, so that its value flatters it; trained again it is
that of its settings. On test, where nothing was chosen, it is compared with the settings that the
search was given first (`search.enqueue`), also trained again.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa

from study.config.schema import MetricSettings, SearchSettings
from study.data.splits import ONE_TEST_SET
from study.report.dataclass_tables import field_values, schema_fields, table_from_rows
from study.report.labels import BEST
from study.report.paired_tests import PairedTest, fold_errors
from study.scores.settings import metric_range
from study.search.trial import TrialRecord, trial_name


@dataclass(frozen=True)
class ConfirmedRow:
    """A row of `confirmed.parquet`: a trial that was trained again with another seed.

    Attributes:
        trial: the trial's name.
        confirmation: the name of the trial that trains it again.
        seed: the seed of that one.
        value: the metric that the search knew, on validation, mean over folds.
        confirmed_value: the same, trained again.
        test_value: the metric on test, weights of the best validation epoch, mean over folds.
        confirmed_test_value: the same, trained again.
        against: the trial that was enqueued first, trained again as well; "" for none.
        difference: `confirmed_test_value` less that of `against`.
        low: lower end of its 95 % interval, over folds (Nadeau and Bengio 2003).
        high: its upper end.
        p: of the difference, two-sided; nan where all folds have one test set.
        p_holm: the same, corrected after Holm over the rows.
    """

    trial: str
    confirmation: str
    seed: int
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
    again.sort(key=lambda pair: (-pair[0].best_value, pair[0].trial.number))
    test = {r.name: _on_test(scores, r.name, r.trial.config.metric) for pair in again for r in pair}
    other = next((record for trial, record in again if trial.name == first), None)
    tests = _tests(test, [record for trial, record in again if trial.name != first], other)
    for trial, record in again:
        outcome = tests.get(record.name, _NO_TEST)
        yield ConfirmedRow(
            trial=trial.name,
            confirmation=record.name,
            seed=record.trial.config.seed,
            value=trial.best_value,
            confirmed_value=record.best_value,
            test_value=float(test[trial.name]["value"].mean()),
            confirmed_test_value=float(test[record.name]["value"].mean()),
            against=first if record.name in tests else "",
            **outcome,
        )


_NO_TEST = dict.fromkeys(("difference", "low", "high", "p", "p_holm"), float("nan"))


def _on_test(scores: pa.Table, trial: str, metric: MetricSettings) -> pd.DataFrame:
    """Return `value` of the metric and `ratio` of test to training samples, by fold."""
    names = ["trial", "epoch_rule", "composition", "latent_form", "fold", metric.score]
    frame = scores.select([*names, "num_samples", "num_training"]).to_pandas()
    of_metric = frame["composition"] == metric.composition
    of_metric &= frame["latent_form"].isin(("", metric.latent_form))
    rows = frame[of_metric & (frame["trial"] == trial) & (frame["epoch_rule"] == BEST)]
    rows = rows.set_index("fold").sort_index()
    return pd.DataFrame(
        {"value": rows[metric.score], "ratio": rows["num_samples"] / rows["num_training"]}
    )


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
    error, freedom = fold_errors(one - two, ratio)
    if first.trial.protocol in ONE_TEST_SET:
        error = np.full(len(one), np.nan)
    difference = np.nanmean(one - two, axis=1)
    least, most = metric_range(first.trial.config.metric.score)
    paired = PairedTest.of(difference, error, freedom).cut(most - least)
    columns = {"difference": difference} | {
        name: getattr(paired, name) for name in ("low", "high", "p", "p_holm")
    }
    return {
        record.name: {name: float(values[row]) for name, values in columns.items()}
        for row, record in enumerate(compared)
    }
