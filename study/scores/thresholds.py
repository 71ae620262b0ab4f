"""Exact search for the threshold with the best weighted F1.

Every threshold that divides the scores differently is tried, not a grid of them:
the scores are sorted once and the classes counted along the order, O(n log n).
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from study.scores.components import CompositionError, Float, Label


@dataclass(frozen=True)
class Threshold:
    """A threshold and its F1.

    Attributes:
        tau: `score > tau` is abnormal; may be -inf (all are) or inf (none is).
        f1_weighted: weighted F1 of those predictions, in [0, 1].
    """

    tau: float
    f1_weighted: float


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
    num_abnormal: float,
    num_normal: float,
) -> Float:
    """Return the F1 of both classes, weighted by their numbers of samples.

    Args:
        true_positives: abnormal samples predicted abnormal, any shape; they count in whole
            numbers, or each class in a weight of its own.
        true_negatives: normal samples predicted normal, same shape.
        num_abnormal: abnormal samples in all.
        num_normal: normal samples in all; one of both numbers must be positive.

    Returns:
        The weighted F1 in the shape of the counts; a class without samples has no weight.
    """
    tp = np.asarray(true_positives, dtype=np.float64)
    tn = np.asarray(true_negatives, dtype=np.float64)
    # 2 tp / (2 tp + fp + fn), whose denominator is the predicted plus the actual abnormal;
    # where it is 0 so is tp, and the class has no samples and no weight.
    predicted_abnormal = tp + (num_normal - tn)
    predicted_normal = tn + (num_abnormal - tp)
    abnormal = 2 * tp / _or_one(predicted_abnormal + num_abnormal)
    normal = 2 * tn / _or_one(predicted_normal + num_normal)
    return np.asarray((num_abnormal * abnormal + num_normal * normal) / (num_abnormal + num_normal))


def _or_one(counts: Float) -> Float:
    return np.where(counts > 0, counts, 1.0)


def normal_weight(label: Label, prevalence: float | None) -> float:
    """Return what a normal sample counts, an abnormal one 1, for a share of abnormal samples.

    Args:
        label: `(n,)` 0 or 1, both present.
        prevalence: the share, in (0, 1); None for the samples' own, in which all count 1.
    """
    if prevalence is None:
        return 1.0
    abnormal = int(np.count_nonzero(label))
    return (1 - prevalence) / prevalence * abnormal / max(len(label) - abnormal, 1)


def constant_f1(label: Label) -> float:
    """Return the weighted F1 of the better constant answer for `label`, `(n,)`, n >= 1."""
    num_abnormal = int(np.count_nonzero(label))
    num_normal = len(label) - num_abnormal
    answers = weighted_f1([num_abnormal, 0], [0, num_normal], num_abnormal, num_normal)
    return float(answers.max())


def best_threshold(score: Float, label: Label, normal_weight: float = 1.0) -> Threshold:
    """Return the best of all thresholds, by weighted F1.

    Of equally good thresholds, one between two scores comes before the infinite
    ones, then the one in the widest gap, then the smallest. It is the middle of
    its gap, or the gap's lower end where float64 has nothing between the two.

    Args:
        score: `(n,)` finite, higher is more abnormal.
        label: `(n,)` 0 or 1, both present.
        normal_weight: what a normal sample counts, an abnormal one 1.

    Raises:
        CompositionError: one class only, or scores that are not finite.
    """
    require_searchable([score], label)
    cuts = _cuts(score, label, normal_weight)
    best = cuts.below[cuts.f1_weighted == cuts.f1_weighted.max()]
    return Threshold(_widest_middle(cuts.ordered, best), float(cuts.f1_weighted.max()))


def best_f1(normal: Float, abnormal: Float, normal_weight: float = 1.0) -> float:
    """Return the F1 that `best_threshold` reaches, to the last bit, without the threshold.

    F1 rises with the true positives and with the true negatives, so that the best cut
    lies right below an abnormal score, or above all scores.

    Args:
        normal: `(n0,)` finite scores of the normal samples, n0 >= 1.
        abnormal: `(n1,)` finite scores of the abnormal samples, n1 >= 1.
        normal_weight: what a normal sample counts, an abnormal one 1.
    """
    num_normal, num_abnormal = len(normal) * normal_weight, len(abnormal)
    rising = np.sort(abnormal)
    true_negatives = np.searchsorted(np.sort(normal), rising, side="left") * normal_weight
    # Of equal abnormal scores the first counts them all; the others cannot exceed it.
    true_positives = np.arange(num_abnormal, 0, -1)
    f1 = weighted_f1(true_positives, true_negatives, num_abnormal, num_normal)
    none_abnormal = weighted_f1(0, num_normal, num_abnormal, num_normal)
    return max(float(f1.max()), float(none_abnormal))


def require_searchable(columns: list[Float], label: Label) -> None:
    """Check that a best threshold exists.

    Args:
        columns: each `(n,)`.
        label: `(n,)` 0 or 1.

    Raises:
        CompositionError: one class only, or values that are not finite.
    """
    num_abnormal = int(np.count_nonzero(label))
    if not 0 < num_abnormal < len(label):
        raise CompositionError(
            "both classes are needed for a threshold, found "
            f"{len(label) - num_abnormal} normal and {num_abnormal} abnormal"
        )
    if not all(np.isfinite(column).all() for column in columns):
        raise CompositionError("finite scores are needed for a threshold")


def _cuts(score: Float, label: Label, normal_weight: float) -> _Cuts:
    order = np.argsort(score)
    ordered = score[order]
    # Equal scores move together: a cut lies only where the score changes.
    inner = np.flatnonzero(ordered[1:] != ordered[:-1]) + 1
    below = np.concatenate([[0], inner, [len(score)]])
    abnormal_below = np.concatenate([[0], np.cumsum(label[order], dtype=np.int64)])[below]
    num_abnormal = int(abnormal_below[-1])
    f1 = weighted_f1(
        num_abnormal - abnormal_below,
        (below - abnormal_below) * normal_weight,
        num_abnormal,
        (len(label) - num_abnormal) * normal_weight,
    )
    return _Cuts(ordered, below, f1)


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
