"""The forest's own arrays and walk against scikit-learn's trees."""

from typing import Any

import numpy as np
import pytest
import torch
from sklearn import ensemble
from torch import Tensor

from models.isolation_forest.model import expected_depth, forest_scores, trees_to_arrays
from tests.models.trained import Build, Waves


@pytest.mark.parametrize(
    ("samples", "features", "options"),
    [
        (1000, 32, {}),
        (1000, 1, {"n_estimators": 1}),
        (300, 5, {"max_samples": 300, "n_estimators": 20}),
        (300, 5, {"max_samples": 3}),
        (50, 5, {"max_samples": 2}),
        (1, 5, {"max_samples": 1}),
    ],
)
def test_scores_are_those_of_the_library(
    samples: int, features: int, options: dict[str, Any]
) -> None:
    random = np.random.default_rng(0)
    x = random.normal(size=(samples, features)).astype(np.float32)
    x[::3] = np.round(x[::3])  # ties, and leaves of several samples
    forest = ensemble.IsolationForest(random_state=1, **options).fit(x)
    new = np.concatenate([x, 3 * random.normal(size=(200, features))]).astype(np.float32)
    arrays = trees_to_arrays([each.tree_ for each in forest.estimators_])
    result = forest_scores(arrays, new.astype(np.float64))
    np.testing.assert_allclose(result, -forest.score_samples(new), rtol=0, atol=1e-12)


def test_leaves_of_equal_samples_count_as_deep_as_they_would_go() -> None:
    x = np.repeat(np.array([[0.0], [1.0]], dtype=np.float32), 40, axis=0)
    forest = ensemble.IsolationForest(n_estimators=10, max_samples=64, random_state=0).fit(x)
    arrays = trees_to_arrays([each.tree_ for each in forest.estimators_])
    result = forest_scores(arrays, x.astype(np.float64))
    np.testing.assert_allclose(result, -forest.score_samples(x), rtol=0, atol=1e-12)


def test_thresholds_themselves_go_left() -> None:
    x = np.arange(64, dtype=np.float32)[:, None]
    forest = ensemble.IsolationForest(n_estimators=30, random_state=0).fit(x)
    arrays = trees_to_arrays([each.tree_ for each in forest.estimators_])
    edges = arrays["threshold"][arrays["left"] != np.arange(len(arrays["left"]))]
    edges = np.unique(edges.astype(np.float32)).astype(np.float64)[:, None]
    expected = -forest.score_samples(edges.astype(np.float32))
    np.testing.assert_allclose(forest_scores(arrays, edges), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("n", "depth"), [(0, 0), (1, 0), (2, 1), (3, 2 * (np.log(2) + np.euler_gamma) - 4 / 3)]
)
def test_the_expected_depth_is_that_of_the_source(n: int, depth: float) -> None:
    assert expected_depth(np.array([n]))[0] == pytest.approx(depth)


def test_the_model_scores_as_the_forest_of_its_seed(build: Build, waves: Waves) -> None:
    x, new = waves(400, 2, 32), waves(100, 2, 32, seed=1)
    model = build("isolation_forest", (2, 32), settings={"trees": 20, "samples_per_tree": 64})
    model.train_epoch(x, torch.arange(len(x)))
    seed = int(np.random.SeedSequence(1).generate_state(1)[0])
    forest = ensemble.IsolationForest(n_estimators=20, max_samples=64, random_state=seed)
    forest.fit(x.flatten(1).numpy())
    expected = -forest.score_samples(new.flatten(1).numpy())
    np.testing.assert_allclose(model.errors(new)["outlier_score"], expected, rtol=1e-6)


def test_the_stream_of_weights_decides_the_trees(build: Build, waves: Waves) -> None:
    x = waves(60)

    def thresholds(seeds: tuple[int, int, int]) -> Tensor:
        model = build("isolation_forest", seeds=seeds)
        model.train_epoch(x, torch.arange(len(x)))
        return model.weights()["threshold"]

    assert torch.equal(thresholds((1, 2, 3)), thresholds((1, 8, 9)))
    first, other = thresholds((1, 2, 3)), thresholds((7, 2, 3))
    assert first.shape != other.shape or not torch.equal(first, other)


def test_no_tree_is_grown_on_more_samples_than_there_are(build: Build, waves: Waves) -> None:
    model = build("isolation_forest")
    model.train_epoch(waves(20), torch.arange(20))
    weights = model.weights()
    assert (weights["samples"][weights["roots"]] == 20).all()
