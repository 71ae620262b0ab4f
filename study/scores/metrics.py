"""Metrics of one composition on one split."""

import math
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from study.scores.components import Float, Label
from study.scores.settings import METRIC_NAMES
from study.scores.thresholds import constant_f1


@dataclass(frozen=True)
class Metrics:
    """Metrics of the predictions and of the scores of one split.

    Attributes:
        f1_weighted: F1 of both classes weighted by their samples (the paper's), in [0, 1].
        f1_anomaly: F1 of the abnormal class, in [0, 1].
        f1_macro: plain mean of both classes' F1, in [0, 1].
        precision: abnormal among those predicted abnormal, in [0, 1].
        recall: predicted abnormal among the abnormal, in [0, 1].
        phi: Matthews correlation, in [-1, 1].
        auroc: area under the ROC curve of the continuous score, in [0, 1].
        auroc_labels: the same of the hard labels, i.e. balanced accuracy (the paper's).
        auprc: average precision of the continuous score, in [0, 1].
        prevalence: share of abnormal samples, in [0, 1].
        num_samples: number of samples.
        f1_weighted_constant: weighted F1 of the better constant answer, in [0, 1].
    """

    f1_weighted: float
    f1_anomaly: float
    f1_macro: float
    precision: float
    recall: float
    phi: float
    auroc: float
    auroc_labels: float
    auprc: float
    prevalence: float
    num_samples: int
    f1_weighted_constant: float

    @classmethod
    def undefined(cls, label: Label) -> Self:
        """Return metrics without numbers, save those that the labels alone decide."""
        nan = float("nan")
        return cls(
            **dict.fromkeys(METRIC_NAMES, nan),
            prevalence=float(np.mean(label)) if len(label) else nan,
            num_samples=len(label),
            f1_weighted_constant=constant_f1(label) if len(label) else nan,
        )


def compute_metrics(label: Label, score: Float, prediction: npt.NDArray[np.integer]) -> Metrics:
    """Measure predictions and scores against labels.

    What would divide by zero is 0 (precision without abnormal predictions, F1 of a class
    that is neither present nor predicted, phi of a constant answer). With labels of one class
    `auroc`, `auroc_labels` and `auprc` are nan; with a constant score `auroc` is 0.5.

    Args:
        label: `(n,)` 0 or 1, n >= 1.
        score: `(n,)` finite, higher is more abnormal.
        prediction: `(n,)` 0 or 1.

    Raises:
        ValueError: shapes that differ, no samples, scores that are not finite, or
            labels or predictions other than 0 and 1.
    """
    _require_measurable(label, score, prediction)
    counts = _count(label, prediction)
    both = counts.abnormal > 0 and counts.normal > 0
    curve = threshold_curve(label, score) if both else None
    nan = float("nan")
    return Metrics(
        f1_weighted=counts.f1_weighted,
        f1_anomaly=counts.f1_anomaly,
        f1_macro=(counts.f1_normal + counts.f1_anomaly) / 2,
        precision=_share(counts.hits, counts.predicted),
        recall=_share(counts.hits, counts.abnormal),
        phi=counts.phi,
        auroc=nan if curve is None else _roc_area(*curve),
        auroc_labels=_roc_area(*counts.curve()) if both else nan,
        auprc=nan if curve is None else _average_precision(*curve),
        prevalence=counts.abnormal / len(label),
        num_samples=len(label),
        f1_weighted_constant=constant_f1(label),
    )


def constant_metric(label: Label, name: str) -> float:
    """Return a metric of the better of the two constant answers; nan if it is not defined.

    Args:
        label: `(n,)` 0 or 1, n >= 1.
        name: one of `METRIC_NAMES`.
    """
    score = np.zeros(len(label))
    answers = (np.full(len(label), answer, dtype=np.int8) for answer in (0, 1))
    return max(float(getattr(compute_metrics(label, score, each), name)) for each in answers)


def predicted_f1(label: Label, prediction: npt.NDArray[np.integer]) -> float:
    """Return `Metrics.f1_weighted` alone.

    Args:
        label: `(n,)` 0 or 1, n >= 1.
        prediction: `(n,)` 0 or 1.
    """
    return _count(label, prediction).f1_weighted


# Counts, curves and areas are taken step by step as scikit-learn takes them, so that
# every number is its number to the last bit. Its functions check and convert their
# input anew at each call, which for a thousand samples costs forty times the work.


@dataclass(frozen=True)
class _Counts:
    """The confusion matrix.

    Attributes:
        abnormal: abnormal samples.
        normal: normal samples.
        predicted: samples predicted abnormal.
        hits: abnormal samples predicted abnormal.
    """

    abnormal: int
    normal: int
    predicted: int
    hits: int

    @property
    def correct_normal(self) -> int:
        return self.normal - (self.predicted - self.hits)

    @property
    def f1_anomaly(self) -> float:
        return _share(2 * self.hits, self.abnormal + self.predicted)

    @property
    def f1_normal(self) -> float:
        predicted_normal = self.abnormal + self.normal - self.predicted
        return _share(2 * self.correct_normal, self.normal + predicted_normal)

    @property
    def f1_weighted(self) -> float:
        total = self.f1_normal * self.normal + self.f1_anomaly * self.abnormal
        return total / (self.normal + self.abnormal)

    @property
    def phi(self) -> float:
        n = self.abnormal + self.normal
        predicted_normal = n - self.predicted
        # Whole numbers: exact, where products of floats would round or overflow.
        covariance = (self.correct_normal + self.hits) * n - (
            self.normal * predicted_normal + self.abnormal * self.predicted
        )
        predicted = n**2 - (predicted_normal**2 + self.predicted**2)
        actual = n**2 - (self.normal**2 + self.abnormal**2)
        scale = float(predicted) * float(actual)
        return float(covariance) / math.sqrt(scale) if scale else 0.0

    def curve(self) -> tuple[Float, Float]:
        """Return the ROC curve of the predictions taken as scores."""
        return (
            np.array([self.predicted - self.hits, self.normal], dtype=np.float64),
            np.array([self.hits, self.abnormal], dtype=np.float64),
        )


def _count(label: Label, prediction: npt.NDArray[np.integer]) -> _Counts:
    abnormal = int(np.count_nonzero(label))
    return _Counts(
        abnormal=abnormal,
        normal=len(label) - abnormal,
        predicted=int(np.count_nonzero(prediction)),
        hits=int(np.count_nonzero(label & prediction)),
    )


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0


def threshold_curve(label: Label, score: Float) -> tuple[Float, Float]:
    """Return false and true positives, `(t,)` float64 each, at falling distinct scores.

    Args:
        label: `(n,)` 0 or 1, n >= 1.
        score: `(n,)` finite.
    """
    order = np.argsort(score)[::-1]
    ordered = score[order]
    # Equal scores have one prediction: a threshold lies only where the score changes.
    last = np.append(np.flatnonzero(ordered[1:] != ordered[:-1]), len(score) - 1)
    hits = np.cumsum(label[order], dtype=np.float64)[last]
    return 1 + last - hits, hits


def _roc_area(false_positives: Float, true_positives: Float) -> float:
    """Return the area under the ROC curve by trapezoids, from (0, 0)."""
    if len(false_positives) > 2:
        corner = (np.diff(false_positives, 2) != 0) | (np.diff(true_positives, 2) != 0)
        kept = np.concatenate([[True], corner, [True]])
        false_positives, true_positives = false_positives[kept], true_positives[kept]
    x = np.concatenate([[0.0], false_positives]) / false_positives[-1]
    y = np.concatenate([[0.0], true_positives]) / true_positives[-1]
    return float(np.trapezoid(y, x))


def _average_precision(false_positives: Float, true_positives: Float) -> float:
    """Return the mean of precision over steps of recall."""
    # From the last threshold to the first: a sum's last bit depends on its order.
    precision = (true_positives / (true_positives + false_positives))[::-1]
    recall = np.append((true_positives / true_positives[-1])[::-1], 0.0)
    return max(0.0, -float(np.sum(np.diff(recall) * precision)))


def _require_measurable(label: Label, score: Float, prediction: npt.NDArray[np.integer]) -> None:
    if not (label.ndim == 1 and label.shape == score.shape == prediction.shape):
        raise ValueError(
            "label, score and prediction must be one-dimensional and equally long, found "
            f"{label.shape}, {score.shape} and {prediction.shape}"
        )
    if not len(label):
        raise ValueError("metrics need at least one sample, found none")
    if not np.isfinite(score).all():
        raise ValueError("scores must be finite")
    for name, values in (("labels", label), ("predictions", prediction)):
        if not ((values == 0) | (values == 1)).all():
            raise ValueError(f"{name} must be 0 or 1, found {np.unique(values)[:5]}")
