"""Support vector machines, fitted by scikit-learn and kept as plain arrays.

Plain arrays can be stored without a pickle and applied without scikit-learn.
Section III.B, "Criterion Weights".
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from study.scores.components import CompositionError, Float, Label
from study.scores.settings import ScoreSettings

Kernel = Literal["rbf", "linear"]

# Kernel values held at once while scoring, 16 MB.
_CHUNK_VALUES = 2**21
_FIT_CACHE_MB = 500


@dataclass(frozen=True)
class SupportVectors:
    """A fitted machine; positive decisions are abnormal.

    Attributes:
        vectors: `(s, m)` support vectors.
        dual_coefficients: `(s,)` signed multipliers.
        intercept: offset of the decision.
        kernel: `rbf`, exp(-gamma ||x - v||^2), or `linear`, x . v.
        kernel_gamma: the RBF kernel's gamma; nan for `linear`.
    """

    vectors: Float
    dual_coefficients: Float
    intercept: float
    kernel: Kernel
    kernel_gamma: float

    def decision(self, columns: Float) -> Float:
        """Return the decision function of `columns`, `(n, m)`, as `(n,)` float64."""
        if self.kernel == "linear":
            weights = self.dual_coefficients @ self.vectors
            return np.asarray(columns @ weights + self.intercept)
        result = np.empty(len(columns))
        step = max(1, _CHUNK_VALUES // max(1, len(self.vectors)))
        for start in range(0, len(columns), step):
            part = slice(start, start + step)
            result[part] = self._rbf(columns[part]) @ self.dual_coefficients + self.intercept
        return result

    def _rbf(self, columns: Float) -> Float:
        # Differences, not norms and products: nothing cancels, nothing is inf - inf.
        distance = np.zeros((len(columns), len(self.vectors)))
        for column, vector in zip(columns.T, self.vectors.T, strict=True):
            distance += np.square(column[:, None] - vector[None, :])
        distance *= -self.kernel_gamma
        return np.exp(distance, out=distance)


def fit_support_vectors(
    columns: Float, label: Label, kernel: Kernel, settings: ScoreSettings
) -> SupportVectors:
    """Fit scikit-learn's SVC; without probabilities it draws nothing at random.

    Args:
        columns: `(n, m)` scaled components.
        label: `(n,)` 0 or 1, both present.
        kernel: `rbf` (the paper's) or `linear`.
        settings: C and the kernel's gamma.

    Raises:
        CompositionError: one class only.
    """
    num_abnormal = int(np.count_nonzero(label))
    if not 0 < num_abnormal < len(label):
        raise CompositionError(
            "both classes are needed for a support vector machine, found "
            f"{len(label) - num_abnormal} normal and {num_abnormal} abnormal"
        )
    from sklearn.svm import SVC

    gamma = _kernel_gamma(columns, settings.svm_gamma)
    machine = SVC(C=settings.svm_c, kernel=kernel, gamma=gamma, cache_size=_FIT_CACHE_MB)
    machine.fit(columns, label)
    return SupportVectors(
        vectors=np.array(machine.support_vectors_, dtype=np.float64),
        dual_coefficients=np.array(machine.dual_coef_[0], dtype=np.float64),
        intercept=float(machine.intercept_[0]),
        kernel=kernel,
        kernel_gamma=gamma if kernel == "rbf" else float("nan"),
    )


def _kernel_gamma(columns: Float, gamma: str | float) -> float:
    """Return scikit-learn's `scale` and `auto` as the number that they stand for."""
    if gamma == "auto":
        return 1.0 / int(columns.shape[1])
    if gamma == "scale":
        variance = float(columns.var())
        return 1.0 / (int(columns.shape[1]) * variance) if variance > 0 else 1.0
    return float(gamma)
