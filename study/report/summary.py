"""The summary over folds, for all trials and compositions at once."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from study.scores.series import SERIES_METRICS
from study.scores.settings import METRIC_NAMES

INTERVAL = 0.95
SUMMARY_KEYS = (
    "study",
    "dataset",
    "protocol",
    "model",
    "system",
    "trial",
    "config_hash",
    "state",
    "epoch_rule",
    "composition",
    "latent_form",
    "supervision",
    "labels_chose",
    "one_class",
)
STATISTICS = ("mean", "std", "low", "high")

Float = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]


def summary_table(scores: pa.Table) -> pa.Table:
    """Return `summary.parquet`: each metric over folds, by trial, epoch rule and composition.

    `<metric>_mean` and `<metric>_std` (n - 1) of the folds that have the metric, and the
    ends of a 95 % interval for the mean, `<metric>_low` and `<metric>_high`, after Nadeau
    and Bengio (2003): folds share training samples, so the variance is corrected by the
    ratio of test to training samples. nan for a single fold.
    """
    group, first = _groups(scores)
    sizes = np.bincount(group, minlength=len(first))
    # Rows of a group side by side, groups of one size in one matrix.
    order = np.argsort(group, kind="stable")
    starts = np.cumsum(sizes) - sizes
    blocks = [
        (members, order[starts[members][:, None] + np.arange(size)])
        for size in np.unique(sizes)
        for members in [np.flatnonzero(sizes == size)]
    ]
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = scores["num_samples"].to_numpy() / scores["num_training"].to_numpy()
    columns: dict[str, Any] = {"folds": pa.array(sizes)}
    of_series = [metric for metric in SERIES_METRICS if metric in scores.column_names]
    for metric in (*METRIC_NAMES, *of_series):
        values = scores[metric].to_numpy()
        result = np.empty((len(first), len(STATISTICS)))
        for members, rows in blocks:
            result[members] = over_folds(values[rows], ratio[rows])
        columns |= {f"{metric}_{n}": pa.array(result[:, i]) for i, n in enumerate(STATISTICS)}
    parameters = [name for name in scores.column_names if name.startswith("param.")]
    shared = scores.select([*SUMMARY_KEYS, *parameters]).take(pa.array(first)).combine_chunks()
    keys, settings = ({n: shared[n] for n in names} for names in (SUMMARY_KEYS, parameters))
    return pa.table(keys | columns | settings)


def _groups(scores: pa.Table) -> tuple[Index, Index]:
    """Return `(n,)` the group of each row, and `(g,)` the first row of each group.

    Groups are numbered by their first rows.
    """
    code = np.zeros(scores.num_rows, dtype=np.int64)
    for name in SUMMARY_KEYS:
        encoded = pa.chunked_array(scores[name]).combine_chunks().dictionary_encode("encode")
        code = code * len(encoded.dictionary) + encoded.indices.to_numpy(zero_copy_only=False)
        _, code = np.unique(code, return_inverse=True)  # stays small
    _, first, group = np.unique(code, return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return rank[group], first[order]


def over_folds(values: Float, ratio: Float) -> Float:
    """Return `(g, 4)` mean, deviation, and ends of the interval.

    Args:
        values: `(g, n)` a metric by group and fold; nan where it is undefined.
        ratio: `(g, n)` test to training samples.
    """
    from scipy.special import stdtrit

    groups, count = values.shape
    mean, deviation = mean_and_deviation(values)
    if count == 1:
        undefined = np.full(groups, np.nan)
        return np.stack([mean, undefined, undefined, undefined], axis=1)
    correction, _ = mean_and_deviation(ratio)
    error = deviation * np.sqrt(1 / count + correction)
    half_width = stdtrit(count - 1, (1 + INTERVAL) / 2) * error
    return np.stack([mean, deviation, mean - half_width, mean + half_width], axis=1)


def mean_and_deviation(values: Float) -> tuple[Float, Float]:
    """Return `(g,)` mean and deviation (n - 1) of what is not nan in rows of `(g, n)`."""
    defined = ~np.isnan(values)
    count = defined.sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.where(defined, values, 0.0).sum(axis=1) / count
        squares = np.where(defined, (mean[:, None] - values) ** 2, 0.0).sum(axis=1)
        deviation = np.sqrt(squares / (count - 1))
    return mean, np.where(count > 1, deviation, np.nan)
