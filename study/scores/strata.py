"""Decisions of one composition, counted by stratum and weighed to other prevalences.

A stratum is a class, a symbol or a patient: what one number over all test samples hides.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from study.scores.components import Float, Label

RANKED = ("kind", "symbol")
"""Strata whose abnormal samples are ranked among all normal ones."""

PREVALENCES = (None, 0.01, 0.05, 0.17, 0.5)
"""Shares of abnormal samples that metrics are stated at; None is the test set's own."""


@dataclass(frozen=True)
class Decisions:
    """What a composition says of the test samples of one fold.

    Attributes:
        label: `(n,)` 0 normal, 1 abnormal.
        score: `(n,)` finite, higher is more abnormal.
        prediction: `(n,)` 0 or 1.

    Raises:
        ValueError: shapes that differ.
    """

    label: Label
    score: Float
    prediction: Label

    def __post_init__(self) -> None:
        if not (self.label.ndim == 1 and self.label.shape == self.score.shape):
            raise ValueError(f"found labels {self.label.shape} for scores {self.score.shape}")
        if self.label.shape != self.prediction.shape:
            raise ValueError(
                f"found labels {self.label.shape} for predictions {self.prediction.shape}"
            )


@dataclass(frozen=True)
class Division:
    """Test samples divided by one property.

    Attributes:
        values: `(v,)` what occurs, sorted.
        code: `(n,)` each sample's place in `values`.
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
        false_alarms: normal samples called abnormal.
        hits: abnormal samples called abnormal.
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


@dataclass(frozen=True)
class PrevalenceRow:
    """Metrics as they would be at a stated share of abnormal samples.

    Attributes:
        without_kind: class whose samples are left out; "" for none.
        prevalence: the share, in [0, 1]; nan if no sample is left.
        own_prevalence: whether that is the share of the samples themselves.
        f1_weighted: as in `Metrics`, like all that follow.
        f1_anomaly: F1 of the abnormal class.
        precision: abnormal among those called abnormal.
        recall: called abnormal among the abnormal; no prevalence changes it.
        phi: Matthews correlation.
        auprc: average precision of the score; nan with one class.
        f1_weighted_constant: weighted F1 of the better constant answer.
    """

    without_kind: str
    prevalence: float
    own_prevalence: bool
    f1_weighted: float
    f1_anomaly: float
    precision: float
    recall: float
    phi: float
    auprc: float
    f1_weighted_constant: float


@dataclass(frozen=True)
class Confusion:
    """Confusion matrices: counts, or sums of weights, of any one shape.

    What would divide by zero is 0, as in `compute_metrics`; what is unknown stays nan.

    Attributes:
        normal: normal samples.
        abnormal: abnormal samples.
        false_alarms: normal samples called abnormal.
        hits: abnormal samples called abnormal.
    """

    normal: Float
    abnormal: Float
    false_alarms: Float
    hits: Float

    @property
    def called(self) -> Float:
        """Samples called abnormal."""
        return self.false_alarms + self.hits

    @property
    def called_normal(self) -> Float:
        """Samples called normal."""
        return (self.normal - self.false_alarms) + (self.abnormal - self.hits)

    @property
    def precision(self) -> Float:
        """Abnormal among those called abnormal."""
        return _share(self.hits, self.called)

    @property
    def recall(self) -> Float:
        """Called abnormal among the abnormal."""
        return _share(self.hits, self.abnormal)

    @property
    def f1_anomaly(self) -> Float:
        """F1 of the abnormal class."""
        return _share(2 * self.hits, self.abnormal + self.called)

    @property
    def f1_weighted(self) -> Float:
        """F1 of both classes, weighted by their samples."""
        correct_normal = self.normal - self.false_alarms
        f1_normal = _share(2 * correct_normal, self.normal + self.called_normal)
        total = self.normal * f1_normal + self.abnormal * self.f1_anomaly
        return _share(total, self.normal + self.abnormal)

    @property
    def phi(self) -> Float:
        """Matthews correlation."""
        missed = self.abnormal - self.hits
        covariance = self.hits * (self.normal - self.false_alarms) - self.false_alarms * missed
        scale = self.called * self.called_normal * self.normal * self.abnormal
        return _share(covariance, np.sqrt(scale))

    @property
    def auroc_labels(self) -> Float:
        """Balanced accuracy; nan with one class."""
        both = np.where(self.normal * self.abnormal > 0, 1.0, np.nan)
        correct = _share(self.normal - self.false_alarms, self.normal)
        return both * (self.recall + correct) / 2

    def constant(self, answer: int) -> "Confusion":
        """Return what a constant answer, 0 or 1, would make of the same samples."""
        return Confusion(self.normal, self.abnormal, self.normal * answer, self.abnormal * answer)


def divide(strata: Mapping[str, npt.NDArray[np.str_]]) -> dict[str, Division]:
    """Divide samples by each stratum, `(n,)` by name, once for all compositions."""
    return {
        name: Division(*np.unique(values, return_inverse=True)) for name, values in strata.items()
    }


def strata_rows(
    decisions: Decisions, strata: Mapping[str, npt.NDArray[np.str_]]
) -> list[StratumRow]:
    """Count decisions by the values of each stratum.

    Args:
        decisions: of `n` test samples.
        strata: `(n,)` each sample's value, by the stratum's name.

    Returns:
        A row per stratum, in their order, and value, sorted.

    Raises:
        ValueError: a stratum of another length.
    """
    return division_rows(decisions, divide(strata))


def division_rows(decisions: Decisions, divisions: Mapping[str, Division]) -> list[StratumRow]:
    """Return `strata_rows` of strata that are divided already."""
    below = _normals_below(decisions) if any(name in RANKED for name in divisions) else None
    return [
        row
        for name, division in divisions.items()
        for row in _rows(decisions, name, division, below if name in RANKED else None)
    ]


def prevalence_rows(
    decisions: Decisions,
    kind: npt.NDArray[np.str_],
    without: str | None,
    prevalences: Sequence[float | None] = PREVALENCES,
) -> list[PrevalenceRow]:
    """Measure decisions as they would be at stated prevalences.

    Nothing is drawn: each class is weighted so that the share of abnormal samples is the
    stated one, which is what test sets of that share have in expectation.

    Args:
        decisions: of `n` test samples.
        kind: `(n,)` each sample's class.
        without: class whose samples are left out, None for none.
        prevalences: shares in (0, 1), None for the samples' own.

    Returns:
        A row per prevalence, in their order. With one class only, stated prevalences
        have no numbers.

    Raises:
        ValueError: a prevalence that is not in (0, 1).
    """
    if any(share is not None and not 0 < share < 1 for share in prevalences):
        raise ValueError(f"prevalences must be in (0, 1), found {tuple(prevalences)}")
    kept = np.full(len(kind), True) if without is None else kind != without
    label, prediction = decisions.label[kept], decisions.prediction[kept]
    counts = np.array([(label == 0).sum(), (label == 1).sum()], dtype=np.float64)
    called = np.array([((label == value) & (prediction == 1)).sum() for value in (0, 1)])
    weights = _class_weights(counts, prevalences)
    confusion = Confusion(*(weights * counts).T, *(weights * called).T)
    constant = np.maximum(confusion.constant(0).f1_weighted, confusion.constant(1).f1_weighted)
    columns = [
        confusion.f1_weighted,
        confusion.f1_anomaly,
        confusion.precision,
        confusion.recall,
        confusion.phi,
        _average_precision(label, decisions.score[kept], weights),
        constant,
    ]
    own = counts[1] / len(label) if len(label) else np.nan
    return [
        PrevalenceRow(without or "", float(own) if share is None else share, share is None, *row)
        for share, row in zip(prevalences, np.stack(columns, axis=1).tolist(), strict=True)
    ]


def _share(part: Float, whole: Float) -> Float:
    return np.divide(part, whole, out=np.zeros(np.shape(whole)), where=whole != 0)


def _normals_below(decisions: Decisions) -> Float:
    """Return `(n,)` normal samples below each abnormal one, equal ones half; 0 for normals."""
    abnormal = decisions.label == 1
    normals, asked = np.sort(decisions.score[~abnormal]), decisions.score[abnormal]
    below = np.zeros(len(abnormal))
    sides = normals.searchsorted(asked, "left"), normals.searchsorted(asked, "right")
    below[abnormal] = (sides[0] + sides[1]) / 2
    return below


def _rows(
    decisions: Decisions, stratum: str, division: Division, below: Float | None
) -> list[StratumRow]:
    code, size = division.code, len(division.values)
    if len(code) != len(decisions.label):
        raise ValueError(
            f"stratum {stratum} has {len(code)} samples, the decisions {len(decisions.label)}"
        )
    # Four cells of each value: normal or abnormal, called or not.
    cell = code * 4 + (decisions.label == 1) * 2 + (decisions.prediction == 1)
    cells = np.bincount(cell, minlength=size * 4).reshape(size, 2, 2)
    samples, called = cells.sum(axis=2), cells[:, :, 1]
    auroc = np.full(size, np.nan)
    if below is not None:
        pairs = samples[:, 1] * np.count_nonzero(decisions.label == 0)
        won = np.bincount(code, weights=below, minlength=size)
        np.divide(won, pairs, out=auroc, where=pairs > 0)
    columns = (division.values, samples[:, 0], samples[:, 1], called[:, 0], called[:, 1], auroc)
    values = zip(*(column.tolist() for column in columns), strict=True)
    return [StratumRow(stratum, *row) for row in values]


def _class_weights(counts: Float, prevalences: Sequence[float | None]) -> Float:
    """Return `(p, 2)` weights of a normal and of an abnormal sample; nan with one class."""
    if not counts.all():
        return np.array([[1.0 if share is None else np.nan] * 2 for share in prevalences])
    size = counts.sum()
    return np.array(
        [
            (1.0, 1.0) if share is None else ((1 - share) * size, share * size) / counts
            for share in prevalences
        ]
    )


def _average_precision(label: Label, score: Float, weights: Float) -> Float:
    """Return `(p,)` average precision by class weights `(p, 2)`, from one sort."""
    if not 0 < np.count_nonzero(label) < len(label):
        return np.full(len(weights), np.nan)
    order = np.argsort(score)[::-1]
    ordered = score[order]
    # Equal scores are called together: a threshold lies only where the score changes.
    last = np.append(np.flatnonzero(ordered[1:] != ordered[:-1]), len(score) - 1)
    hits = np.cumsum(label[order], dtype=np.int64)[last]
    gained = np.diff(hits, prepend=0)
    last, hits, gained = (values[gained > 0] for values in (last, hits, gained))
    alarms = last + 1 - hits
    areas = [
        np.sum(abnormal * hits / (abnormal * hits + normal * alarms) * gained)
        for normal, abnormal in weights
    ]
    return np.array(areas, dtype=np.float64) / float(hits[-1])
