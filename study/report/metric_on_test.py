"""The metric of trials by fold, with the composition that each is reported by."""

from collections.abc import Iterable

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from study.report.labels import BEST
from study.scores.settings import NORMAL_ERROR
from study.search.trial import TrialRecord


def metric_on_test(scores: pa.Table, records: Iterable[TrialRecord]) -> pd.DataFrame:
    """Return `metric_by_fold`; normal_error, which is of validation, is nan."""
    records = list(records)
    frame = metric_by_fold(scores, records)
    measured = {record.name for record in records if record.trial.config.metric.reads_labels}
    return frame.assign(value=frame["value"].where(frame["trial"].isin(measured)))


def metric_by_fold(scores: pa.Table, records: Iterable[TrialRecord]) -> pd.DataFrame:
    """Return `trial`, `fold`, `value` and `ratio`, in the order of `scores`.

    Args:
        scores: rows of `scores.parquet`.
        records: the trials; one without scores has no rows.

    Returns:
        The metric of each trial and fold on test with the weights of the best validation epoch,
        and test to training samples. Of normal_error it is that of validation, which alone is
        known, with its sign turned as in the ledger.
    """
    score_of = {record.name: record.trial.config.metric.score for record in records}
    metrics = sorted(set(score_of.values()))
    wanted = pc.and_(pc.equal(scores["epoch_rule"], BEST), scores["of_metric"])
    wanted = pc.and_(wanted, pc.is_in(scores["trial"], pa.array(list(score_of), pa.string())))
    names = ["trial", "fold", "num_samples", "num_training", *metrics]
    frame: pd.DataFrame = scores.select(names).filter(wanted).to_pandas()
    metric_of_row = frame["trial"].map(score_of)
    value = np.full(len(frame), np.nan)
    for metric in metrics:
        own = -frame[metric] if metric == NORMAL_ERROR else frame[metric]
        value = np.where(metric_of_row == metric, own, value)
    ratio = frame["num_samples"] / frame["num_training"]
    return frame[["trial", "fold"]].assign(value=value, ratio=ratio)
