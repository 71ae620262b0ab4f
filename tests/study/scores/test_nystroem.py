import numpy as np
import pytest
from sklearn.metrics import f1_score

from study.scores.components import CompositionError
from study.scores.settings import ScoreSettings
from study.scores.support_vectors import fit_support_vectors

EXACT = ScoreSettings()
FAST = ScoreSettings(svm_solver="nystroem")


def components(count, columns, seed, *, apart):
    """Scaled R, D and L of overlapping classes, a quarter of the samples abnormal."""
    rng = np.random.default_rng(seed)
    label = (rng.random(count) < 0.25).astype(np.int8)
    label[:2] = 0, 1
    r = rng.gamma(3.0, 0.01, count) * (1 + apart * rng.random(count) * label)
    d = 60 * r + rng.gamma(2.0, 2.0, count) + apart * rng.gamma(2.0, 1.0, count) * label
    norm = np.sqrt(rng.chisquare(6, count)) * (1 + 0.3 * rng.normal(size=count) * label)
    latent = np.abs(norm - np.sqrt(5))
    values = np.stack([r, d, latent], axis=1)[:, :columns]
    return (values - values.min(axis=0)) / np.ptp(values, axis=0), label


def weighted_f1(machine, values, label):
    return f1_score(label, machine.decision(values) > 0, average="weighted")


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("apart", [1.0, 4.0])
@pytest.mark.parametrize(("kernel", "columns"), [("rbf", 2), ("rbf", 3), ("linear", 2)])
def test_the_fast_machine_decides_nearly_as_the_exact_one(kernel, columns, apart, seed):
    values, label = components(6000, columns, seed, apart=apart)
    fit, test = slice(0, 2000), slice(2000, None)
    exact = fit_support_vectors(values[fit], label[fit], kernel, EXACT)
    fast = fit_support_vectors(values[fit], label[fit], kernel, FAST)
    expected = weighted_f1(exact, values[test], label[test])
    assert weighted_f1(fast, values[test], label[test]) == pytest.approx(expected, abs=0.002)
    agreed = (fast.decision(values[test]) > 0) == (exact.decision(values[test]) > 0)
    assert agreed.mean() > 0.995


@pytest.mark.parametrize(("kernel", "columns"), [("rbf", 2), ("rbf", 3), ("linear", 2)])
def test_its_objective_is_that_of_the_exact_machine(kernel, columns):
    values, label = components(800, columns, 3, apart=1.0)
    sign = np.where(label == 1, 1.0, -1.0)

    def objective(machine):
        vectors = machine.vectors
        inner = vectors @ vectors.T
        if kernel == "rbf":
            squares = np.diag(inner)
            inner = np.exp(-machine.kernel_gamma * (squares[:, None] + squares - 2 * inner))
        size = machine.dual_coefficients @ inner @ machine.dual_coefficients
        return size / 2 + np.maximum(0.0, 1 - sign * machine.decision(values)).sum()

    exact, fast = (fit_support_vectors(values, label, kernel, s) for s in (EXACT, FAST))
    assert objective(fast) == pytest.approx(objective(exact), rel=2e-3)


@pytest.mark.parametrize("kernel", ["rbf", "linear"])
def test_the_same_samples_give_the_same_bytes(kernel):
    values, label = components(5000, 2, 0, apart=2.0)
    one, two = (fit_support_vectors(values.copy(), label, kernel, FAST) for _ in range(2))
    assert one.vectors.tobytes() == two.vectors.tobytes()
    assert one.dual_coefficients.tobytes() == two.dual_coefficients.tobytes()
    assert one.intercept == two.intercept


def test_what_it_is_fitted_on_is_not_changed():
    values, label = components(300, 2, 0, apart=2.0)
    kept = values.copy()
    for kernel in ("rbf", "linear"):
        fit_support_vectors(values, label, kernel, FAST)
    np.testing.assert_array_equal(values, kept)


def test_landmarks_are_few_distinct_samples():
    values, label = components(5000, 2, 0, apart=2.0)
    found = fit_support_vectors(np.round(values, 2), label, "rbf", FAST)
    assert len(found.vectors) <= 256
    assert len(np.unique(found.vectors, axis=0)) == len(found.vectors)
    assert {tuple(row) for row in found.vectors} <= {tuple(row) for row in np.round(values, 2)}


def test_many_columns_have_as_many_landmarks_as_they_need():
    """256 would leave more of the kernel unexplained than a machine may have."""
    parts = [components(4000, 3, seed, apart=2.0) for seed in (0, 1)]
    values, label = np.concatenate([values for values, _ in parts], axis=1), parts[0][1]
    fit, test = slice(0, 2000), slice(2000, None)
    exact, fast = (fit_support_vectors(values[fit], label[fit], "rbf", s) for s in (EXACT, FAST))
    assert 256 < len(fast.vectors) <= 512
    agreed = (fast.decision(values[test]) > 0) == (exact.decision(values[test]) > 0)
    assert agreed.mean() > 0.985


def test_classes_apart_are_told_apart():
    label = np.repeat([0, 1], [40, 10]).astype(np.int8)
    values = np.stack([0.8 * label, 0.9 * label], axis=1) + np.linspace(0, 0.1, 50)[:, None]
    for kernel in ("rbf", "linear"):
        found = fit_support_vectors(values, label, kernel, FAST)
        np.testing.assert_array_equal(found.decision(values) > 0, label == 1)


@pytest.mark.parametrize("kernel", ["rbf", "linear"])
def test_constant_columns_are_fitted(kernel):
    label = np.array([0, 0, 1], np.int8)
    found = fit_support_vectors(np.zeros((3, 2)), label, kernel, FAST)
    assert (found.decision(np.zeros((2, 2))) < 0).all()


def test_a_kernel_too_narrow_for_landmarks_has_a_reason():
    values, label = components(3000, 3, 0, apart=1.0)
    narrow = ScoreSettings(svm_solver="nystroem", svm_gamma=1e5)
    with pytest.raises(CompositionError, match=r"512 landmarks leave .* unexplained"):
        fit_support_vectors(values, label, "rbf", narrow)


@pytest.mark.parametrize("penalty", [1e-3, 1.0, 1e3])
def test_penalties_far_apart_converge(penalty):
    values, label = components(1500, 2, 0, apart=1.0)
    fast = ScoreSettings(svm_solver="nystroem", svm_c=penalty)
    for kernel in ("rbf", "linear"):
        assert np.isfinite(fit_support_vectors(values, label, kernel, fast).decision(values)).all()
