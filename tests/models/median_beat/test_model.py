"""The distance from the median normal."""

import numpy as np
import torch

from tests.models.fitted_once import fit, flat, only_error
from tests.models.trained import Build, Waves


def test_the_score_is_the_distance_from_the_median(build: Build, waves: Waves) -> None:
    x, new = waves(31, 2), waves(10, 2, seed=1)
    model = build("median_beat", (2, 32))
    fit(model, x)
    middle = np.sort(flat(x), axis=0)[15]
    expected = [np.sqrt(sum((row - middle) ** 2)) for row in flat(new)]
    np.testing.assert_allclose(only_error(model, new), expected, rtol=1e-6)


def test_a_few_outliers_among_the_normals_move_nothing(build: Build, waves: Waves) -> None:
    x = waves(200)
    x[:20] = 1000.0
    model = build("median_beat")
    fit(model, x)
    assert only_error(model, waves(50, seed=1)).max() < 10
    assert torch.isfinite(model.weights()["median"]).all()
