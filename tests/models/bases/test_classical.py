"""Models that are fitted once: what decides a fit, and what is kept of it."""

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import Tensor

from models import MODELS
from models.bases.classical import SCORED_AT_ONCE
from tests.models.fitted_once import fit, only_error
from tests.models.trained import Build, Waves

NAMES = [name for name, entry in MODELS.items() if entry.fitted_once]


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
