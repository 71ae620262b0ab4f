"""The summary over folds, for all trials and compositions at once."""

import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from study.scores.series import SERIES_METRICS, series_range
from study.scores.settings import METRIC_NAMES, metric_range

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
    "of_metric",
)
STATISTICS = ("mean", "std", "low", "high")

Float = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]


class OverFolds(NamedTuple):
    """`(m,)` each of a metric over folds.

    Attributes:
        mean: over the folds that have it.
        deviation: of these (n - 1); nan for one.
        error: standard error of the mean.
        freedom: its degrees of freedom.
    """

    mean: Float
    deviation: Float
    error: Float
    freedom: Float


def summary_table(scores: pa.Table) -> pa.Table:
    """Return `summary.parquet`: each metric over folds, by trial, epoch rule and composition.

    `<metric>_mean` and `<metric>_std` (n - 1) of the folds that have the metric, and the
    ends of a 95 % interval for the mean, `<metric>_low` and `<metric>_high`, inside the
    metric's range; nan for a single fold.
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
    ranges: dict[str, tuple[float, float]] = {name: metric_range(name) for name in METRIC_NAMES}
    ranges |= {name: series_range(name) for name in SERIES_METRICS if name in scores.column_names}
    for metric, ends in ranges.items():
        values = scores[metric].to_numpy()
        result = np.empty((len(first), len(STATISTICS)))
        for members, rows in blocks:
            result[members] = fold_statistics(values[rows], ratio[rows], ends)
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


def fold_statistics(values: Float, ratio: Float, ends: tuple[float, float]) -> Float:
    """Return `(g, 4)` mean, deviation, and ends of the interval.

    Args:
        values: `(g, n)` a metric by group and fold; nan where it is undefined.
        ratio: `(g, n)` test to training samples.
        ends: smallest and largest value of the metric.
    """
    folds = over_folds(values, ratio)
    return np.stack([folds.mean, folds.deviation, *interval_inside(folds, *ends)], axis=1)


def interval_inside(folds: OverFolds, least: float, most: float) -> tuple[Float, Float]:
    """Return the ends of intervals that lie in [`least`, `most`], as the mean does.

    Taken on the logit scale of that range, with the delta method, and taken back (Brown, Cai
    and DasGupta 2001); on [-1, 1], for phi, that is Fisher's z of a correlation, and where one end
    is infinite, the logarithmic scale. A mean at an end of the range is of folds that are all
    there, and so is its interval.
    """
    from scipy.special import expit, logit, stdtrit

    if math.isinf(least):
        low, high = interval_inside(folds._replace(mean=-folds.mean), -most, -least)
        return -high, -low
    width, mean = most - least, folds.mean
    if math.isinf(width):
        above = mean - least
        with np.errstate(divide="ignore", invalid="ignore"):
            factor = np.exp(stdtrit(folds.freedom, (1 + INTERVAL) / 2) * folds.error / above)
        is_point = (folds.error == 0) | ((above == 0) & np.isfinite(folds.error))
        low, high = least + above / factor, least + above * factor
        return np.where(is_point, mean, low), np.where(is_point, mean, high)
    share = np.clip((mean - least) / width, 0.0, 1.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        slope = 1 / (width * share * (1 - share))
        reach = stdtrit(folds.freedom, (1 + INTERVAL) / 2) * folds.error * slope
        low, high = (least + width * expit(logit(share) + side) for side in (-reach, reach))
    point = (folds.error == 0) | (share == 0) | (share == 1)
    point &= np.isfinite(folds.error)
    return np.where(point, mean, np.minimum(low, mean)), np.where(
        point, mean, np.maximum(high, mean)
    )


def over_folds(values: Float, ratio: Float) -> OverFolds:
    """Return mean and deviation of rows of `(m, n)` over those folds that are not nan.

    Folds share training samples, so that the variance of the mean is theirs times 1 / n + test
    / training samples (Nadeau and Bengio 2003).

    Args:
        values: `(m, n)` a metric, or a difference of two.
        ratio: `(m, n)` test to training samples.
    """
    defined = ~np.isnan(values)
    count = defined.sum(axis=1)
    mean, deviation = mean_and_deviation(values)
    with np.errstate(divide="ignore", invalid="ignore"):
        correction = (1 + np.where(defined, ratio, 0.0).sum(axis=1)) / count
        error = deviation * np.sqrt(correction)
    return OverFolds(mean, deviation, error, (count - 1).astype(np.float64))


def mean_and_deviation(values: Float) -> tuple[Float, Float]:
    """Return `(g,)` mean and deviation (n - 1) of what is not nan in rows of `(g, n)`."""
    defined = ~np.isnan(values)
    count = defined.sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.where(defined, values, 0.0).sum(axis=1) / count
        squares = np.where(defined, (mean[:, None] - values) ** 2, 0.0).sum(axis=1)
        deviation = np.sqrt(squares / (count - 1))
    return mean, np.where(count > 1, deviation, np.nan)
