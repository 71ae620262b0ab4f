"""Intervals over patients: how far a result is that of the patients who happen to test.

Beats of one patient are alike, so that an interval over beats or folds is too narrow for
a new patient. Here whole patients are drawn with replacement (cluster bootstrap).
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from study.report.resampling import COUNTS, KEYS
from study.scores.confusion import Confusion

PATIENT_METRICS = ("f1_weighted", "f1_anomaly", "phi", "auroc_labels")
ENDS = (0.025, 0.975)

SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in KEYS),
        *(
            (f"{metric}{end}", pa.float64())
            for metric in PATIENT_METRICS
            for end in ("", "_patient_low", "_patient_high")
        ),
        ("patients", pa.int64()),
        ("draws", pa.int64()),
    ]
)
"""Columns of the intervals."""

Float = npt.NDArray[np.float64]


def patient_intervals(strata: pa.Table, seed: int, draws: int = 2000) -> pa.Table:
    """Return means over folds with 95 % percentile intervals over test patients.

    One set of draws serves all folds, compositions and trials, so that the difference
    of two of them is of the same patients. A metric that a draw leaves undefined (AUROC of
    patients with one class) is left out of its interval.

    Args:
        strata: rows of `FoldDetails.strata` with a column `trial`, of folds that test the
            same patients (protocol `inter_patient`); rows of other strata are not read.
        seed: of the draws.
        draws: how many, at least 1.

    Returns:
        A table of `SCHEMA`, a row per trial, epoch rule, composition and latent form, in
        the order of `strata`.

    Raises:
        ValueError: folds with different patients.
    """
    frame = strata.select([*KEYS, "fold", "stratum", "value", *COUNTS]).to_pandas()
    frame = frame[frame["stratum"] == "patient"]
    if frame.empty:
        return SCHEMA.empty_table()
    names, patient = np.unique(frame["value"].to_numpy(dtype=str), return_inverse=True)
    frame = frame.assign(patient=patient)
    weights = draw_patients(len(names), seed, draws)
    rows = [
        dict(zip(KEYS, key, strict=True)) | metrics
        for key, metrics in _metrics(frame, len(names), weights)
    ]
    return pa.Table.from_pylist(
        [row | {"patients": len(names), "draws": draws} for row in rows], schema=SCHEMA
    )


def draw_patients(patients: int, seed: int, draws: int) -> Float:
    """Return `(1 + draws, patients)` how often each is in the test set and in each draw.

    The first row is the test set itself: every patient once.
    """
    random = np.random.default_rng(seed)
    drawn = random.multinomial(patients, np.full(patients, 1 / patients), size=draws)
    return np.concatenate([np.ones((1, patients)), drawn])


def _metrics(
    frame: pd.DataFrame, patients: int, weights: Float
) -> Iterator[tuple[Any, dict[str, float]]]:
    """Yield the metrics, with their ends, of each trial, rule, composition and form."""
    for key, rows in frame.groupby(list(KEYS), sort=False):
        yield key, _intervals(weights, _counts(key, rows, patients))


def _counts(key: Any, rows: pd.DataFrame, patients: int) -> Float:
    """Return `(4, patients, folds)` normal, abnormal, false alarms and hits."""
    folds, fold = np.unique(rows["fold"].to_numpy(), return_inverse=True)
    num_rows = np.zeros((patients, len(folds)), dtype=np.int64)
    np.add.at(num_rows, (rows["patient"].to_numpy(), fold), 1)
    if (num_rows != 1).any():
        raise ValueError(
            f"each of {patients} patients must have one row in each fold of"
            f" {' '.join(filter(None, key))}, found {num_rows.min()} to {num_rows.max()}"
        )
    counts = np.empty((len(COUNTS), patients, len(folds)))
    counts[:, rows["patient"].to_numpy(), fold] = rows[list(COUNTS)].to_numpy().T
    return counts


def _intervals(weights: Float, counts: Float) -> dict[str, float]:
    confusion = Confusion(*(weights @ counts))  # each (1 + draws, folds)
    intervals: dict[str, float] = {}
    for metric in PATIENT_METRICS:
        mean: Float = getattr(confusion, metric).mean(axis=1)
        low, high = _ends(mean[1:])
        intervals |= {
            metric: float(mean[0]),
            f"{metric}_patient_low": low,
            f"{metric}_patient_high": high,
        }
    return intervals


def _ends(drawn: Float) -> tuple[float, float]:
    defined = drawn[~np.isnan(drawn)]
    if not len(defined):
        return float("nan"), float("nan")
    low, high = np.quantile(defined, ENDS)
    return float(low), float(high)
