"""Confusion matrices of any one shape, and their metrics."""

from dataclasses import dataclass

import numpy as np

from study.scores.components import Float


@dataclass(frozen=True)
class Confusion:
    """Confusion matrices: counts, or sums of weights, of any one shape.

    What would divide by zero is 0, as in `compute_metrics`; nan stays nan.

    Attributes:
        normal: normal samples.
        abnormal: abnormal samples.
        false_alarms: normal samples predicted abnormal.
        hits: abnormal samples predicted abnormal.
    """

    normal: Float
    abnormal: Float
    false_alarms: Float
    hits: Float

    @property
    def predicted_abnormal(self) -> Float:
        """Samples predicted abnormal."""
        return self.false_alarms + self.hits

    @property
    def predicted_normal(self) -> Float:
        """Samples predicted normal."""
        return (self.normal - self.false_alarms) + (self.abnormal - self.hits)

    @property
    def precision(self) -> Float:
        """Abnormal among those predicted abnormal."""
        return _share(self.hits, self.predicted_abnormal)

    @property
    def recall(self) -> Float:
        """Predicted abnormal among the abnormal."""
        return _share(self.hits, self.abnormal)

    @property
    def f1_anomaly(self) -> Float:
        """F1 of the abnormal class."""
        return _share(2 * self.hits, self.abnormal + self.predicted_abnormal)

    @property
    def f1_weighted(self) -> Float:
        """F1 of both classes, weighted by their samples."""
        correct_normal = self.normal - self.false_alarms
        f1_normal = _share(2 * correct_normal, self.normal + self.predicted_normal)
        total = self.normal * f1_normal + self.abnormal * self.f1_anomaly
        return _share(total, self.normal + self.abnormal)

    @property
    def phi(self) -> Float:
        """Matthews correlation."""
        missed = self.abnormal - self.hits
        covariance = self.hits * (self.normal - self.false_alarms) - self.false_alarms * missed
        scale = self.predicted_abnormal * self.predicted_normal * self.normal * self.abnormal
        return _share(covariance, np.sqrt(scale))

    @property
    def auroc_labels(self) -> Float:
        """Balanced accuracy; nan with one class."""
        both = np.where(self.normal * self.abnormal > 0, 1.0, np.nan)
        correct = _share(self.normal - self.false_alarms, self.normal)
        return both * (self.recall + correct) / 2

    def constant(self, prediction: int) -> "Confusion":
        """Return the matrices of a constant prediction, 0 or 1, for the same samples."""
        alarms, hits = self.normal * prediction, self.abnormal * prediction
        return Confusion(self.normal, self.abnormal, alarms, hits)


def _share(part: Float, whole: Float) -> Float:
    return np.divide(part, whole, out=np.zeros(np.shape(whole)), where=whole != 0)
