"""Nearest neighbours in MiniRocket's features."""

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import NearestNeighbors
from torch import Tensor

from models.bases.minirocket import MiniRocket
from models.interface import Model
from tests.models.fitted_once import fit, only_error
from tests.models.trained import Build, Waves


def features(model: Model, x: Tensor) -> np.ndarray:
    kept = {name: model.weights()[name].numpy() for name in MiniRocket.__dataclass_fields__}
    return MiniRocket(**kept).transform(x.numpy()).astype(np.float64)


@pytest.mark.parametrize(("components", "neighbours"), [(None, 1), (5, 1), (5, 3), (500, 1)])
def test_the_score_is_a_distance_in_principal_components(
    components: int | None, neighbours: int, build: Build, waves: Waves
) -> None:
    x, new = waves(30), waves(20, seed=1)
    settings = {"components": components, "neighbours": neighbours, "kernels": 84}
    model = build("rocket_knn", settings=settings)
    fit(model, x)
    stored, asked = features(model, x), features(model, new)
    if components is not None:
        pca = PCA(min(components, len(x) - 1), svd_solver="full").fit(stored)
        stored, asked = pca.transform(stored), pca.transform(asked)
    search = NearestNeighbors(n_neighbors=neighbours).fit(stored)
    expected = search.kneighbors(asked)[0].mean(axis=1)
    np.testing.assert_allclose(only_error(model, new), expected, rtol=1e-4)
    # A stored one is no neighbour of its own: scikit-learn's, without what is asked for.
    others = search.kneighbors()[0].mean(axis=1)
    np.testing.assert_allclose(only_error(model, x), others, rtol=1e-4)


def test_it_is_drawn_from_the_stream_of_weights(build: Build, waves: Waves) -> None:
    x = waves(20)
    biases = []
    for seeds in ((1, 2, 3), (1, 7, 9), (4, 2, 3)):
        model = build("rocket_knn", seeds=seeds, settings={"kernels": 84})
        fit(model, x)
        biases.append(model.weights()["biases"])
    assert torch.equal(biases[0], biases[1])
    assert not torch.equal(biases[0], biases[2])


def test_another_shape_is_found_though_its_values_are_those_of_normals(build: Build) -> None:
    """Sines of any phase are normal; a distance of values alone does not see their frequency."""
    random = np.random.default_rng(0)
    time = np.linspace(0, 1, 64)

    def sines(count: int, periods: float) -> Tensor:
        phase = random.random((count, 1))
        values = 0.5 + 0.4 * np.sin(2 * np.pi * (periods * time + phase))
        noisy = values + 0.1 * random.normal(size=values.shape)
        return torch.from_numpy(noisy.astype(np.float32))[:, None]

    x, new = sines(60, 4), torch.cat([sines(40, 4), sines(40, 4.5)])
    label = np.repeat([0, 1], 40)
    found = {}
    for name in ("rocket_knn", "median_beat"):
        model = build(name, (1, 64))
        fit(model, x)
        found[name] = roc_auc_score(label, only_error(model, new))
    assert found["rocket_knn"] > 0.8
    assert found["median_beat"] < 0.7
