"""Tests of paired differences, over folds and over what is drawn, and Holm's correction.

p and interval of a test are of one t distribution, and so are the corrected ones: an interval
holds 0 where its p is above 1 - `INTERVAL`, and only there.
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from study.data.splits import ONE_TEST_SET
from study.report.summary import INTERVAL, mean_and_deviation, over_folds
from study.scores.settings import Criterion, metric_range

ROUNDING = 1e-12
"""Differences of metrics, and their deviations, below this are of rounding, and 0."""

Float = npt.NDArray[np.float64]


@dataclass(frozen=True)
class PairedTest:
    """Two-sided t-tests of `m` differences, corrected together; nan where there is no test.

    Attributes:
        low: lower end of a 95 % interval for the difference alone.
        high: its upper end.
        p: of the difference alone, in [0, 1].
        low_holm: lower end of the interval that belongs to `p_holm`.
        high_holm: its upper end.
        p_holm: p corrected after Holm (1979) over all `m`.
    """

    low: Float
    high: Float
    p: Float
    low_holm: Float
    high_holm: Float
    p_holm: Float

    @classmethod
    def of(cls, difference: Float, error: Float, freedom: Float) -> "PairedTest":
        """Test differences.

        Args:
            difference: estimates.
            error: their standard errors; nan where there is no test. Where it is 0, p is
                0, or 1 if the difference is 0 too.
            freedom: degrees of freedom.
        """
        from scipy.special import stdtr, stdtrit

        with np.errstate(divide="ignore", invalid="ignore"):
            t = np.where((error == 0) & (difference == 0), 0.0, difference / error)
        p = 2 * stdtr(freedom, -np.abs(t))
        p_holm = holm(p)
        # The level at which Holm's procedure tests the difference.
        level = (1 - INTERVAL) * _share(p, p_holm, _first_share(p))
        ends = []
        for own in (np.full(len(p), 1 - INTERVAL), level):
            half = np.where(error == 0, 0.0, stdtrit(freedom, 1 - own / 2) * error)
            ends += [difference - half, difference + half]
        return cls(ends[0], ends[1], p, ends[2], ends[3], p_holm)

    def cut(self, most: float) -> "PairedTest":
        """Return the same with intervals cut to what a difference can be, -`most` to `most`."""
        names = ("low", "high", "low_holm", "high_holm")
        return replace(self, **{name: np.clip(getattr(self, name), -most, most) for name in names})


def fold_errors(differences: Float, ratio: Float) -> tuple[Float, Float]:
    """Return standard errors of mean differences over folds, and their degrees of freedom.

    Args:
        differences: `(m, folds)`; nan where a fold does not have both.
        ratio: `(m, folds)` test to training samples.
    """
    folds = over_folds(differences, ratio)
    return np.where(folds.deviation < ROUNDING, 0.0, folds.error), folds.freedom


def fold_tests(
    differences: Float, ratio: Float, protocol: str, metric: Criterion
) -> tuple[Float, Float, PairedTest]:
    """Return mean and deviation of differences over folds, and their tests.

    Args:
        differences: `(m, folds)` of a metric; nan where a fold does not have both.
        ratio: `(m, folds)` test to training samples.
        protocol: of the folds; where they have one test set there is no test.
        metric: what differs.
    """
    difference, deviation = mean_and_deviation(differences)
    difference[np.abs(difference) < ROUNDING] = 0.0
    error, freedom = fold_errors(differences, ratio)
    if protocol in ONE_TEST_SET:
        error = np.full(len(error), np.nan)
    least, most = metric_range(metric)
    return difference, deviation, PairedTest.of(difference, error, freedom).cut(most - least)


def holm(p: Float) -> Float:
    """Return p-values corrected after Holm (1979); nan are no tests and stay nan."""
    corrected = np.full(len(p), np.nan)
    tested = np.flatnonzero(~np.isnan(p))
    rising = tested[np.argsort(p[tested], kind="stable")]
    factors = np.arange(len(rising), 0, -1)
    corrected[rising] = np.minimum(np.maximum.accumulate(factors * p[rising]), 1.0)
    return corrected


def _share(part: Float, whole: Float, otherwise: float) -> Float:
    """Return `part / whole`, `otherwise` where both are 0; nan stays nan."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(whole == 0, otherwise, part / whole)


def _first_share(p: Float) -> float:
    """Return the share of the level that the smallest p is tested at."""
    return 1 / max(1, int((~np.isnan(p)).sum()))
