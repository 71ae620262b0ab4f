"""What a choice without labels costs: its regret against the choice by validation labels.

Abnormal samples with labels are what one-class methods are meant to do without. Where they
chose the epoch or the trial all the same, this table says what they were worth: the study's
metric at what they chose, less the metric at what is chosen without them.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from study.config.samplers import SAMPLERS
from study.config.schema import MetricSettings, SearchSettings
from study.report.epochs import FoldHistory
from study.report.labels import BEST, EPOCH, LAST, TRIAL, joined, labels_chose
from study.scores.settings import NORMAL_ERROR
from study.search.trial import TrialRecord, best_trial

LOWEST = "lowest_normal_error"
AT_RANDOM = "at_random"
SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in ("protocol", "system", "trial")),
        ("fold", pa.int64()),
        *((name, pa.string()) for name in ("choice", "rule", "labels_chose")),
        ("epoch", pa.int64()),
        *((name, pa.float64()) for name in ("value", "regret", "test_value", "test_regret")),
    ]
)
"""Columns of the choices."""


@dataclass(frozen=True)
class _Chosen:
    """What one rule chooses, and what the metric is there; nan where that is not known."""

    rule: str
    labels_chose: str
    epoch: int | None
    value: float
    test_value: float


def choices_table(
    records: Sequence[TrialRecord],
    folds: Sequence[FoldHistory],
    scores: pa.Table,
    search: SearchSettings,
) -> pa.Table:
    """Return every rule's choice of an epoch in each fold, and of a trial in a search.

    The first rule of each choice is the one by labels, against which regret is taken. Labels
    are not needed for the `last` epoch, nor for the `lowest_normal_error`: the epoch, or the
    trial at its last epoch, at which the validation normals' mean error is smallest. Of
    trials there is also the mean over all, as a choice `at_random` has it on average.

    Args:
        records: trials that ended; those that completed are chosen from.
        folds: histories of the folds whose epochs are chosen.
        scores: `scores.parquet`, with the metric on test under both epoch rules.
        search: says whether labels proposed or stopped trials.

    Returns:
        A table of `SCHEMA`; without rows where nothing was to be chosen, or not by labels.
    """
    records = [record for record in records if record.trial.config.metric.reads_labels]
    on_test = _TestValues(scores)
    named = {record.name: record for record in records}
    rows = [
        row
        for fold in folds
        if fold.keys["trial"] in named
        for row in _epoch_rows(named[fold.keys["trial"]], fold, on_test)
    ]
    rows += _trial_rows(records, scores, search, on_test)
    columns = {name: [row.get(name) for row in rows] for name in SCHEMA.names}
    arrays = [pa.array(columns[f.name], f.type, from_pandas=True) for f in SCHEMA]
    return pa.Table.from_arrays(arrays, schema=SCHEMA)


class _TestValues:
    """The metric on test, by trial and epoch rule."""

    def __init__(self, scores: pa.Table) -> None:
        self._scores = scores
        names = ["trial", "fold", "epoch_rule", "of_metric"]
        keys = scores.select(names).to_pandas()
        self._rows = dict(tuple(keys.groupby("trial", sort=False)))

    def of(self, trial: str, rule: str, metric: MetricSettings) -> "pd.Series[float]":
        """Return the metric's score by fold."""
        rows = self._rows[trial]
        rows = rows[(rows["epoch_rule"] == rule) & rows["of_metric"].astype(bool)]
        values = self._scores[metric.score].take(pa.array(rows.index.to_numpy())).to_numpy()
        return pd.Series(values, index=rows["fold"].to_numpy(), dtype=float)


def _epoch_rows(
    record: TrialRecord, fold: FoldHistory, on_test: _TestValues
) -> Iterator[dict[str, Any]]:
    validated = [row for row in fold.rows if row.get("value") is not None]
    if len(validated) < 2:
        return
    values = {int(row["epoch"]): float(row["value"]) for row in validated}
    metric, number = record.trial.config.metric, fold.manifest.fold
    stored = {fold.manifest.last_epoch: LAST, fold.manifest.best_epoch: BEST}

    def chosen(rule: str, epoch: int) -> _Chosen:
        by_labels = joined(*labels_chose(record, rule))
        test = float("nan")
        if epoch in stored:
            test = float(on_test.of(record.name, stored[epoch], metric).get(number, np.nan))
        return _Chosen(rule, by_labels, epoch, values[epoch], test)

    choices = [chosen(BEST, fold.manifest.best_epoch), chosen(LAST, fold.manifest.last_epoch)]
    errors = [row.get(NORMAL_ERROR) for row in validated]
    if None not in errors:  # folds of older studies did not measure it
        lowest = min(validated, key=lambda row: (row[NORMAL_ERROR], row["epoch"]))
        choices.append(chosen(LOWEST, int(lowest["epoch"])))
    keys = {name: fold.keys[name] for name in ("protocol", "system", "trial", "fold")}
    yield from (_row({**keys, "choice": EPOCH}, each, choices[0]) for each in choices)


def _trial_rows(
    records: Sequence[TrialRecord],
    scores: pa.Table,
    search: SearchSettings,
    on_test: _TestValues,
) -> Iterator[dict[str, Any]]:
    candidates = [
        record
        for record in records
        if record.state == "completed" and not (record.trial.is_repetition or record.trial.system)
    ]
    best = best_trial(candidates)
    if best is None or len(candidates) < 2:
        return
    errors = _last_normal_errors(scores)
    lowest = min(candidates, key=lambda r: (errors.get(r.name, np.inf), r.trial.number))
    metric, by_labels = best.trial.config.metric, TRIAL if _search_reads_labels(search) else ""
    last = {r.name: float(on_test.of(r.name, LAST, metric).mean()) for r in candidates}
    on_best = float(on_test.of(best.name, BEST, metric).mean())
    labelled = _Chosen(BEST, f"{TRIAL}, {EPOCH}", None, best.best_value, on_best)
    unlabelled = _Chosen(LOWEST, by_labels, None, lowest.values[-1][1], last[lowest.name])
    mean = float(np.mean([r.values[-1][1] for r in candidates]))
    at_random = _Chosen(AT_RANDOM, by_labels, None, mean, float(np.mean(list(last.values()))))
    for name, each in ((best.name, labelled), (lowest.name, unlabelled), ("", at_random)):
        keys = {"protocol": best.trial.protocol, "system": "", "trial": name, "choice": TRIAL}
        yield _row(keys, each, labelled)


def _last_normal_errors(scores: pa.Table) -> dict[str, float]:
    """Return the mean error of validation normals at the last epoch, over folds, by trial."""
    frame = scores.select(["trial", "fold", "epoch_rule", NORMAL_ERROR]).to_pandas()
    frame = frame[frame["epoch_rule"] == LAST].drop_duplicates(["trial", "fold"])
    means: dict[str, float] = frame.groupby("trial")[NORMAL_ERROR].mean().dropna().to_dict()
    return means


def _search_reads_labels(search: SearchSettings) -> bool:
    """Return whether trials were proposed from labelled values, or stopped by them."""
    entry = SAMPLERS.get(search.sampler)
    has_learned = search.trials > search.startup_trials or bool(search.learn_from)
    learns = (entry is None or entry.learns) and has_learned
    return learns or search.stopping is not None


def _row(keys: Mapping[str, Any], chosen: _Chosen, labelled: _Chosen) -> dict[str, Any]:
    return {
        **keys,
        **vars(chosen),
        "regret": labelled.value - chosen.value,
        "test_regret": labelled.test_value - chosen.test_value,
    }
