"""A support vector machine on a few landmarks: close to the exact one, and much faster.

The Gaussian kernel of two or three columns has a low rank. Landmarks are chosen by
pivoted incomplete Cholesky decomposition (Fine and Scheinberg 2001), whose residual is
the share of the kernel that they leave unexplained; the machine is the minimum of the same
objective as the exact one's over functions sum_j c_j k(x, v_j) + b of the landmarks v_j,
by Newton's method on a hinge loss with a rounded corner (Chapelle 2007).

Nothing is drawn at random: the same samples in the same order give the same machine.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import numpy.typing as npt

from study.scores.components import CompositionError, Float, Label
from study.scores.kernels import rbf, rbf_chunks

_LANDMARKS, _MOST_LANDMARKS = 256, 512
# Share of the kernel's trace: below the first no more landmarks are taken. The second is
# enough past `_LANDMARKS`, which five columns and more need, and above it the machine is
# refused. A share of 0.02 moves test F1 by 0.001.
_EXPLAINED = 1e-4
_UNEXPLAINED = 0.02
# Samples, evenly taken, for the choice of landmarks and for the first solution.
_CANDIDATES = 8192
_FIRST_SAMPLES = 4096
# Half widths of the hinge's rounded corner, from easy to sharp.
_FIRST_CORNERS = (2.0, 0.5, 0.1)
_CORNERS = (0.1, 0.02)
_NEWTON_STEPS = 100
_LINE_STEPS = 40
# Largest slope that counts as none, in units of C sqrt(n): on the way, and at the end.
_ROUGH = 3e-3
_FINE = 1e-4


@dataclass(frozen=True)
class HingeLoss:
    """How much the hinge loss counts beside the squared weights.

    Attributes:
        penalty: C.
        weights: `(n,)` what each sample's loss is multiplied by; None for 1.
    """

    penalty: float
    weights: Float | None = None

    def thinned(self, step: int) -> Self:
        """Return the loss of every `step`-th sample, which counts as much in all."""
        if self.weights is None:
            return self
        weights = self.weights[::step]
        return type(self)(self.penalty, weights * (self.weights.mean() / weights.mean()))

    def weighted(self, pull: Float) -> Float:
        """Return `(n,)` values of samples times their weights."""
        return pull if self.weights is None else pull * self.weights

    def curvature(self, curved: Float, inside: npt.NDArray[np.int64]) -> Float:
        """Return the sum of products of the rows `inside`, `curved`, times their weights."""
        if self.weights is None:
            return np.asarray(curved.T @ curved)
        return np.asarray((curved.T * self.weights[inside]) @ curved)


def fit_landmarks(
    columns: Float, label: Label, loss: HingeLoss, kernel_gamma: float
) -> tuple[Float, Float, float]:
    """Fit the RBF machine on landmarks.

    Args:
        columns: `(n, m)` scaled components.
        label: `(n,)` 0 or 1, both present.
        loss: C, and what each sample counts.
        kernel_gamma: gamma of exp(-gamma ||x - v||^2).

    Returns:
        Landmarks `(s, m)`, their coefficients `(s,)` and the intercept.

    Raises:
        CompositionError: the landmarks leave too much of the kernel unexplained, or
            Newton's method does not converge.
    """
    with _one_thread():
        landmarks = _choose_landmarks(columns, kernel_gamma)
        # Where two landmarks are nearly one, a little on the diagonal keeps the root real.
        gram = rbf(landmarks, landmarks, kernel_gamma) + 1e-10 * np.eye(len(landmarks))
        root = np.linalg.cholesky(gram)
        whitening = np.linalg.inv(root).T
        features = np.ones((len(columns), len(landmarks) + 1))
        for rows, kernel in rbf_chunks(columns, landmarks, kernel_gamma):
            features[rows, :-1] = kernel @ whitening
        solution = _fit_hinge(features, label, loss)
        return landmarks, np.asarray(whitening @ solution[:-1]), float(solution[-1])


def fit_linear(columns: Float, label: Label, loss: HingeLoss) -> tuple[Float, float]:
    """Fit the linear machine; arguments and errors as `fit_landmarks`.

    Returns:
        Weights `(m,)` and the intercept.
    """
    with _one_thread():
        features = np.concatenate([columns, np.ones((len(columns), 1))], axis=1)
        solution = _fit_hinge(features, label, loss)
        return solution[:-1], float(solution[-1])


@contextmanager
def _one_thread() -> Iterator[None]:
    # A sum's last bit depends on how many threads share it.
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1, user_api="blas"):
        yield


def _choose_landmarks(columns: Float, kernel_gamma: float) -> Float:
    """Return `(s, m)` rows of `columns`, each the one that the others explain least."""
    candidates = columns[:: -(-len(columns) // _CANDIDATES)]
    most = min(_MOST_LANDMARKS, len(candidates))
    explained = np.zeros((len(candidates), most), order="F")
    residual = np.ones(len(candidates))
    chosen: list[int] = []
    while len(chosen) < most:
        if residual.mean() <= (_EXPLAINED if len(chosen) < _LANDMARKS else _UNEXPLAINED):
            break
        pivot, step = int(np.argmax(residual)), len(chosen)
        column = rbf(candidates, candidates[pivot : pivot + 1], kernel_gamma)[:, 0]
        column -= explained[:, :step] @ explained[pivot, :step]
        column /= np.sqrt(residual[pivot])
        explained[:, step] = column
        residual = np.maximum(residual - np.square(column), 0.0)
        residual[pivot] = 0.0
        chosen.append(pivot)
    share = float(residual.mean())
    if share > _UNEXPLAINED:
        raise CompositionError(
            f"{len(chosen)} landmarks leave {share:.2g} of the kernel unexplained, at most "
            f"{_UNEXPLAINED} is allowed; take a smaller svm_gamma or svm_solver exact"
        )
    return candidates[chosen]


def _fit_hinge(features: Float, label: Label, loss: HingeLoss) -> Float:
    """Minimise ||w||^2 / 2 + C sum hinge(y (w f + b)).

    Args:
        features: `(n, s + 1)`, the last a one; overwritten.
        label: `(n,)` 0 or 1, both present.
        loss: C, and what each sample counts.

    Returns:
        `(s + 1,)` w and b.
    """
    features *= np.where(label == 1, 1.0, -1.0)[:, None]
    signed, solution = features, np.zeros(features.shape[1])
    step = -(-len(signed) // _FIRST_SAMPLES)
    few = signed[::step]
    loss_of_few = replace(loss.thinned(step), penalty=loss.penalty * len(signed) / len(few))
    for corner in _FIRST_CORNERS:
        solution = _minimise(few, solution, loss_of_few, corner, _ROUGH)
    for corner in _CORNERS:
        tolerance = _FINE if corner == _CORNERS[-1] else _ROUGH
        solution = _minimise(signed, solution, loss, corner, tolerance)
    return solution


def _minimise(
    signed: Float, solution: Float, loss: HingeLoss, corner: float, tolerance: float
) -> Float:
    """Return the minimum for one corner, from the one before, by Newton's method.

    Args:
        signed: `(n, s + 1)` features and a one, times +1 or -1, the sample's side.
        solution: `(s + 1,)` weights and intercept to start from.
        loss: C, and what each sample counts.
        corner: half the width of the loss's quadratic part, around margin 1.
        tolerance: largest gradient that counts as none, in units of C sqrt(n).

    Raises:
        CompositionError: the gradient is not small after the allowed steps.
    """
    penalty = loss.penalty
    kept = np.append(np.ones(len(solution) - 1), 0.0)
    small = tolerance * penalty * np.sqrt(len(signed))
    margin = signed @ solution
    room = np.empty_like(signed)
    for _ in range(_NEWTON_STEPS):
        pull = _pull(margin, corner)
        gradient = kept * solution - penalty * (loss.weighted(pull) @ signed)
        if np.abs(gradient).max() <= small:
            return solution
        inside = np.flatnonzero((pull > 0) & (pull < 1))
        curved = np.take(signed, inside, axis=0, out=room[: len(inside)], mode="clip")
        curvature = (penalty / (2 * corner)) * loss.curvature(curved, inside) + np.diag(kept)
        # The intercept, which nothing else holds where no sample is in the corner.
        curvature[-1, -1] += 1e-6 * penalty * len(signed)
        try:
            direction = -np.linalg.solve(curvature, gradient)
        except np.linalg.LinAlgError:
            break  # C is so large that rounding leaves nothing of the weights' part
        along = signed @ direction
        length = _line_minimum(
            float((kept * solution) @ direction),
            float((kept * direction) @ direction),
            (margin, along, loss, corner),
        )
        solution = solution + length * direction
        margin += length * along
    raise CompositionError(
        f"the support vector machine did not converge in {_NEWTON_STEPS} steps; "
        "take a smaller svm_c or svm_solver exact"
    )


def _pull(margin: Float, corner: float) -> Float:
    """Return minus the slope of the rounded hinge: 1 below, 0 above, a line between."""
    return np.clip((1 + corner - margin) / (2 * corner), 0.0, 1.0)


def _line_minimum(
    slope: float, curvature: float, along_line: tuple[Float, Float, HingeLoss, float]
) -> float:
    """Return a step length where the slope along the line is a tenth of that at 0.

    Args:
        slope: of the weights' part at 0.
        curvature: of the weights' part.
        along_line: margins and their change, `(n,)` each, the loss and the corner.
    """
    margin, along, loss, corner = along_line

    def slope_at(length: float) -> float:
        pull = _pull(margin + length * along, corner)
        return slope + length * curvature - loss.penalty * float(loss.weighted(pull) @ along)

    small = 0.1 * abs(slope_at(0.0))
    low, high, length = 0.0, np.inf, 1.0
    for _ in range(_LINE_STEPS):
        slope_here = slope_at(length)
        if abs(slope_here) <= small:
            break
        low, high = (low, length) if slope_here > 0 else (length, high)
        length = (low + high) / 2 if np.isfinite(high) else 2 * length
    return length
