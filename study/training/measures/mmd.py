"""Maximum mean discrepancy of real samples and their reconstructions."""

import math

import numpy as np
import numpy.typing as npt

Float2d = npt.NDArray[np.float64]


def maximum_mean_discrepancy(real: Float2d, synthetic: Float2d, seed: int, at_most: int) -> float:
    """Return the unbiased MMD² of Gretton et al. (2012) under an RBF kernel.

    A reconstruction belongs to its sample, so that a term comparing the two of a pair
    carries nothing of the distributions and would pull MMD² down by about 2 / n. Their
    equation 4 leaves these terms out: its mean over pairs of pairs is unbiased whatever
    ties a sample to its own reconstruction, and exactly 0 for perfect ones.

    The kernel is exp(-d² / 2s²) with the median distance of two real samples for s: the
    same for every model. If more than half of these are 0, s is 1.

    Args:
        real: `(n, features)`, n >= 2.
        synthetic: the reconstructions, same shape and order.
        seed: draws the samples if there are more than `at_most`, the same of both.
        at_most: samples that are compared, at least 2; costs grow with its square.

    Returns:
        MMD², in [-2, 2]: about 0 for equal distributions, then as often below it as above.

    Raises:
        ValueError: shapes that differ or are not two-dimensional, or fewer than two samples.
    """
    if real.ndim != 2 or real.shape != synthetic.shape:
        raise ValueError(
            f"real and synthetic must have one two-dimensional shape, have {real.shape} and"
            f" {synthetic.shape}"
        )
    if min(len(real), at_most) < 2:
        raise ValueError(
            f"at least 2 samples are needed, found {len(real)}, of which at most {at_most} are used"
        )
    if len(real) > at_most:
        drawn = np.random.default_rng(seed).choice(len(real), at_most, replace=False)
        real, synthetic = real[drawn], synthetic[drawn]
    return _of_pairs(real, synthetic)


def _of_pairs(real: Float2d, synthetic: Float2d) -> float:
    """Return equation 4 of Gretton et al.: the mean of its h over pairs of different index."""
    from scipy.spatial.distance import cdist, pdist  # slow to import in every fold's process

    real_distance = pdist(real)
    width = float(np.median(real_distance)) or 1.0
    across = cdist(real, synthetic)
    other = ~np.eye(len(real), dtype=bool)
    return math.fsum(
        (
            float(_kernel(real_distance, width).mean()),
            float(_kernel(pdist(synthetic), width).mean()),
            -2 * float(_kernel(across, width)[other].mean()),
        )
    )


def _kernel(distance: npt.NDArray[np.float64], width: float) -> npt.NDArray[np.float64]:
    return np.exp(-0.5 * (distance / width) ** 2)
