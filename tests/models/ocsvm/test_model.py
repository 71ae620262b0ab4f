"""The one-class SVM against the library's."""

from typing import Any

import numpy as np
import pytest
from sklearn.svm import OneClassSVM

from tests.models.fitted_once import fit, flat, only_error
from tests.models.trained import Build, Waves


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"nu": 0.5, "gamma": 0.3},
        {"nu": 0.99, "components": 3},
        {"nu": 0.01, "gamma": 20.0, "components": 3},
    ],
)
def test_ocsvm_is_the_decision_of_the_library_on_components(
    settings: dict[str, Any], build: Build, waves: Waves
) -> None:
    x, new = waves(80), waves(40, seed=1)
    model: Any = build("ocsvm", settings=settings)
    fit(model, x)
    mean = flat(x).mean(axis=0)
    _, _, right = np.linalg.svd(flat(x) - mean, full_matrices=False)
    kept = right[: settings.get("components", 50)]
    machine = OneClassSVM(nu=settings.get("nu", 0.05), gamma=settings.get("gamma", "scale"))
    machine.fit((flat(x) - mean) @ kept.T)
    # Components have no sign of their own; distances, and so the machine, do not see it.
    for samples in (x, new, new * 5):
        expected = -machine.decision_function((flat(samples) - mean) @ kept.T)
        scale = np.abs(expected).max()
        np.testing.assert_allclose(only_error(model, samples), expected, atol=2e-3 * scale)


def test_ocsvm_scores_are_those_of_its_own_machine(build: Build, waves: Waves) -> None:
    x, new = waves(80), waves(40, seed=1)
    model: Any = build("ocsvm", settings={"nu": 0.3})
    fit(model, x)
    kept = {key: value.numpy() for key, value in model.weights().items()}
    z = (flat(x) - kept["mean"]) @ kept["components"].T
    machine = OneClassSVM(nu=0.3, gamma=float(kept["gamma"][0])).fit(z)
    expected = -machine.decision_function((flat(new) - kept["mean"]) @ kept["components"].T)
    result = model.score(kept, flat(new))
    np.testing.assert_allclose(result, expected, rtol=1e-9, atol=1e-12)
    assert kept["gamma"][0] == pytest.approx(1 / (z.shape[1] * z.var()))


def test_at_most_the_share_nu_of_training_normals_is_outside(build: Build, waves: Waves) -> None:
    x = waves(300)
    model = build("ocsvm", settings={"nu": 0.2})
    fit(model, x)
    # A sample on the boundary is outside by what the machine is exact to.
    assert 0.1 < np.mean(only_error(model, x) > 0.01) <= 0.2
    assert len(model.weights()["support_vectors"]) >= 0.2 * len(x)
