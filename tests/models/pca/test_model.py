"""Principal components by another road."""

from typing import Any

import numpy as np
import pytest

from models import RECONSTRUCTION_ERROR
from tests.models.fitted_once import fit, flat
from tests.models.trained import Build, Waves


@pytest.mark.parametrize("components", [1, 6, 500])
def test_pca_is_the_projection_by_singular_vectors(
    components: int, build: Build, waves: Waves
) -> None:
    x, new = waves(100, 2, 32), waves(30, 2, 32, seed=1)
    model: Any = build("pca", (2, 32), settings={"components": components})
    fit(model, x)
    mean = flat(x).mean(axis=0)
    _, _, right = np.linalg.svd(flat(x) - mean, full_matrices=False)
    kept = right[:components]
    projected = np.clip(mean + (flat(new) - mean) @ kept.T @ kept, 0, 1)
    np.testing.assert_allclose(flat(model.reconstruct(new)), projected, atol=1e-6)
    expected = np.mean((flat(new) - projected) ** 2, axis=1)
    np.testing.assert_allclose(
        model.errors(new)[RECONSTRUCTION_ERROR], expected, rtol=1e-5, atol=1e-12
    )


def test_pca_reconstructs_within_the_range_of_samples(build: Build, waves: Waves) -> None:
    model: Any = build("pca")
    fit(model, waves(100))
    outside = waves(10, seed=1) * 6 - 2
    result = model.reconstruct(outside)
    assert result.min() == 0
    assert result.max() == 1
