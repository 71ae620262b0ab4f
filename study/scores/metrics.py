"""What is measured of one composition on one split."""

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
        precision: abnormal among those called abnormal, in [0, 1].
        recall: called abnormal among the abnormal, in [0, 1].
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

    What would divide by zero is 0 (precision without calls, F1 of a class that is
    neither present nor called, phi of a constant answer). With labels of one class
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
    from sklearn.metrics import matthews_corrcoef, precision_recall_fscore_support

    precision, recall, f1, support = precision_recall_fscore_support(
        label, prediction, labels=[0, 1], zero_division=0
    )
    auroc, auroc_labels, auprc = _areas(label, score, prediction)
    return Metrics(
        f1_weighted=float(np.average(f1, weights=support)),
        f1_anomaly=float(f1[1]),
        f1_macro=float(np.mean(f1)),
        precision=float(precision[1]),
        recall=float(recall[1]),
        phi=float(matthews_corrcoef(label, prediction)) if np.ptp(prediction) else 0.0,
        auroc=auroc,
        auroc_labels=auroc_labels,
        auprc=auprc,
        prevalence=float(np.mean(label)),
        num_samples=len(label),
        f1_weighted_constant=constant_f1(label),
    )


def _areas(
    label: Label, score: Float, prediction: npt.NDArray[np.integer]
) -> tuple[float, float, float]:
    """Return AUROC of scores, AUROC of predictions, average precision of scores."""
    from sklearn.metrics import average_precision_score, roc_auc_score

    if label.min() == label.max():
        return float("nan"), float("nan"), float("nan")
    return (
        float(roc_auc_score(label, score)),
        float(roc_auc_score(label, prediction)),
        float(average_precision_score(label, score)),
    )


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
        if not np.isin(values, (0, 1)).all():
            raise ValueError(f"{name} must be 0 or 1, found {np.unique(values)[:5]}")
