import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import gammainc

from study.training.measures.latents import chi_distance, measure_latents


def drawn(n, k, scale=1.0, seed=0):
    return (scale * np.random.default_rng(seed).normal(size=(n, k))).astype(np.float32)


def largest_gap(norm, k, scale):
    """Kolmogorov-Smirnov by its definition: chi_k's CDF is the incomplete gamma function."""
    theory = gammainc(k / 2, (np.sort(norm) / scale) ** 2 / 2)
    n = len(norm)
    return max((np.arange(1, n + 1) / n - theory).max(), (theory - np.arange(n) / n).max())


@given(st.lists(st.floats(0.01, 20), min_size=1, max_size=30), st.integers(1, 50))
def test_the_statistic_is_the_largest_distance_from_the_chi_distribution(drawn, size):
    norms = np.sort(np.array(drawn))
    # ||z||² of a standard normal z follows chi squared.
    expected = scipy.stats.chi2(size).cdf(norms**2)
    steps = np.arange(len(norms) + 1) / len(norms)
    distance = max((steps[1:] - expected).max(), (expected - steps[:-1]).max())
    measured = chi_distance(np.array(drawn), size)
    assert measured.statistic == pytest.approx(distance, abs=1e-9)
    assert 0 <= measured.p <= 1


def test_norms_of_the_prior_fit_chi_and_others_do_not():
    random = np.random.default_rng(0)
    z = random.normal(size=(4000, 6))
    assert chi_distance(np.linalg.norm(z, axis=1), 6).p > 0.01
    assert chi_distance(np.linalg.norm(1.2 * z, axis=1), 6).p < 1e-6


@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(1, 60), st.floats(0.01, 100))
def test_statistics_are_the_largest_gaps_to_the_incomplete_gamma_function(seed, n, k, scale):
    z = drawn(n, k, scale, seed)
    measured = measure_latents(z, None)
    norm = np.sqrt((z.astype(np.float64) ** 2).sum(axis=1))
    assert measured.chi_ks == pytest.approx(largest_gap(norm, k, 1.0), abs=1e-9)
    assert measured.chi_fit_ks == pytest.approx(
        largest_gap(norm, k, measured.chi_fit_scale), abs=1e-9
    )
    assert measured.mean_norm == pytest.approx(norm.mean())
    assert (measured.minimum, measured.maximum) == (z.min(), z.max())


@pytest.mark.parametrize("k", [1, 2, 6, 50])
def test_draws_from_the_prior_follow_chi(k):
    measured = measure_latents(drawn(5000, k), None)
    assert measured.chi_p > 0.01
    assert measured.chi_ks < 0.025
    assert measured.chi_fit_scale == pytest.approx(1, abs=0.03)
    assert measured.mean_norm == pytest.approx(scipy.stats.chi(k).mean(), rel=0.03)


@pytest.mark.parametrize("norm", [0.2, 1.0, 1.2, 3.0])
def test_p_is_exact_for_a_single_vector(norm):
    # In two dimensions F(r) = 1 - exp(-r² / 2); D = max(F, 1 - F) exceeds d in 2 (1 - d).
    measured = measure_latents(np.array([[norm, 0.0]], np.float32), None)
    beyond = math.exp(-(norm**2) / 2)
    assert measured.chi_ks == pytest.approx(max(beyond, 1 - beyond))
    assert measured.chi_p == pytest.approx(2 * min(beyond, 1 - beyond))


def test_p_is_uniform_under_the_prior():
    p = [measure_latents(drawn(12, 3, seed=seed), None).chi_p for seed in range(150)]
    assert scipy.stats.kstest(p, "uniform").pvalue > 0.01


@pytest.mark.parametrize("scale", [0.05, 0.7, 30.0])
def test_scaled_draws_have_the_shape_of_chi_and_not_its_scale(scale):
    measured = measure_latents(drawn(5000, 6, scale), None)
    assert measured.chi_ks > 0.2
    assert measured.chi_p < 1e-100
    assert measured.chi_fit_ks < 0.025
    assert measured.chi_fit_scale == pytest.approx(scale, rel=0.03)


def test_the_fitted_scale_is_the_one_scipy_finds():
    z = drawn(400, 4, 2.5)
    _, _, expected = scipy.stats.chi.fit(np.linalg.norm(z.astype(np.float64), axis=1), f0=4, floc=0)
    assert measure_latents(z, None).chi_fit_scale == pytest.approx(expected, rel=1e-3)


def test_norms_of_another_shape_fit_no_chi():
    on_a_sphere = drawn(2000, 6)
    on_a_sphere /= np.linalg.norm(on_a_sphere, axis=1, keepdims=True)
    assert measure_latents(on_a_sphere, None).chi_fit_ks > 0.4


def test_divergences_are_averaged_by_dimension_and_collapse_is_counted():
    kl = np.array([[0.0, 0.004, 0.02, 3.0], [0.002, 0.015, 0.002, 5.0]], np.float32)
    measured = measure_latents(drawn(2, 4), kl)
    assert measured.kl_per_dimension == pytest.approx((0.001, 0.0095, 0.011, 4.0))
    assert measured.collapsed_dimensions == 2


def test_without_a_posterior_nothing_is_said_of_it():
    measured = measure_latents(drawn(9, 4), None)
    assert measured.kl_per_dimension == ()
    assert measured.collapsed_dimensions is None


def test_a_divergence_that_overflowed_is_infinite_and_no_collapse():
    kl = np.array([[np.inf, 0.0], [1.0, 0.0]], np.float32)
    measured = measure_latents(drawn(2, 2), kl)
    assert measured.kl_per_dimension == (math.inf, 0.0)
    assert measured.collapsed_dimensions == 1


def test_many_divergences_lose_nothing_to_float32():
    kl = np.full((200_000, 2), 0.1, np.float32)
    measured = measure_latents(np.ones_like(kl), kl)
    assert measured.kl_per_dimension == pytest.approx((0.1, 0.1), rel=1e-6)


@pytest.mark.parametrize("shape", [(1, 1), (1, 6), (3, 2)])
@pytest.mark.parametrize("value", [-3e38, -1.0, 1e-30, 2.0])
def test_constant_and_tiny_sets_are_measured(shape, value):
    measured = measure_latents(np.full(shape, value, np.float32), np.zeros(shape, np.float32))
    assert measured.minimum == measured.maximum == np.float32(value)
    assert measured.chi_fit_scale == pytest.approx(abs(value))
    assert measured.collapsed_dimensions == shape[1]
    assert 0 <= measured.chi_p <= 1
    assert 0 < measured.chi_fit_ks < 1


def test_only_zeros_are_no_chi_of_any_scale():
    measured = measure_latents(np.zeros((5, 3), np.float32), None)
    assert (measured.mean_norm, measured.chi_ks, measured.chi_fit_scale) == (0, 1, 0)
    assert math.isnan(measured.chi_fit_ks)


@pytest.mark.parametrize(
    ("z", "kl"),
    [
        (np.zeros((0, 3)), None),
        (np.zeros((3, 0)), None),
        (np.zeros(3), None),
        (np.zeros((3, 2)), np.zeros((3, 1))),
        (np.array([[np.nan]]), None),
    ],
)
def test_what_cannot_be_measured_is_refused(z, kl):
    with pytest.raises(ValueError, match=r"z must be|kl must have"):
        measure_latents(z, kl)
