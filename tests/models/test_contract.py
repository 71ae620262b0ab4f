"""What scores of every model of the table promise, whatever it is made of."""

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from models import MODELS, OUTLIER_SCORE, RECONSTRUCTION_ERROR, components_of
from models.interface import Model
from tests.models.contract import NAMES, Build, Waves, assert_same_tree, rounding, trained

pytestmark = pytest.mark.parametrize("name", NAMES)


@pytest.mark.parametrize(("channels", "length"), [(1, 32), (3, 64)])
def test_every_sample_gets_each_component(
    name: str, channels: int, length: int, build: Build, waves: Waves
) -> None:
    x = waves(10, channels, length)
    model = trained(build, name, x)
    errors = model.errors(x)
    assert tuple(errors) == model.components == components_of(MODELS[name].settings())
    for component, values in errors.items():
        assert values.shape == (10,)
        assert values.dtype == torch.float32
        assert torch.isfinite(values).all()
        assert component == OUTLIER_SCORE or (values >= 0).all()
        assert values.unique().numel() > 1


@pytest.mark.parametrize("channels", [1, 3])
def test_errors_of_channels_say_which_channel_it_was(
    name: str, channels: int, build: Build, waves: Waves
) -> None:
    x = waves(6, channels, 32)
    model = trained(build, name, x)
    by_channel = model.channel_errors(x)
    reconstructed = model.reconstruct(x)
    if channels == 1 or reconstructed is None:
        assert by_channel == {}
        return
    assert set(by_channel) == {"reconstruction_error", "discrimination_error"} & {*model.components}
    errors = model.errors(x)["reconstruction_error"]
    near = {"rtol": 1e-5 * rounding(name), "atol": 1e-8}
    torch.testing.assert_close(by_channel["reconstruction_error"].mean(dim=1), errors, **near)
    again = model.channel_errors(x[:2])
    for component, values in by_channel.items():
        assert values.shape == (6, 3)
        assert values.dtype == torch.float32
        torch.testing.assert_close(again[component], values[:2], **near)
    one_wrong = x.clone()
    one_wrong[:, 1] = 1 - one_wrong[:, 1]
    for values in model.compare_channels(x, one_wrong).values():
        assert (values[:, 1] > 0).all()
        assert (values[:, [0, 2]] == 0).all()


def test_scoring_twice_gives_the_same(name: str, build: Build, waves: Waves) -> None:
    x = waves()
    model = trained(build, name, x)
    assert_same_tree(model.errors(x), model.errors(x))


def test_a_score_does_not_depend_on_its_batch(name: str, build: Build, waves: Waves) -> None:
    x = waves(13)
    model = trained(build, name, x)
    whole = model.errors(x)
    order = torch.tensor([5, 12, 0, 7, 1, 2, 3, 4, 6, 8, 9, 10, 11])
    shuffled = model.errors(x[order])
    for component, values in whole.items():
        alone = torch.cat([model.errors(x[i : i + 1])[component] for i in range(len(x))])
        near = {"rtol": 1e-5 * rounding(name), "atol": 1e-9}
        torch.testing.assert_close(alone, values, **near)
        torch.testing.assert_close(shuffled[component], values[order], **near)


def test_scoring_leaves_training_as_it_was(name: str, build: Build, waves: Waves) -> None:
    x = waves()
    scored, other = trained(build, name, x), trained(build, name, x)
    before = copy.deepcopy(scored.state())
    scored.errors(x)
    scored.reconstruct(x)
    assert_same_tree(before, scored.state())
    for model in (scored, other):
        model.train_epoch(x, torch.arange(len(x)))
    assert_same_tree(scored.state(), other.state())


def test_a_reconstruction_has_the_shape_and_range_of_its_sample(
    name: str, build: Build, waves: Waves
) -> None:
    x = waves(5, 2, 64)
    model = trained(build, name, x)
    reconstructed = model.reconstruct(x)
    if reconstructed is None:
        assert RECONSTRUCTION_ERROR not in model.components
        return
    assert reconstructed.shape == x.shape
    assert reconstructed.dtype == torch.float32
    assert reconstructed.abs().max() <= 1


def test_the_reconstruction_error_is_that_of_the_reconstruction(
    name: str, build: Build, waves: Waves
) -> None:
    x = waves(6)
    model = trained(build, name, x)
    reconstructed = model.reconstruct(x)
    if reconstructed is None or "reconstruction_error" not in model.components:
        pytest.skip("reconstructs nothing")
    expected = ((x.double() - reconstructed.double()) ** 2).flatten(1).mean(dim=1).float()
    torch.testing.assert_close(
        model.errors(x)["reconstruction_error"], expected, rtol=1e-5, atol=1e-8
    )


def test_weights_alone_carry_the_errors_over(name: str, build: Build, waves: Waves) -> None:
    x = waves()
    model = trained(build, name, x)
    untrained = build(name, seeds=(91, 92, 93))
    other = trained(build, name, waves(seed=1), seeds=(91, 92, 93))
    assert any(not torch.equal(a, b) for a, b in zip(*map(_errors(x), (model, other)), strict=True))
    for each in (untrained, other):
        each.load_weights(model.weights())
        assert_same_tree(model.errors(x), each.errors(x))
        assert_same_tree(model.weights(), each.weights())


def _errors(x: Tensor) -> Callable[[Model], list[Tensor]]:
    return lambda model: list(model.errors(x).values())


@pytest.mark.parametrize("channels", [1, 3])
def test_freezing_changes_no_score(name: str, channels: int, build: Build, waves: Waves) -> None:
    x = waves(13, channels, 64)
    model = trained(build, name, x)
    errors, reconstructed = model.errors(x), model.reconstruct(x)
    model.freeze()
    frozen_errors = model.errors(x)
    near = {"rtol": 1e-4 * rounding(name), "atol": 1e-8}
    assert tuple(frozen_errors) == model.components
    for component, values in errors.items():
        assert frozen_errors[component].shape == values.shape
        assert frozen_errors[component].dtype == torch.float32
        torch.testing.assert_close(frozen_errors[component], values, **near)
        alone = torch.cat([model.errors(x[i : i + 1])[component] for i in range(len(x))])
        torch.testing.assert_close(alone, values, **near)
    again = model.reconstruct(x)
    assert (again is None) == (reconstructed is None)
    if reconstructed is not None and again is not None:
        assert again.dtype == torch.float32
        torch.testing.assert_close(again, reconstructed, rtol=1e-4, atol=1e-5)


def test_a_frozen_model_scores_twice_alike(name: str, build: Build, waves: Waves) -> None:
    x = waves()
    model = trained(build, name, x)
    model.freeze()
    first = model.errors(x)
    assert_same_tree(first, model.errors(x))


def test_an_examination_says_what_each_function_says(name: str, build: Build, waves: Waves) -> None:
    """Of more samples than a batch, drawn latents included."""
    x = waves(1500)
    model = trained(build, name, x[:20])
    examined = model.examine(x)
    assert_same_tree(examined.errors, model.errors(x))
    reconstructed, latents = model.reconstruct(x), model.latents(x)
    assert_same_tree({"x̂": examined.reconstruction}, {"x̂": reconstructed})
    assert (examined.latents is None) == (latents is None)
    if examined.latents and latents:
        assert_same_tree(vars(examined.latents), vars(latents))
