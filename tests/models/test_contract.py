"""What scores of every model of the table promise, whatever it is made of."""

import pytest
import torch
from torch import Tensor

from models import MODELS, OUTLIER_SCORE, RECONSTRUCTION_ERROR, components_of
from models.bases import classical, gradient
from models.interface import Model
from tests.models.contract import NAMES, Trained, assert_same_tree, rounding
from tests.models.trained import Build, Waves

pytestmark = pytest.mark.parametrize("name", NAMES)
SHAPES = [(1, 32), (3, 64)]
"""Channels and length of samples."""


def one_by_one(model: Model, x: Tensor) -> dict[str, Tensor]:
    alone = [model.errors(sample[None]) for sample in x]
    return {name: torch.cat([errors[name] for errors in alone]) for name in model.components}


@pytest.mark.parametrize(("channels", "length"), SHAPES)
def test_every_sample_gets_each_component(
    name: str, channels: int, length: int, trained: Trained, waves: Waves
) -> None:
    model = trained(name, channels, length)
    errors = model.errors(waves(10, channels, length, seed=1))
    assert tuple(errors) == model.components == components_of(MODELS[name].settings())
    for component, values in errors.items():
        assert values.shape == (10,)
        assert values.dtype == torch.float32
        assert torch.isfinite(values).all()
        assert component == OUTLIER_SCORE or (values >= 0).all()
        assert values.unique().numel() > 1


@pytest.mark.parametrize(("channels", "length"), SHAPES)
def test_errors_of_channels_say_which_channel_it_was(
    name: str, channels: int, length: int, trained: Trained, waves: Waves
) -> None:
    x, model = waves(6, channels, length, seed=1), trained(name, channels, length)
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


def test_a_score_does_not_depend_on_its_batch_or_on_what_was_scored_before(
    name: str, trained: Trained, waves: Waves
) -> None:
    x, model = waves(7, seed=1), trained(name)
    whole = model.errors(x)
    assert_same_tree(whole, model.errors(x))
    order = torch.tensor([5, 6, 0, 1, 2, 3, 4])
    shuffled, alone = model.errors(x[order]), one_by_one(model, x)
    for component, values in whole.items():
        near = {"rtol": 1e-5 * rounding(name), "atol": 1e-9}
        torch.testing.assert_close(alone[component], values, **near)
        torch.testing.assert_close(shuffled[component], values[order], **near)


def test_scoring_leaves_training_as_it_was(name: str, trained: Trained, waves: Waves) -> None:
    x = waves()
    scored, other = trained(name), trained(name)
    scored.errors(x[:5])
    scored.reconstruct(x[:5])
    assert_same_tree(other.state(), scored.state())
    for model in (scored, other):
        model.train_epoch(x, torch.arange(len(x)))
    assert_same_tree(scored.state(), other.state())


def test_a_reconstruction_has_the_shape_and_range_of_its_sample_and_the_error_is_its_own(
    name: str, trained: Trained, waves: Waves
) -> None:
    x, model = waves(5, 3, 64, seed=1), trained(name, 3, 64)
    reconstructed = model.reconstruct(x)
    assert (reconstructed is None) == (RECONSTRUCTION_ERROR not in model.components)
    if reconstructed is None:
        return
    assert reconstructed.shape == x.shape
    assert reconstructed.dtype == torch.float32
    assert reconstructed.abs().max() <= 1
    expected = ((x.double() - reconstructed.double()) ** 2).flatten(1).mean(dim=1).float()
    torch.testing.assert_close(
        model.errors(x)[RECONSTRUCTION_ERROR], expected, rtol=1e-5, atol=1e-8
    )


def test_weights_alone_carry_the_errors_over(
    name: str, build: Build, trained: Trained, waves: Waves
) -> None:
    x, model = waves(seed=1), trained(name)
    untrained, other = (build(name, seeds=(91, 92, 93)) for _ in range(2))
    other.train_epoch(x, torch.arange(len(x)))
    expected = model.errors(x[:5])
    others = other.errors(x[:5])
    assert any(not torch.equal(values, others[key]) for key, values in expected.items())
    for each in (untrained, other):
        each.load_weights(model.weights())
        assert_same_tree(expected, each.errors(x[:5]))
        assert_same_tree(model.weights(), each.weights())


@pytest.mark.parametrize(("channels", "length"), SHAPES)
def test_freezing_changes_no_score(
    name: str, channels: int, length: int, trained: Trained, waves: Waves
) -> None:
    x, model = waves(7, channels, length, seed=1), trained(name, channels, length)
    errors, reconstructed = model.errors(x), model.reconstruct(x)
    model.freeze()
    frozen_errors, alone = model.errors(x), one_by_one(model, x)
    assert_same_tree(frozen_errors, model.errors(x))
    near = {"rtol": 1e-4 * rounding(name), "atol": 1e-8}
    assert tuple(frozen_errors) == model.components
    for component, values in errors.items():
        assert frozen_errors[component].shape == values.shape
        assert frozen_errors[component].dtype == torch.float32
        torch.testing.assert_close(frozen_errors[component], values, **near)
        torch.testing.assert_close(alone[component], values, **near)
    again = model.reconstruct(x)
    assert (again is None) == (reconstructed is None)
    if reconstructed is not None and again is not None:
        assert again.dtype == torch.float32
        torch.testing.assert_close(again, reconstructed, rtol=1e-4, atol=1e-5)


def test_an_examination_says_what_each_function_says(
    name: str, trained: Trained, waves: Waves, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of more samples than a batch, drawn latents included."""
    monkeypatch.setattr(gradient, "SCORING_BATCH", 16)
    monkeypatch.setattr(classical, "SCORED_AT_ONCE", 16)
    x, model = waves(40, seed=1), trained(name)
    examined = model.examine(x)
    assert_same_tree(examined.errors, model.errors(x))
    reconstructed, latents = model.reconstruct(x), model.latents(x)
    assert_same_tree({"x̂": examined.reconstruction}, {"x̂": reconstructed})
    assert (examined.latents is None) == (latents is None)
    if examined.latents and latents:
        assert_same_tree(vars(examined.latents), vars(latents))
