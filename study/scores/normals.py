"""Thresholds without labels of abnormal samples: quantiles of normals.

Training normals have smaller errors than a model's other normals, so that a quantile of
theirs lets through more false alarms than it says. Held-out normals are those of
validation; the quantile is then that of split conformal prediction (Vovk et al. 2005):
in the mean over draws, at most the share 1 - quantile of new normals lies above it. A
new patient is not a new sample of known ones: with `held_out_patients` patients count
alike, and one more is allowed for whose errors have no bound (Lee, Barber and Willett 2023,
"Distribution-free inference with hierarchical data").
"""

import math

import numpy as np
import numpy.typing as npt

from study.scores.components import CompositionError, FitErrors, Float, SplitErrors
from study.scores.settings import ScoreSettings

_ROUNDING = 1e-12


def chosen_normals(errors: FitErrors, settings: ScoreSettings) -> SplitErrors:
    """Return the normals that thresholds without labels rest on, at least one.

    Raises:
        CompositionError: there are none.
    """
    if settings.quantile_of == "training":
        return errors.training_normals()
    normals = errors.validation.normals()
    if not len(normals):
        raise CompositionError("normal validation samples are needed, found none")
    return normals


def quantile_of_normals(score: Float, normals: SplitErrors, settings: ScoreSettings) -> float:
    """Return the threshold of scores of `chosen_normals`, `(n,)`; it is one of them.

    Raises:
        CompositionError: so few held-out samples or patients have no such quantile, or the
            patients are not known.
    """
    if settings.quantile_of == "training":
        # A value that occurs: at most the share 1 - quantile of the normals is above it.
        return float(np.quantile(score, settings.quantile, method="inverted_cdf"))
    if settings.quantile_of == "held_out":
        return conformal_quantile(score, settings.quantile)
    if normals.patient is None:
        raise CompositionError("patients of the normal validation samples are needed")
    return quantile_over_patients(score, normals.patient, settings.quantile)


def conformal_quantile(score: Float, quantile: float) -> float:
    """Return the smallest score that at most 1 - quantile of new ones is above, in the mean.

    Args:
        score: `(n,)` of samples that are exchangeable with new ones, n >= 1.
        quantile: in (0, 1).

    Raises:
        CompositionError: n samples are too few: quantile is above n / (n + 1).
    """
    rank = _rank(len(score), quantile)
    if rank > len(score):
        raise CompositionError(
            f"{len(score)} held-out normals allow no quantile above"
            f" {len(score) / (len(score) + 1):.4f}, {quantile:g} is wanted"
        )
    return float(np.sort(score)[max(rank, 1) - 1])


def allows_quantile(count: int, quantile: float) -> bool:
    """Return whether so many held-out normals have a `conformal_quantile`."""
    return _rank(count, quantile) <= count


def _rank(count: int, quantile: float) -> int:
    return math.ceil((count + 1) * quantile - _ROUNDING * count)


def quantile_over_patients(score: Float, patient: npt.NDArray[np.str_], quantile: float) -> float:
    """Return the smallest score that at most 1 - quantile of a new patient's are above.

    That share is the mean over new patients; single ones may have more. Each of m patients
    has the weight 1 / (m + 1), whatever the number of its samples; the rest is infinite.

    Args:
        score: `(n,)`, n >= 1.
        patient: `(n,)` whom each is of; patients are exchangeable with new ones.
        quantile: in (0, 1).

    Raises:
        CompositionError: m patients are too few: quantile is above m / (m + 1).
    """
    _, code, samples = np.unique(patient, return_inverse=True, return_counts=True)
    count = len(samples)
    order = np.argsort(score, kind="stable")
    share = np.cumsum(1 / samples[code[order]]) / (count + 1)
    position = int(np.searchsorted(share, quantile - _ROUNDING * len(score)))
    if position == len(score):
        raise CompositionError(
            f"held-out normals of {count} patients allow no quantile above"
            f" {count / (count + 1):.4f}, {quantile:g} is wanted"
        )
    return float(score[order[position]])
