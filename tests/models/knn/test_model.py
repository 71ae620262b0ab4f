"""Nearest neighbours by brute force."""

import numpy as np
import pytest
import torch

from models import OUTLIER_SCORE
from tests.models.fitted_once import fit, flat, only_error
from tests.models.trained import Build, Waves


@pytest.mark.parametrize(("neighbours", "stored"), [(1, 30), (5, 30), (5, 6), (5, 4), (5, 1)])
def test_knn_is_the_mean_distance_by_brute_force(
    neighbours: int, stored: int, build: Build, waves: Waves
) -> None:
    x, new = waves(stored), waves(20, seed=1)
    model = build("knn", settings={"neighbours": neighbours})
    fit(model, x)
    distances = np.sqrt(((flat(new)[:, None] - flat(x)[None]) ** 2).sum(axis=2))
    counted = max(1, min(neighbours, stored - 1))
    expected = np.sort(distances, axis=1)[:, :counted].mean(axis=1)
    np.testing.assert_allclose(model.errors(new)[OUTLIER_SCORE], expected, rtol=1e-6)


def test_knn_scores_a_stored_sample_as_if_it_were_left_out(build: Build, waves: Waves) -> None:
    x = waves(30)
    whole = build("knn")
    fit(whole, x)
    for left_out in (0, 17):
        others = torch.cat([x[:left_out], x[left_out + 1 :]])
        without = build("knn")
        fit(without, others)
        sample = x[left_out : left_out + 1]
        np.testing.assert_allclose(
            only_error(whole, sample), only_error(without, sample), rtol=1e-6
        )


def test_knn_counts_a_second_sample_that_is_the_same(build: Build, waves: Waves) -> None:
    x = waves(30)
    model = build("knn", settings={"neighbours": 1})
    fit(model, torch.cat([x, x[:1]]))
    assert only_error(model, x[:1]) == 0
    assert only_error(model, x[1:2]) > 0


def test_what_is_drawn_is_different_training_normals(build: Build, waves: Waves) -> None:
    x = waves(50)
    members = torch.arange(1, 50, 2)
    model = build("knn", settings={"max_training_samples": 10})
    model.train_epoch(x, members)
    points = model.weights()["points"]
    assert points.shape == (10, 32)
    indices = [int((x.flatten(1) == point).all(dim=1).nonzero()) for point in points]
    assert len(set(indices)) == 10
    assert set(indices) <= set(members.tolist())
