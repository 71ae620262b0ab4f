import functools

import numpy as np
import pytest
from sklearn.svm import SVC

from study.scores.components import CompositionError
from study.scores.kernels import _CHUNK_VALUES
from study.scores.settings import ScoreSettings
from study.scores.support_vectors import fit_support_vectors


def two_moons(count, columns, seed=0):
    rng = np.random.default_rng(seed)
    label = (rng.random(count) < 0.4).astype(np.int8)
    return rng.normal(0.0, 0.2, (count, columns)) + 0.3 * label[:, None], label


@pytest.mark.parametrize("kernel", ["rbf", "linear"])
@pytest.mark.parametrize("gamma", ["scale", "auto", 3.5])
@pytest.mark.parametrize("columns", [2, 3])
def test_the_arrays_decide_as_scikit_learn(kernel, gamma, columns):
    values, label = two_moons(400, columns)
    others, _ = two_moons(700, columns, seed=1)
    found = fit_support_vectors(values, label, kernel, ScoreSettings(svm_c=2.0, svm_gamma=gamma))
    expected = SVC(C=2.0, kernel=kernel, gamma=gamma).fit(values, label)
    np.testing.assert_allclose(
        found.decision(others), expected.decision_function(others), rtol=0, atol=1e-9
    )
    np.testing.assert_array_equal(found.decision(others) > 0, expected.predict(others) == 1)


def test_more_samples_than_are_held_at_once_are_decided_alike():
    values, label = two_moons(300, 2)
    found = fit_support_vectors(values, label, "rbf", ScoreSettings())
    copies = 2 + _CHUNK_VALUES // (len(found.vectors) * len(values))
    whole = found.decision(np.tile(values, (copies, 1)))
    np.testing.assert_allclose(whole, np.tile(found.decision(values), copies), rtol=0, atol=1e-12)


def test_values_far_outside_the_limits_have_a_finite_decision():
    values, label = two_moons(100, 2)
    found = fit_support_vectors(values, label, "rbf", ScoreSettings())
    assert found.decision(np.array([[1e150, -1e150]])) == pytest.approx(found.intercept)


def test_constant_columns_are_fitted():
    label = np.array([0, 0, 1], np.int8)
    found = fit_support_vectors(np.zeros((3, 2)), label, "rbf", ScoreSettings())
    assert np.isfinite(found.decision(np.zeros((2, 2)))).all()


@pytest.mark.filterwarnings("ignore:Solver terminated early")
def test_an_exact_machine_that_does_not_converge_has_a_reason(monkeypatch):
    values, label = two_moons(200, 2)
    monkeypatch.setattr("sklearn.svm.SVC", functools.partial(SVC, max_iter=3))
    with pytest.raises(CompositionError, match="did not converge in 3 steps"):
        fit_support_vectors(values, label, "rbf", ScoreSettings())


@pytest.mark.parametrize("label", [[0, 0], [1, 1]])
def test_one_class_has_a_reason(label):
    with pytest.raises(CompositionError, match="both classes are needed for a support vector"):
        fit_support_vectors(np.eye(2), np.array(label, np.int8), "rbf", ScoreSettings())


@pytest.mark.parametrize("solver", ["exact", "nystroem"])
@pytest.mark.parametrize("kernel", ["rbf", "linear"])
def test_a_machine_for_a_prevalence_is_that_of_repeated_samples(kernel, solver):
    """At twice the odds of being abnormal, each abnormal sample counts as two normal ones."""
    values, label = two_moons(300, 2)
    abnormal = int(label.sum())
    prevalence = 2 * abnormal / (len(label) + abnormal)
    settings = ScoreSettings(svm_solver=solver, svm_gamma=2.0, prevalence=prevalence)
    weighted = fit_support_vectors(values, label, kernel, settings)
    again = np.concatenate([values, values[label == 1]])
    # Weights are 1 in the mean of the samples that there are.
    penalty = len(label) / (len(label) + abnormal)
    repeated = SVC(C=penalty, kernel=kernel, gamma=2.0, tol=1e-6)
    repeated.fit(again, np.concatenate([label, label[label == 1]]))
    expected = repeated.decision_function(values)
    np.testing.assert_allclose(weighted.decision(values), expected, atol=0.06)
    decided = weighted.decision(values) > 0
    assert (decided == (expected > 0)).mean() > 0.98
    plain = fit_support_vectors(values, label, kernel, ScoreSettings(svm_gamma=2.0))
    assert decided.sum() > (plain.decision(values) > 0).sum()


@pytest.mark.parametrize(("penalty", "are_known"), [(1.0, True), (1e9, False)])
def test_support_is_unknown_where_rounding_exceeds_the_margin(penalty, are_known):
    values, label = np.array([[0.0, 0.0], [0.0, 0.0], [1.0, 1.0]]), np.array([0, 1, 1], np.int8)
    found = fit_support_vectors(values, label, "rbf", ScoreSettings(svm_c=penalty))
    assert (found.support is not None) == are_known
    if found.support is not None:
        np.testing.assert_array_equal(found.vectors, values[found.support])
