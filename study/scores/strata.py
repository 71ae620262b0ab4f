"""Decisions of one composition, counted by stratum.

A stratum is a class, a symbol or a patient: what one number over all test samples hides.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from study.scores.components import Float
from study.scores.decisions import Decisions

RANKED = ("kind", "symbol")
"""Strata whose abnormal samples are ranked among all normal ones."""


@dataclass(frozen=True)
class Division:
    """Test samples divided by one property.

    Attributes:
        values: `(v,)` distinct, sorted.
        code: `(n,)` index of each sample's value in `values`.
    """

    values: npt.NDArray[np.str_]
    code: npt.NDArray[np.int64]


@dataclass(frozen=True)
class StratumRow:
    """Samples of one value of one stratum.

    Attributes:
        stratum: `kind`, `symbol` or `patient`.
        value: the class, symbol or patient.
        normal: its normal samples.
        abnormal: its abnormal samples.
        false_alarms: normal samples predicted abnormal.
        hits: abnormal samples predicted abnormal.
        auroc: of its abnormal samples against all normal test samples, in [0, 1]; nan
            if it or the test set lacks them, and for patients.
    """

    stratum: str
    value: str
    normal: int
    abnormal: int
    false_alarms: int
    hits: int
    auroc: float


def divide(strata: Mapping[str, npt.NDArray[np.str_]]) -> dict[str, Division]:
    """Divide samples by each stratum, `(n,)` by name, once for all compositions."""
    return {
        name: Division(*np.unique(values, return_inverse=True)) for name, values in strata.items()
    }


def strata_rows(decisions: Decisions, divisions: Mapping[str, Division]) -> list[StratumRow]:
    """Count decisions by the values of each stratum.

    Args:
        decisions: of `n` test samples.
        divisions: of the same samples, by the stratum's name.

    Returns:
        A row per stratum, in their order, and value, sorted.

    Raises:
        ValueError: a stratum of another length.
    """
    below = _normals_below(decisions) if any(name in RANKED for name in divisions) else None
    return [
        row
        for name, division in divisions.items()
        for row in _stratum_rows(decisions, name, division, below if name in RANKED else None)
    ]


def _stratum_rows(
    decisions: Decisions, stratum: str, division: Division, below: Float | None
) -> list[StratumRow]:
    code, size = division.code, len(division.values)
    if len(code) != len(decisions.label):
        raise ValueError(
            f"stratum {stratum} has {len(code)} samples, the decisions {len(decisions.label)}"
        )
    # Four cells of each value: label and prediction.
    cell = code * 4 + (decisions.label == 1) * 2 + (decisions.prediction == 1)
    cells = np.bincount(cell, minlength=size * 4).reshape(size, 2, 2)
    samples, predicted = cells.sum(axis=2), cells[:, :, 1]
    auroc = np.full(size, np.nan)
    if below is not None:
        pairs = samples[:, 1] * np.count_nonzero(decisions.label == 0)
        ordered_pairs = np.bincount(code, weights=below, minlength=size)
        np.divide(ordered_pairs, pairs, out=auroc, where=pairs > 0)
    columns = (division.values, *samples.T, *predicted.T, auroc)
    values = zip(*(column.tolist() for column in columns), strict=True)
    return [StratumRow(stratum, *row) for row in values]


def _normals_below(decisions: Decisions) -> Float:
    """Return `(n,)` normal samples below each abnormal one, equal ones half; 0 for normals."""
    abnormal = decisions.label == 1
    normal_scores, scores = np.sort(decisions.score[~abnormal]), decisions.score[abnormal]
    below = np.zeros(len(abnormal))
    lower = normal_scores.searchsorted(scores, "left")
    lower_or_equal = normal_scores.searchsorted(scores, "right")
    below[abnormal] = (lower + lower_or_equal) / 2
    return below
