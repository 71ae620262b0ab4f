"""Models that are fitted once: their numbers by another road, and what decides a fit."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import safetensors.torch
import torch
from sklearn.svm import OneClassSVM
from torch import Tensor

from models import MODELS, OUTLIER_SCORE, RECONSTRUCTION_ERROR
from models.classical import SCORED_AT_ONCE
from models.interface import Model

Build = Callable[..., Model]
Waves = Callable[..., Tensor]

NAMES = [name for name, entry in MODELS.items() if entry.fitted_once]


def fit(model: Model, x: Tensor) -> dict[str, float]:
    return model.train_epoch(x, torch.arange(len(x)))


def flat(x: Tensor) -> npt.NDArray[np.float64]:
    return x.flatten(1).numpy().astype(np.float64)


def only_error(model: Model, x: Tensor) -> npt.NDArray[np.float32]:
    (values,) = model.errors(x).values()
    found: npt.NDArray[np.float32] = values.numpy()
    return found


# --- all of them ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_another_epoch_gives_the_same(name: str, build: Build, waves: Waves) -> None:
    x = waves(40)
    model = build(name)
    losses, weights = fit(model, x), model.weights()
    assert fit(model, x) == losses
    assert all(torch.equal(value, weights[key]) for key, value in model.weights().items())


@pytest.mark.parametrize("name", NAMES)
def test_the_loss_is_the_mean_error_of_what_was_fitted(
    name: str, build: Build, waves: Waves
) -> None:
    x = waves(40)
    model = build(name)
    (component,) = MODELS[name].components
    assert fit(model, x) == {
        f"mean_{component}": pytest.approx(only_error(model, x).mean(dtype=np.float64), rel=1e-5)
    }


@pytest.mark.parametrize("name", NAMES)
def test_what_was_not_fitted_does_not_score(name: str, build: Build, waves: Waves) -> None:
    model = build(name)
    assert model.weights() == {}
    with pytest.raises(RuntimeError, match="must be trained or loaded"):
        model.errors(waves(3))


@pytest.mark.parametrize("name", NAMES)
def test_weights_of_another_model_are_refused(name: str, build: Build, waves: Waves) -> None:
    model = build(name)
    fit(model, waves(20))
    weights = model.weights()
    with pytest.raises(ValueError, match=r"needs the weights .*, found nothing_of_it"):
        model.load_weights({"nothing_of_it": torch.zeros(1)})
    weights.pop(next(iter(weights)))
    weights["one_more"] = torch.zeros(1)
    with pytest.raises(ValueError, match="needs the weights"):
        model.load_weights(weights)


@pytest.mark.parametrize("name", NAMES)
def test_weights_go_through_a_safetensors_file(name: str, build: Build, waves: Waves) -> None:
    x = waves(40, 2, 64)
    model, other = build(name, (2, 64)), build(name, (2, 64))
    fit(model, x)
    other.load_weights(safetensors.torch.load(safetensors.torch.save(model.weights())))
    assert np.array_equal(only_error(model, x), only_error(other, x))


@pytest.mark.parametrize("name", NAMES)
def test_weights_are_copies_both_ways(name: str, build: Build, waves: Waves) -> None:
    x = waves(40)
    model, other = build(name), build(name)
    fit(model, x)
    expected = only_error(model, x)
    weights = model.weights()
    other.load_weights(weights)
    for value in weights.values():
        value.zero_()
    assert np.array_equal(only_error(model, x), expected)
    assert np.array_equal(only_error(other, x), expected)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("count", [0, 1, SCORED_AT_ONCE, SCORED_AT_ONCE + 1])
def test_any_number_of_samples_is_scored(name: str, count: int, build: Build, waves: Waves) -> None:
    model = build(name)
    fit(model, waves(20))
    x = waves(SCORED_AT_ONCE + 1)
    whole, part = only_error(model, x), only_error(model, x[:count])
    assert part.shape == (count,)
    np.testing.assert_allclose(part, whole[:count], rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("count", [2, 3])
def test_few_and_equal_samples_are_no_failure(
    name: str, count: int, build: Build, waves: Waves
) -> None:
    x = waves(1).repeat(count, 1, 1)
    model = build(name)
    assert all(np.isfinite(loss) for loss in fit(model, x).values())
    assert np.isfinite(only_error(model, waves(5))).all()


@pytest.mark.parametrize("name", NAMES)
def test_samples_unlike_the_training_normals_score_higher(
    name: str, build: Build, waves: Waves
) -> None:
    model = build(name)
    fit(model, waves(200))
    steps = (torch.arange(32) % 8 < 4).float().expand(10, 1, 32)
    assert only_error(model, steps).min() > only_error(model, waves(50, seed=1)).max()


@pytest.mark.parametrize("name", ["knn", "ocsvm"])
def test_what_is_too_much_to_fit_is_drawn_from_the_stream_of_batches(
    name: str, build: Build, waves: Waves
) -> None:
    x = waves(50)
    settings = {"max_training_samples": 20}

    def weights(seeds: tuple[int, int, int], of: Tensor = x) -> dict[str, Tensor]:
        model = build(name, seeds=seeds, settings=settings)
        fit(model, of)
        return model.weights()

    first, same, other = weights((1, 2, 3)), weights((8, 2, 9)), weights((1, 7, 3))
    assert all(torch.equal(first[key], same[key]) for key in first)
    assert any(not torch.equal(first[key], other[key]) for key in first)
    few = [weights((1, seed, 3), x[:20]) for seed in (2, 7)]
    assert all(torch.equal(few[0][key], few[1][key]) for key in few[0])


def test_what_is_drawn_is_different_training_normals(build: Build, waves: Waves) -> None:
    x = waves(50)
    members = torch.arange(1, 50, 2)
    model = build("knn", settings={"max_training_samples": 10})
    model.train_epoch(x, members)
    points = model.weights()["points"]
    assert points.shape == (10, 32)
    places = [int((x.flatten(1) == point).all(dim=1).nonzero()) for point in points]
    assert len(set(places)) == 10
    assert set(places) <= set(members.tolist())


# --- PCA ------------------------------------------------------------------------------------


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
    found = model.reconstruct(outside)
    assert found.min() == 0
    assert found.max() == 1


# --- nearest neighbours ---------------------------------------------------------------------


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


# --- one-class SVM --------------------------------------------------------------------------


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
    found = model.score(kept, flat(new))
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)
    assert kept["gamma"][0] == pytest.approx(1 / (z.shape[1] * z.var()))


def test_at_most_the_share_nu_of_training_normals_is_outside(build: Build, waves: Waves) -> None:
    x = waves(300)
    model = build("ocsvm", settings={"nu": 0.2})
    fit(model, x)
    # A sample on the boundary is outside by what the machine is exact to.
    assert 0.1 < np.mean(only_error(model, x) > 0.01) <= 0.2
    assert len(model.weights()["support_vectors"]) >= 0.2 * len(x)
