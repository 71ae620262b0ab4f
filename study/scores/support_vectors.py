"""Support vector machines, fitted and kept as plain arrays.

scikit-learn fits them exactly; landmarks do it faster, and nearly the same. Plain arrays
can be stored without a pickle and applied without scikit-learn. Section III.B,
"Criterion Weights".
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from study.scores.components import CompositionError, Float, Label
from study.scores.kernels import rbf_chunks
from study.scores.nystroem import HingeLoss, fit_landmarks, fit_linear
from study.scores.settings import ScoreSettings
from study.scores.thresholds import normal_weight

Kernel = Literal["rbf", "linear"]

_FIT_CACHE_MB = 500
# Of a decision on a sample of the fit, whose margin is 1.
_LARGEST_ERROR = 0.1


@dataclass(frozen=True)
class SupportVectors:
    """A fitted machine; positive decisions are abnormal.

    Attributes:
        vectors: `(s, m)` support vectors, or landmarks instead of them.
        dual_coefficients: `(s,)` signed multipliers.
        intercept: offset of the decision.
        kernel: `rbf`, exp(-gamma ||x - v||^2), or `linear`, x . v.
        kernel_gamma: the RBF kernel's gamma; nan for `linear`.
        support: `(s,)` which of the samples that it was fitted on are `vectors`, where all
            others lie on their own side; None where nothing says so, as of landmarks.
    """

    vectors: Float
    dual_coefficients: Float
    intercept: float
    kernel: Kernel
    kernel_gamma: float
    support: npt.NDArray[np.int64] | None = None

    def decision(self, columns: Float) -> Float:
        """Return the decision function of `columns`, `(n, m)`, as `(n,)` float64."""
        if self.kernel == "linear":
            weights = self.dual_coefficients @ self.vectors
            return np.asarray(columns @ weights + self.intercept)
        result = np.empty(len(columns))
        for rows, kernel in rbf_chunks(columns, self.vectors, self.kernel_gamma):
            result[rows] = kernel @ self.dual_coefficients + self.intercept
        return result


def fit_support_vectors(
    columns: Float, label: Label, kernel: Kernel, settings: ScoreSettings
) -> SupportVectors:
    """Fit a machine by the solver of the settings; neither draws anything at random.

    Args:
        columns: `(n, m)` scaled components.
        label: `(n,)` 0 or 1, both present.
        kernel: `rbf` (the paper's) or `linear`.
        settings: solver, C, the kernel's gamma, and the prevalence that classes count by.

    Raises:
        CompositionError: one class only, or a solver that does not converge.
    """
    num_abnormal = int(np.count_nonzero(label))
    if not 0 < num_abnormal < len(label):
        raise CompositionError(
            "both classes are needed for a support vector machine, found "
            f"{len(label) - num_abnormal} normal and {num_abnormal} abnormal"
        )
    gamma = _kernel_gamma(columns, settings.svm_gamma)
    loss = HingeLoss(settings.svm_c, _weights(label, settings.prevalence))
    if settings.svm_solver == "exact":
        return _fit_exact(columns, label, kernel, loss, gamma)
    return _fit_on_landmarks(columns, label, kernel, loss, gamma)


def _weights(label: Label, prevalence: float | None) -> Float | None:
    """Return `(n,)` weights of the samples, 1 in the mean; None where all are 1."""
    if prevalence is None:
        return None
    weights = np.where(label == 0, normal_weight(label, prevalence), 1.0)
    return np.asarray(weights / weights.mean())


def _fit_exact(
    columns: Float, label: Label, kernel: Kernel, loss: HingeLoss, gamma: float
) -> SupportVectors:
    from sklearn import config_context
    from sklearn.svm import SVC

    machine = SVC(C=loss.penalty, kernel=kernel, gamma=gamma, cache_size=_FIT_CACHE_MB)
    # Checked already; for a thousand samples the checks cost as much as the scoring.
    with config_context(assume_finite=True, skip_parameter_validation=True):
        machine.fit(columns, label, loss.weights)
    if machine.fit_status_ != 0:
        raise CompositionError(
            f"the support vector machine did not converge in {int(machine.n_iter_[0])} steps"
        )
    dual_coefficients = np.array(machine.dual_coef_[0], dtype=np.float64)
    # libsvm's kernel is float32: multipliers so large that decisions err by a margin say nothing.
    error = float(np.abs(dual_coefficients).sum() * np.finfo(np.float32).eps)
    return SupportVectors(
        vectors=np.array(machine.support_vectors_, dtype=np.float64),
        dual_coefficients=dual_coefficients,
        intercept=float(machine.intercept_[0]),
        kernel=kernel,
        kernel_gamma=gamma if kernel == "rbf" else float("nan"),
        support=machine.support_.astype(np.int64) if error < _LARGEST_ERROR else None,
    )


def _fit_on_landmarks(
    columns: Float, label: Label, kernel: Kernel, loss: HingeLoss, gamma: float
) -> SupportVectors:
    if kernel == "linear":
        weights, intercept = fit_linear(columns, label, loss)
        # The unit vectors: w . x is sum_j w_j (x . e_j).
        axes = np.eye(columns.shape[1])
        return SupportVectors(axes, weights, intercept, kernel, float("nan"))
    landmarks, coefficients, intercept = fit_landmarks(columns, label, loss, gamma)
    return SupportVectors(landmarks, coefficients, intercept, kernel, gamma)


def _kernel_gamma(columns: Float, gamma: str | float) -> float:
    """Return the kernel's gamma as a number, `scale` and `auto` as scikit-learn has them."""
    if gamma == "auto":
        return 1.0 / int(columns.shape[1])
    if gamma == "scale":
        variance = float(columns.var())
        return 1.0 / (int(columns.shape[1]) * variance) if variance > 0 else 1.0
    return float(gamma)
