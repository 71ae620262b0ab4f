"""The models as PyOD detectors (Zhao, Nasrullah and Li 2019): larger is more abnormal."""

from typing import Any, Self

import numpy as np
import numpy.typing as npt
from pyod.models.base import BaseDetector
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

from study.estimators import ModelDetector


class PyODDetector(BaseDetector):
    """An estimator of `study.estimators` by PyOD's convention.

    `predict` gives 0 for inliers and 1 for outliers, `decision_function` is larger for
    more abnormal samples; PyOD itself adds probabilities, confidences and rejection.

    Args:
        detector: what is fitted; it is cloned, and its own contamination does not count.
        contamination: share of the training samples that is outside, in (0, 0.5].

    Attributes:
        detector_: the fitted estimator.
        decision_scores_: `(n,)` scores of the training samples.
        threshold_: scores above it are outliers.
        labels_: `(n,)` 0 or 1, of the training samples.
    """

    def __init__(self, detector: ModelDetector, contamination: float = 0.1) -> None:
        super().__init__(contamination=contamination)
        self.detector = detector

    def fit(self, X: npt.ArrayLike, y: Any = None) -> Self:  # noqa: N803
        """Train on normal samples `(n, features)`; `y` is not read."""
        self._set_n_classes(None)
        self.detector_ = clone(self.detector).fit(X)
        self.decision_scores_ = self._scores(X)
        self._process_decision_scores()
        return self

    def decision_function(self, X: npt.ArrayLike) -> npt.NDArray[np.float64]:  # noqa: N803
        """Return `(n,)` scores; larger is more abnormal."""
        check_is_fitted(self, ["detector_", "decision_scores_", "threshold_", "labels_"])
        return self._scores(X)

    def _scores(self, X: npt.ArrayLike) -> npt.NDArray[np.float64]:  # noqa: N803
        scores: npt.NDArray[np.float64] = -self.detector_.score_samples(X)
        return scores
