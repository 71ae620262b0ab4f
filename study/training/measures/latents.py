"""Latent vectors against the prior N(0, I): range, norms, collapse."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

COLLAPSED_NATS = 0.01
"""A dimension whose posterior is on average nearer to the prior than this carries nothing of x."""


@dataclass(frozen=True)
class LatentMeasures:
    """Measures of the latent vectors of one set of samples.

    If z ~ N(0, I) in k dimensions, ||z|| follows the chi distribution with k degrees of
    freedom (section III-B). For a model with a posterior this concerns z drawn from it:
    its means have less spread than the prior even where the model fits it.

    Attributes:
        minimum: smallest coordinate of any z (figure 7).
        maximum: largest coordinate of any z.
        mean_norm: mean of ||z||, >= 0.
        chi_ks: Kolmogorov-Smirnov statistic of ||z|| against chi with k degrees of freedom,
            nothing fitted (figure 4), in [0, 1].
        chi_p: its exact p value; small if the norms do not follow that distribution.
        chi_fit_scale: scale of the chi distribution with k degrees of freedom that is
            likeliest to give these norms; 1 for the prior's.
        chi_fit_ks: Kolmogorov-Smirnov statistic against that distribution: small if the
            norms have its shape, if not its scale. nan if every z is 0.
        kl_per_dimension: mean KL of each dimension in nats, k of them, inf where it
            overflows; () if there is no posterior.
        collapsed_dimensions: dimensions whose mean KL is below `COLLAPSED_NATS`: their
            posterior has collapsed to the prior; None if there is no posterior.
    """

    minimum: float
    maximum: float
    mean_norm: float
    chi_ks: float
    chi_p: float
    chi_fit_scale: float
    chi_fit_ks: float
    kl_per_dimension: tuple[float, ...]
    collapsed_dimensions: int | None


@dataclass(frozen=True)
class ChiDistance:
    """How far norms are from the chi distribution.

    Attributes:
        statistic: of the two-sided Kolmogorov-Smirnov test, 0 to 1.
        p: its exact p value.
    """

    statistic: float
    p: float


def chi_distance(norm: npt.NDArray[np.float64], k: int) -> ChiDistance:
    """Compare norms `(n,)` with the chi distribution of k degrees of freedom, nothing fitted."""
    from scipy.stats import chi, kstest  # half a second in every fold's fresh process

    test = kstest(norm, chi.cdf, args=(k,), method="exact")
    return ChiDistance(float(test.statistic), float(test.pvalue))


def measure_latents(
    z: npt.NDArray[np.float32], kl: npt.NDArray[np.float32] | None
) -> LatentMeasures:
    """Measure latent vectors, and their posterior's divergence from the prior.

    Args:
        z: `(n, k)`, finite; n, k >= 1.
        kl: KL(q(z|x) || N(0, I)) of each sample and dimension in nats, `(n, k)`; None if
            the model has no posterior.

    Raises:
        ValueError: another shape, or values of z that are not finite.
    """
    _require_measurable(z, kl)
    dimensions = z.shape[1]
    norm = np.linalg.norm(z.astype(np.float64), axis=1)
    prior = chi_distance(norm, dimensions)
    scale = _likeliest_scale(norm, dimensions)
    divergence = () if kl is None else tuple(kl.mean(axis=0, dtype=np.float64).tolist())
    return LatentMeasures(
        minimum=float(z.min()),
        maximum=float(z.max()),
        mean_norm=float(norm.mean()),
        chi_ks=prior.statistic,
        chi_p=prior.p,
        chi_fit_scale=scale,
        chi_fit_ks=_distance(norm, dimensions, scale),
        kl_per_dimension=divergence,
        collapsed_dimensions=None if kl is None else sum(m < COLLAPSED_NATS for m in divergence),
    )


def _require_measurable(z: npt.NDArray[np.float32], kl: npt.NDArray[np.float32] | None) -> None:
    if z.ndim != 2 or not z.size:
        raise ValueError(f"z must be (n, k) with n and k at least 1, has shape {z.shape}")
    if kl is not None and kl.shape != z.shape:
        raise ValueError(f"kl must have shape {z.shape} as z, has {kl.shape}")
    if not np.isfinite(z).all():
        raise ValueError("z must be finite, found values that are not")


def _likeliest_scale(norm: npt.NDArray[np.float64], dimensions: int) -> float:
    """Return the maximum likelihood scale of chi: its square is mean(||z||²) / k."""
    return math.sqrt(float(np.square(norm).mean()) / dimensions)


def _distance(norm: npt.NDArray[np.float64], dimensions: int, scale: float) -> float:
    """Return the Kolmogorov-Smirnov statistic against chi of that scale.

    A p value would be too large by far, for the scale was fitted to the same norms.
    """
    from scipy.stats import chi, kstest

    if not scale:
        return math.nan
    return float(kstest(norm, chi.cdf, args=(dimensions, 0, scale)).statistic)
