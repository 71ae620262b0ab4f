"""The trials of a search with several metrics that no other beats in all of them."""

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa

from study.config.schema import SearchSettings
from study.search.objectives import hypervolume, losses, objective_values, on_front
from study.search.trial import TrialRecord

FRONT_COLUMNS = {
    "trial": "the trial's name; trials that completed are here, in the order in which they ended",
    "on_front": "whether no other trial is as good in all and better in one of what follows",
    "hypervolume": "share that trials up to this one dominate of the box between the worst and the "
    "best value of each that completed trials have",
    "value": "the study's metric on validation, mean over folds, at its best epoch",
    "<objective>": "each of `search.metrics`, mean over folds: scores on validation at the best "
    "epoch; `microseconds` that scoring a sample takes on the worker; `parameters`, all numbers "
    "that are stored of a model, and `bytes` of its file",
}
"""Meaning of the columns of `front.parquet`."""


def front_table(records: Sequence[TrialRecord], search: SearchSettings) -> pa.Table:
    """Return `front.parquet`; without rows where the search has one metric.

    Args:
        records: all trials that did not fail.
        search: names what is improved.
    """
    completed = sorted(
        (r for r in records if r.state == "completed" and not r.trial.is_repetition),
        key=lambda record: record.completion_order,
    )
    names = ["value", *search.metrics]
    if not search.metrics or not completed:
        return pa.table({"trial": pa.array([], pa.string())})
    values = losses(completed, search.metrics)
    best, worst = np.nanmin(values, axis=0), np.nanmax(values, axis=0)
    scaled = (values - best) / np.where(worst > best, worst - best, 1.0)
    columns = np.array([objective_values(record, search.metrics) for record in completed])
    return pa.table(
        {
            "trial": [record.name for record in completed],
            "on_front": on_front(values),
            "hypervolume": list(_hypervolumes(scaled)),
            **{name: columns[:, index] for index, name in enumerate(names)},
        }
    )


def _hypervolumes(scaled: np.ndarray) -> Iterator[float]:
    """Yield what the trials up to each one dominate; only those on the front are kept."""
    front = scaled[:0]
    for point in scaled:
        front = np.unique(np.vstack([front, point]), axis=0)
        front = front[on_front(front)]
        yield hypervolume(front, np.ones(scaled.shape[1]))
