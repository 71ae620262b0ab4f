import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from study.training.measures.mmd import maximum_mean_discrepancy

seeds = st.integers(0, 2**32 - 1)


def by_two_loops(real, synthetic):
    """Equation 4 of Gretton et al., term by term."""
    n = len(real)
    distances = [math.dist(real[i], real[j]) for i in range(n) for j in range(i)]
    width = np.median(distances)

    def k(a, b):
        return math.exp(-(math.dist(a, b) ** 2) / (2 * width**2))

    total = 0.0
    for i in range(n):
        for j in range(n):
            if i != j:
                total += k(real[i], real[j]) + k(synthetic[i], synthetic[j])
                total -= k(real[i], synthetic[j]) + k(real[j], synthetic[i])
    return total / (n * (n - 1))


@given(seeds, st.integers(2, 12), st.integers(1, 4), st.floats(0, 3))
def test_it_is_equation_4_term_by_term(seed, n, features, shift):
    random = np.random.default_rng(seed)
    real = random.normal(size=(n, features))
    synthetic = real + shift * random.normal(size=(n, features)) + shift
    measured = maximum_mean_discrepancy(real, synthetic, seed=0, at_most=1000)
    assert measured == pytest.approx(by_two_loops(real, synthetic), abs=1e-12)


@given(seeds)
def test_perfect_reconstructions_give_0(seed):
    real = np.random.default_rng(seed).normal(size=(40, 3))
    assert maximum_mean_discrepancy(real, real.copy(), seed, 1000) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("tied", [0.0, 0.9], ids=["independent", "tied to its sample"])
def test_its_mean_over_drawings_is_0_for_one_distribution(tied):
    # Biased forms are off by about 0.02 here: of n = 50, by 1 / n.
    random = np.random.default_rng(0)
    measured = []
    for _ in range(200):
        real = random.normal(size=(50, 2))
        own = random.normal(size=(50, 2))
        measured.append(
            maximum_mean_discrepancy(
                real, tied * real + math.sqrt(1 - tied**2) * own, seed=0, at_most=1000
            )
        )
    error = np.std(measured) / math.sqrt(len(measured))
    assert abs(np.mean(measured)) < 4 * error < 0.006
    assert min(measured) < 0


def test_distributions_far_apart_approach_what_the_kernel_leaves():
    random = np.random.default_rng(0)
    real = random.normal(size=(30, 2))
    point = np.full((30, 2), 1e6)
    # Nothing across, 1 within the point, and the real samples' own mean kernel.
    within = by_two_loops(real, point) - 1
    assert maximum_mean_discrepancy(real, point, seed=0, at_most=1000) == pytest.approx(1 + within)
    assert 0 < within < 1


def test_more_samples_than_wanted_are_drawn_by_the_seed_in_pairs():
    random = np.random.default_rng(0)
    real = random.normal(size=(300, 2))
    synthetic = real + random.normal(size=(300, 2))
    measured = [maximum_mean_discrepancy(real, synthetic, seed, at_most=50) for seed in (1, 1, 2)]
    assert measured[0] == measured[1] != measured[2]
    # A pair torn apart would no longer give 0.
    assert maximum_mean_discrepancy(real, real, 1, at_most=50) == pytest.approx(0, abs=1e-12)
    all_of_them = maximum_mean_discrepancy(real, synthetic, 1, at_most=1000)
    assert maximum_mean_discrepancy(real, synthetic, 2, at_most=300) == all_of_them


def test_the_scale_of_the_data_does_not_matter():
    random = np.random.default_rng(0)
    real, synthetic = random.normal(size=(2, 60, 4))
    measured = maximum_mean_discrepancy(real, synthetic, seed=0, at_most=1000)
    scaled = maximum_mean_discrepancy(1000 * real, 1000 * synthetic, seed=0, at_most=1000)
    assert scaled == pytest.approx(measured, abs=1e-12)


def test_constant_samples_are_measured():
    assert maximum_mean_discrepancy(np.ones((5, 3)), np.ones((5, 3)), seed=0, at_most=1000) == 0
    far = maximum_mean_discrepancy(np.ones((5, 3)), np.full((5, 3), 9.0), seed=0, at_most=1000)
    assert far == pytest.approx(2)


@pytest.mark.parametrize(
    ("real", "synthetic", "at_most"),
    [((1, 3), (1, 3), 10), ((9, 3), (9, 3), 1), ((9, 3), (9, 2), 10), ((9,), (9,), 10)],
)
def test_what_cannot_be_measured_is_refused(real, synthetic, at_most):
    with pytest.raises(ValueError, match=r"two-dimensional|at least 2"):
        maximum_mean_discrepancy(np.zeros(real), np.zeros(synthetic), 0, at_most)
