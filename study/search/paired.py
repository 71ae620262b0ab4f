"""Whether a trial is worse than another, fold by fold: one-sided tests of paired differences."""

from collections.abc import Sequence

import numpy as np

from study.config.schema import PairedTestName

ROUNDING = 1e-12
"""A deviation of differences below this is of rounding, and 0."""


def p_of_no_worse(
    values: Sequence[float], others: Sequence[float], test: PairedTestName, ratio: float
) -> float:
    """Return p of the hypothesis that a trial is no worse than another; small where it is worse.

    Args:
        values: a metric of the trial, by fold; larger is better.
        others: the same of the other, of the same folds.
        test: `wilcoxon`, the signed-rank test, which needs five folds to come below 0.05; or
            `corrected_t`, which takes the variance of the mean for 1 / n + `ratio` times that of
            the differences, since folds share training samples (Nadeau and Bengio 2003).
        ratio: samples that the metric is of, to training samples.

    Returns:
        p in [0, 1]; 1 where two folds are not there to compare, or nothing differs.
    """
    from scipy.special import stdtr
    from scipy.stats import wilcoxon

    differences = np.subtract(values, others)
    count = len(differences)
    if count < 2 or not differences.any():
        return 1.0
    if test == "wilcoxon":
        return float(wilcoxon(differences, alternative="less").pvalue)
    mean, deviation = float(differences.mean()), float(differences.std(ddof=1))
    if deviation < ROUNDING:
        return 0.0 if mean < 0 else 1.0
    return float(stdtr(count - 1, mean / (deviation * np.sqrt(1 / count + ratio))))
