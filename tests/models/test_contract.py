"""What every model of the table promises, whatever it is made of."""

import copy
import io
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from models import MODELS, OUTLIER_SCORE, RECONSTRUCTION_ERROR, components_of
from models.interface import Model
from models.settings import LatentSearchSettings

Build = Callable[..., Model]
Waves = Callable[..., Tensor]

pytestmark = pytest.mark.parametrize("name", list(MODELS))


def leaves(tree: Any, path: str = "") -> dict[str, Any]:
    """A tree of dicts, lists and values, flat."""
    if isinstance(tree, dict):
        items = tree.items()
    elif isinstance(tree, list | tuple):
        items = enumerate(tree)
    else:
        return {path: tree}
    flat: dict[str, Any] = {}
    for key, value in items:
        flat |= leaves(value, f"{path}/{key}")
    return flat


def assert_same_tree(first: Any, second: Any) -> None:
    first, second = leaves(first), leaves(second)
    assert first.keys() == second.keys()
    for key, value in first.items():
        if isinstance(value, Tensor):
            assert torch.equal(value, second[key]), key
        else:
            assert value == second[key], key


def trained(build: Build, name: str, x: Tensor, **options: Any) -> Model:
    model = build(name, (x.shape[1], x.shape[2]), **options)
    model.train_epoch(x, torch.arange(len(x)))
    return model


def rounding(name: str) -> float:
    """How many times further two batches may be apart: Adam's first steps are large
    wherever a gradient is not 0, and so make rounding larger."""
    return 100 if issubclass(MODELS[name].settings, LatentSearchSettings) else 1


def skip_without_networks(name: str) -> None:
    if MODELS[name].fitted_once:
        pytest.skip("has no networks; its own tests say what decides its fit")


def test_an_epoch_has_finite_losses_and_moves_weights(
    name: str, build: Build, waves: Waves
) -> None:
    x = waves()
    model = build(name)
    before = model.weights()
    losses = model.train_epoch(x, torch.arange(len(x)))
    assert losses
    assert all(isinstance(v, float) and math.isfinite(v) for v in losses.values())
    after = model.weights()
    assert after
    assert any(key not in before or not torch.equal(before[key], after[key]) for key in after)


@pytest.mark.parametrize(("channels", "length"), [(1, 32), (2, 64)])
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


def test_weights_are_copies(name: str, build: Build, waves: Waves) -> None:
    x = waves()
    model = build(name)
    weights = model.weights()
    kept = copy.deepcopy(weights)
    model.train_epoch(x, torch.arange(len(x)))
    assert_same_tree(weights, kept)


@pytest.mark.parametrize("saved", [False, True])
def test_training_goes_on_from_a_state_as_if_never_interrupted(
    name: str, saved: bool, build: Build, waves: Waves
) -> None:
    x = waves()
    members = torch.arange(len(x))
    model = trained(build, name, x)
    state = copy.deepcopy(model.state())
    if saved:
        file = io.BytesIO()
        torch.save(state, file)
        state = torch.load(io.BytesIO(file.getvalue()), weights_only=True)
    other = build(name, seeds=(91, 92, 93))
    other.load_state(state)
    assert model.train_epoch(x, members) == other.train_epoch(x, members)
    assert_same_tree(model.state(), other.state())
    assert_same_tree(model.errors(x), other.errors(x))


def test_a_state_is_not_changed_by_further_training(name: str, build: Build, waves: Waves) -> None:
    x = waves()
    model = trained(build, name, x)
    state = model.state()
    kept = copy.deepcopy(state)
    model.train_epoch(x, torch.arange(len(x)))
    assert_same_tree(state, kept)


def test_equal_seeds_give_equal_training(name: str, build: Build, waves: Waves) -> None:
    x = waves()
    assert_same_tree(build(name).weights(), build(name).weights())
    assert_same_tree(trained(build, name, x).state(), trained(build, name, x).state())


def test_each_seed_decides_its_own_stream(name: str, build: Build, waves: Waves) -> None:
    skip_without_networks(name)
    x = waves()
    base = build(name).weights()
    others = build(name, seeds=(7, 2, 3)).weights()
    random = [key for key, value in base.items() if value.is_floating_point() and value.ndim > 1]
    assert random
    assert all(not torch.equal(base[key], others[key]) for key in random)
    assert_same_tree(base, build(name, seeds=(1, 7, 8)).weights())
    first = trained(build, name, x).weights()
    second = trained(build, name, x, seeds=(1, 7, 3)).weights()
    assert any(not torch.equal(first[key], second[key]) for key in random)


def test_the_global_stream_is_neither_read_nor_moved(name: str, build: Build, waves: Waves) -> None:
    x = waves()
    torch.manual_seed(5)
    before = torch.get_rng_state()
    model = trained(build, name, x)
    model.errors(x)
    model.reconstruct(x)
    assert torch.equal(before, torch.get_rng_state())
    torch.manual_seed(6)
    assert_same_tree(model.state(), trained(build, name, x).state())


def test_only_members_are_trained_on(name: str, build: Build, waves: Waves) -> None:
    x = waves(24)
    members = torch.arange(0, 24, 2)
    spoiled = x.clone()
    spoiled[1::2] = float("nan")
    first, second = build(name), build(name)
    assert first.train_epoch(x, members) == second.train_epoch(spoiled, members)
    assert_same_tree(first.state(), second.state())


def test_a_last_batch_of_one_is_no_failure(name: str, build: Build, waves: Waves) -> None:
    x = waves(9)
    losses = build(name).train_epoch(x, torch.arange(9))
    assert all(math.isfinite(v) for v in losses.values())


def test_half_precision_stays_out_of_weights_and_optimizers(
    name: str, build: Build, waves: Waves
) -> None:
    skip_without_networks(name)
    x = waves()
    model = build(name, precision="bfloat16")
    losses = model.train_epoch(x, torch.arange(len(x)))
    assert all(math.isfinite(v) for v in losses.values())
    found = {
        key: value.dtype
        for key, value in leaves(model.state()).items()
        if isinstance(value, Tensor) and value.is_floating_point()
    }
    assert set(found.values()) == {torch.float32}
    assert any(key.startswith("/optimizers") for key in found)
    assert all(v.dtype == torch.float32 for v in model.errors(x).values())
    full = build(name)
    assert losses != full.train_epoch(x, torch.arange(len(x)))


@pytest.mark.parametrize("channels", [1, 3])
def test_freezing_changes_no_score(name: str, channels: int, build: Build, waves: Waves) -> None:
    x = waves(13, channels, 64)
    model = trained(build, name, x)
    errors, reconstructed = model.errors(x), model.reconstruct(x)
    model.freeze()
    found = model.errors(x)
    near = {"rtol": 1e-4 * rounding(name), "atol": 1e-8}
    assert tuple(found) == model.components
    for component, values in errors.items():
        assert found[component].shape == values.shape
        assert found[component].dtype == torch.float32
        torch.testing.assert_close(found[component], values, **near)
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


def test_defaults_are_those_of_the_paper(name: str, build: Build) -> None:
    skip_without_networks(name)
    model: Any = build(name, batch_size=MODELS[name].training_defaults.get("batch_size", 256))
    trained_one = getattr(model, "refined", model)
    settings, training = trained_one.settings, trained_one.training
    common = {
        "latent_size": settings.latent_size,
        "output_layer": settings.output_layer,
        "optimizer": training.optimizer.name,
        "learning_rate": training.optimizer.learning_rate,
        "betas": training.optimizer.betas,
        "updates": training.discriminator_updates,
        "batch": training.batch_size,
        "epochs": training.epochs,
    }
    for key in ("reconstruction_loss", "spectral_norm", "nu"):
        if hasattr(settings, key):
            common[key] = getattr(settings, key)
    plus = {
        "latent_size": 6,
        "output_layer": "sigmoid",
        "reconstruction_loss": "bce",
        "spectral_norm": True,
        "optimizer": "adabelief",
        "learning_rate": 2e-4,
        "betas": (0.5, 0.99),
        "updates": 3,
        "batch": 256,
        "epochs": 500,
        "nu": 1.0,
    }
    original = {
        "latent_size": 50,
        "output_layer": "tanh",
        "reconstruction_loss": "mse",
        "spectral_norm": False,
        "optimizer": "adam",
        "learning_rate": 1e-4,
        "betas": (0.5, 0.999),
        "updates": 1,
        "batch": 64,
        "epochs": 500,
        "nu": 1.0,
    }
    paper = original if name == "beatgan" else plus
    assert common == {key: paper[key] for key in common}
    if name != "beatgan":
        assert training.optimizer.epsilon == 1e-16
        assert training.optimizer.rectify
    if hasattr(settings, "beta"):
        assert settings.latent == "mean"
        assert settings.beta == {"vae": 0.0}.get(name, 1e-4)
    with_loss = {"ae", "vae", "beatgan", "beatgan_plus", "beta_vaegan", "latent_refinement"}
    assert hasattr(settings, "reconstruction_loss") == (name in with_loss)
    assert hasattr(settings, "spectral_norm") == (name not in {"ae", "vae"})
