"""Paired comparisons over folds: of models, and of the compositions of one model.

Folds share training samples, so that their differences are not independent: the
resampled t-test is corrected after Nadeau and Bengio (2003), as the summary's intervals
are.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from study.report.summary import INTERVAL, mean_and_deviation

COMPARED_METRICS = ("f1_weighted", "phi", "auroc")
ROUNDING = 1e-12
"""Differences of metrics, and their deviations, below this are of rounding, and 0."""

_SPLIT = ("dataset", "protocol", "split_hash")
_TRIAL = ("study", *_SPLIT, "trial")
_COMPOSITION = ("composition", "latent_form")
_IN_COMMON = {
    "models": (*_SPLIT, "epoch_rule", *_COMPOSITION),
    "compositions": (*_TRIAL, "epoch_rule"),
}
"""What two entries must have in common to be compared."""

_NAMES = ("trial", "system", *_COMPOSITION)
_TEXT = ("compared", "protocol", "epoch_rule", "metric")
_NUMBERS = ("difference", "std", "low", "high", "t", "p", "p_holm")

SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in _TEXT),
        *((f"{side}_{name}", pa.string()) for side in ("first", "second") for name in _NAMES),
        ("folds", pa.int64()),
        *((name, pa.float64()) for name in _NUMBERS),
    ]
)
"""Columns of the comparisons."""

Float = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]


@dataclass(frozen=True)
class PairedTest:
    """Corrected resampled t-tests of `m` pairs; nan where a single fold has both.

    Attributes:
        folds: `(m,)` folds that have both.
        difference: `(m,)` mean over these folds of first minus second.
        std: `(m,)` deviation (n - 1) of the folds' differences.
        low: `(m,)` lower end of a 95 % interval for the difference.
        high: `(m,)` its upper end.
        t: `(m,)` Student's t; infinite where all folds differ by the same.
        p: `(m,)` two-sided, in [0, 1].
    """

    folds: Index
    difference: Float
    std: Float
    low: Float
    high: Float
    t: Float
    p: Float


def comparisons_table(scores: pa.Table) -> pa.Table:
    """Compare trials, and the compositions of each trial, fold by fold.

    Args:
        scores: rows of `scores.parquet`, with a column `system`.

    Returns:
        A table of `SCHEMA`, a row per epoch rule, metric and pair. `models`: trials of
        the same folds (data, protocol and `split_hash`) with one composition and latent
        form. `compositions`: those of one trial. First comes what comes first in
        `scores`. `p_holm` is corrected over all pairs of a kind, epoch rule and metric.

    Raises:
        ValueError: two rows of one trial, epoch rule, composition, latent form and fold.
    """
    if not scores.num_rows:
        return SCHEMA.empty_table()
    keys = (*_TRIAL, "system", "epoch_rule", *_COMPOSITION)
    frame = scores.select([*keys, "fold", *COMPARED_METRICS]).to_pandas()
    frame["system"] = frame["system"].fillna("")
    with np.errstate(divide="ignore", invalid="ignore"):
        frame["ratio"] = scores["num_samples"].to_numpy() / scores["num_training"].to_numpy()
    same = [*_TRIAL, "epoch_rule", *_COMPOSITION]
    frame["entry"] = frame.groupby(same, sort=False, dropna=False).ngroup()
    if frame.duplicated(["entry", "fold"]).any():
        raise ValueError("every trial must have one row per fold and composition, found two")
    entries = frame.drop_duplicates("entry")
    values = {name: _by_fold(frame, name) for name in (*COMPARED_METRICS, "ratio")}
    return pa.concat_tables([SCHEMA.empty_table(), *_families(entries, values)]).combine_chunks()


def paired_test(first: Float, second: Float, ratio: Float) -> PairedTest:
    """Test whether the means of pairs differ (Nadeau and Bengio 2003).

    The variance of the mean is the folds' times 1 / n + test / training samples. Where all
    folds differ by the same, p is 0; where they do not differ, p is 1.

    Args:
        first: `(m, folds)` a metric; nan where a fold does not have it.
        second: `(m, folds)` the metric that is subtracted.
        ratio: `(m, folds)` test to training samples.
    """
    from scipy.special import stdtr, stdtrit

    differences = first - second
    differences[np.abs(differences) < ROUNDING] = 0.0
    defined = ~np.isnan(differences)
    folds = defined.sum(axis=1)
    mean, std = mean_and_deviation(differences)
    std[std < ROUNDING] = 0.0
    with np.errstate(divide="ignore", invalid="ignore"):
        error = std * np.sqrt((1 + np.where(defined, ratio, 0.0).sum(axis=1)) / folds)
        t = np.where((error == 0) & (mean == 0), 0.0, mean / error)
    half_width = stdtrit(folds - 1, (1 + INTERVAL) / 2) * error
    p = 2 * stdtr(folds - 1, -np.abs(t))
    return PairedTest(folds, mean, std, mean - half_width, mean + half_width, t, p)


def holm(p: Float) -> Float:
    """Return `(m,)` p-values corrected after Holm (1979); nan are no tests and stay nan."""
    corrected = np.full(len(p), np.nan)
    tested = np.flatnonzero(~np.isnan(p))
    rising = tested[np.argsort(p[tested], kind="stable")]
    factors = np.arange(len(rising), 0, -1)
    corrected[rising] = np.minimum(np.maximum.accumulate(factors * p[rising]), 1.0)
    return corrected


def _by_fold(frame: pd.DataFrame, name: str) -> Float:
    """Return `(entries, folds)` of a column; nan where an entry has no such fold."""
    folds, fold = np.unique(frame["fold"].to_numpy(), return_inverse=True)
    values = np.full((frame["entry"].max() + 1, len(folds)), np.nan)
    values[frame["entry"], fold] = frame[name]
    return values


def _families(entries: pd.DataFrame, values: dict[str, Float]) -> Iterator[pa.Table]:
    """Yield the rows that are corrected together."""
    for compared, common in _IN_COMMON.items():
        for rule, members in entries.groupby("epoch_rule", sort=False):
            first, second = _pairs(members, common)
            if not len(first):
                continue
            ratio = (values["ratio"][first] + values["ratio"][second]) / 2
            pair = {"compared": [compared] * len(first), "epoch_rule": [rule] * len(first)}
            pair |= _names(entries, first, second)
            for metric in COMPARED_METRICS:
                test = paired_test(values[metric][first], values[metric][second], ratio)
                numbers = vars(test) | {"p_holm": holm(test.p)}
                metrics = {"metric": [metric] * len(first)}
                yield pa.table(pair | metrics | numbers, schema=SCHEMA)


def _pairs(members: pd.DataFrame, common: Sequence[str]) -> tuple[Index, Index]:
    """Return `(m,)` first and second entries of all pairs that have `common` in common."""
    pairs = [np.empty((2, 0), dtype=np.int64)]
    for _, group in members.groupby(list(common), sort=False, dropna=False)["entry"]:
        pairs.append(group.to_numpy()[np.stack(np.triu_indices(len(group), 1))])
    first, second = np.concatenate(pairs, axis=1)
    return first, second


def _names(entries: pd.DataFrame, first: Index, second: Index) -> dict[str, Any]:
    names = {"protocol": entries["protocol"].to_numpy(dtype=object)[first]}
    for side, index in (("first", first), ("second", second)):
        names |= {f"{side}_{n}": entries[n].to_numpy(dtype=object)[index] for n in _NAMES}
    return names
