"""Exact search for the threshold, and the linear weights, with the best weighted F1.

Every threshold that divides the scores differently is tried, not a grid of them:
the scores are sorted once and the classes counted along the order, O(n log n).
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from study.scores.components import CompositionError, Float, Label

_BINS = 2048
# Far above the rounding of an F1, far below the step that one sample makes.
_ROUNDING = 1e-12


@dataclass(frozen=True)
class Threshold:
    """A threshold and what it reaches.

    Attributes:
        tau: `score > tau` is abnormal; may be -inf (all are) or inf (none is).
        f1_weighted: weighted F1 of those predictions, in [0, 1].
    """

    tau: float
    f1_weighted: float


@dataclass(frozen=True)
class WeightedThreshold:
    """The best linear combination and its threshold.

    Attributes:
        weights: one per component, in [0, 1], summing to 1.
        threshold: its best threshold.
    """

    weights: tuple[float, ...]
    threshold: Threshold


@dataclass(frozen=True)
class _Counts:
    normal: int
    abnormal: int


_NONE = _Counts(0, 0)


@dataclass(frozen=True)
class _Cuts:
    """Every way to divide sorted scores; cut k leaves the k lowest below.

    Attributes:
        ordered: `(n,)` scores, ascending.
        below: `(c,)` int64, the k of each cut, from 0 to n, ascending.
        f1_weighted: `(c,)` weighted F1 of each cut.
    """

    ordered: Float
    below: npt.NDArray[np.int64]
    f1_weighted: Float


def weighted_f1(
    true_positives: npt.ArrayLike,
    true_negatives: npt.ArrayLike,
    num_abnormal: int,
    num_normal: int,
) -> Float:
    """Return the F1 of both classes, weighted by their numbers of samples.

    Args:
        true_positives: abnormal samples called abnormal, any shape.
        true_negatives: normal samples called normal, same shape.
        num_abnormal: abnormal samples in all.
        num_normal: normal samples in all; one of both numbers must be positive.

    Returns:
        The weighted F1 in the shape of the counts; a class without samples has no weight.
    """
    tp = np.asarray(true_positives, dtype=np.float64)
    tn = np.asarray(true_negatives, dtype=np.float64)
    # 2 tp / (2 tp + fp + fn), whose denominator is the called plus the actual abnormal;
    # where it is 0 so is tp, and the class has no samples and no weight.
    called_abnormal = tp + (num_normal - tn)
    called_normal = tn + (num_abnormal - tp)
    abnormal = 2 * tp / np.maximum(called_abnormal + num_abnormal, 1)
    normal = 2 * tn / np.maximum(called_normal + num_normal, 1)
    return np.asarray((num_abnormal * abnormal + num_normal * normal) / (num_abnormal + num_normal))


def constant_f1(label: Label) -> float:
    """Return the weighted F1 of the better constant answer for `label`, `(n,)`, n >= 1."""
    num_abnormal = int(np.count_nonzero(label))
    num_normal = len(label) - num_abnormal
    answers = weighted_f1([num_abnormal, 0], [0, num_normal], num_abnormal, num_normal)
    return float(answers.max())


def weighted_sum(weights: tuple[float, ...] | Float, columns: list[Float]) -> Float:
    """Return the linear combination of `columns`, each `(n,)` (equation 7).

    Search and scoring both go through here, so that a score that was on one side
    of the threshold when fitted is on the same side when applied.
    """
    total = float(weights[0]) * columns[0]
    for weight, column in zip(weights[1:], columns[1:], strict=True):
        total += float(weight) * column
    return total


def best_threshold(score: Float, label: Label) -> Threshold:
    """Return the best of all thresholds, by weighted F1.

    Of equally good thresholds, one between two scores comes before the infinite
    ones, then the one in the widest gap, then the smallest. It is the middle of
    its gap, or the gap's lower end where float64 has nothing between the two.

    Args:
        score: `(n,)` finite, higher is more abnormal.
        label: `(n,)` 0 or 1, both present.

    Raises:
        CompositionError: one class only, or scores that are not finite.
    """
    _require_searchable([score], label)
    cuts = _cuts(score, label, _count(label))
    best = cuts.below[cuts.f1_weighted == cuts.f1_weighted.max()]
    return Threshold(_widest_middle(cuts.ordered, best), float(cuts.f1_weighted.max()))


def best_weights(columns: list[Float], label: Label, weights: Float) -> WeightedThreshold:
    """Return the best row of `weights` with its best threshold, by weighted F1.

    Of equally good rows the first is taken, so order rows by preference.

    Args:
        columns: m components, each `(n,)` and finite.
        label: `(n,)` 0 or 1, both present.
        weights: `(w, m)` rows to try.

    Raises:
        CompositionError: one class only, or values that are not finite.
    """
    _require_searchable(columns, label)
    reached, best = -1.0, 0
    for index, row in enumerate(weights):
        f1 = _best_f1(weighted_sum(row, columns), label, to_exceed=reached)
        if f1 > reached:
            reached, best = f1, index
    chosen = tuple(float(weight) for weight in weights[best])
    return WeightedThreshold(chosen, best_threshold(weighted_sum(chosen, columns), label))


def lambda_weights(steps: int) -> Float:
    """Return `(steps, 2)` rows (1 - lambda, lambda), lambda ascending from 0 to 1."""
    index = np.arange(steps)
    return np.stack([steps - 1 - index, index], axis=1) / (steps - 1)


def simplex_weights(steps: int) -> Float:
    """Return rows (1 - lambda - gamma, lambda, gamma) with lambda + gamma <= 1 (eq. 7).

    Both take `steps` values from 0 to 1. `(steps * (steps + 1) / 2, 3)`, gamma
    ascending, then lambda: the first `steps` rows are those of `lambda_weights`.
    """
    index = np.arange(steps)
    gamma, lambda_ = np.meshgrid(index, index, indexing="ij")
    # Counted in whole steps: rounding decides neither the border nor the remainder.
    rest = steps - 1 - lambda_ - gamma
    return np.stack([rest, lambda_, gamma], axis=-1)[rest >= 0] / (steps - 1)


def _require_searchable(columns: list[Float], label: Label) -> None:
    num_abnormal = int(np.count_nonzero(label))
    if not 0 < num_abnormal < len(label):
        raise CompositionError(
            "both classes are needed for a threshold, found "
            f"{len(label) - num_abnormal} normal and {num_abnormal} abnormal"
        )
    if not all(np.isfinite(column).all() for column in columns):
        raise CompositionError("finite scores are needed for a threshold")


def _count(label: Label) -> _Counts:
    abnormal = int(np.count_nonzero(label))
    return _Counts(len(label) - abnormal, abnormal)


def _cuts(score: Float, label: Label, total: _Counts, beneath: _Counts = _NONE) -> _Cuts:
    """Return the cuts of scores that are all, or a connected range, of the ordered scores.

    Args:
        score: `(n,)` the range's scores.
        label: `(n,)` their labels.
        total: samples of each class in all.
        beneath: samples of each class below the range.
    """
    order = np.argsort(score)
    ordered = score[order]
    # Equal scores move together: a cut lies only where the score changes.
    inner = np.flatnonzero(ordered[1:] != ordered[:-1]) + 1
    below = np.concatenate([[0], inner, [len(score)]])
    abnormal_below = np.concatenate([[0], np.cumsum(label[order], dtype=np.int64)])[below]
    f1 = weighted_f1(
        total.abnormal - beneath.abnormal - abnormal_below,
        beneath.normal + below - abnormal_below,
        total.abnormal,
        total.normal,
    )
    return _Cuts(ordered, below, f1)


def _best_f1(score: Float, label: Label, to_exceed: float) -> float:
    """Return the best F1 of all thresholds, or -1 where none can exceed `to_exceed`.

    Exact, and without sorting most scores: they are counted in equal bins, which keep
    the order. A cut inside a bin has at most the true positives of the bin's lower
    edge and the true negatives of its upper edge, and F1 grows with both. Only the
    bins whose bound exceeds what an edge reaches are sorted.
    """
    total = _count(label)
    with np.errstate(divide="ignore", over="ignore"):
        low, span = score.min(), score.max() - score.min()
        rate = _BINS / span
    if not (span > 0 and np.isfinite(span) and np.isfinite(rate)):
        return float(_cuts(score, label, total).f1_weighted.max())
    place = ((score - low) * rate).astype(np.int64)
    counts = np.bincount(2 * place + label, minlength=2 * (_BINS + 2)).reshape(-1, 2)
    normal, abnormal = np.concatenate([[[0, 0]], np.cumsum(counts, axis=0)]).T
    edges = weighted_f1(total.abnormal - abnormal, normal, total.abnormal, total.normal)
    bound = weighted_f1(total.abnormal - abnormal[:-1], normal[1:], total.abnormal, total.normal)
    hopeful = np.flatnonzero(bound > max(to_exceed, float(edges.max())) - _ROUNDING)
    if not len(hopeful):
        return -1.0
    first, last = int(hopeful[0]), int(hopeful[-1])
    inside = (place >= first) & (place <= last)
    beneath = _Counts(int(normal[first]), int(abnormal[first]))
    return float(_cuts(score[inside], label[inside], total, beneath).f1_weighted.max())


def _widest_middle(ordered: Float, below: npt.NDArray[np.int64]) -> float:
    inner = below[(below > 0) & (below < len(ordered))]
    if not len(inner):
        return -np.inf if below[0] == 0 else np.inf
    with np.errstate(over="ignore"):
        gaps = ordered[inner] - ordered[inner - 1]
    cut = inner[int(np.argmax(gaps))]
    low, high = float(ordered[cut - 1]), float(ordered[cut])
    middle = low + (high - low) / 2 if np.isfinite(high - low) else low / 2 + high / 2
    return middle if low < middle < high else low
