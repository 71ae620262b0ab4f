"""AnoGAN and latent refinement: what is searched, and that nothing else moves."""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import expit
from torch import Tensor

from models import MODELS, REFINEMENT_ERRORS, components_of, training_defaults_of
from models.interface import Model
from models.losses import non_saturating_loss
from tests.models.moved import moved_by

Build = Callable[..., Model]
Waves = Callable[..., Tensor]

SEARCHING = ["anogan", "latent_refinement"]
ENCODERS = ["ae", "vae", "beatgan", "beatgan_plus", "beta_vaegan"]
SAME_TRAINING = {"batch_size": 8, "discriminator_updates": 2, "optimizer": {"name": "adam"}}


def trained(build: Build, name: str, x: Tensor, epochs: int = 1, **options: Any) -> Any:
    model = build(name, (x.shape[1], x.shape[2]), **options)
    for _ in range(epochs):
        model.train_epoch(x, torch.arange(len(x)))
    return model


@pytest.mark.parametrize("name", SEARCHING)
def test_more_steps_bring_samples_nearer(name: str, build: Build, waves: Waves) -> None:
    x = waves(12)
    errors = []
    for steps in (0, 5, 40):
        settings = {"max_steps": steps, "epsilon": 0.0}
        model = trained(build, name, x, epochs=4, settings=settings)
        errors.append(model.errors(x)["reconstruction_error"])
    assert (errors[1] <= errors[0] * (1 + 1e-5)).all()
    assert (errors[2] <= errors[1] * (1 + 1e-5)).all()
    assert errors[2].mean() < errors[0].mean()


@pytest.mark.parametrize("name", SEARCHING)
def test_a_sample_within_epsilon_is_not_moved(name: str, build: Build, waves: Waves) -> None:
    x = waves(6)
    still = trained(build, name, x, settings={"max_steps": 0}).errors(x)
    settings = {"max_steps": 20, "epsilon": 1.0, "starts": 2}
    if name != "anogan":
        del settings["starts"]
    found = trained(build, name, x, settings=settings).errors(x)
    for component, values in still.items():
        assert torch.equal(values, found[component]), component


@pytest.mark.parametrize("name", SEARCHING)
@pytest.mark.parametrize("frozen", [False, True])
def test_the_search_moves_no_weight_and_leaves_no_gradient(
    name: str, frozen: bool, build: Build, waves: Waves
) -> None:
    x = waves(6)
    model = trained(build, name, x)
    if frozen:
        model.freeze()
    networks = getattr(model, "refined", model).networks
    for parameter in networks.parameters():
        parameter.grad = None
    needed = [parameter.requires_grad for parameter in networks.parameters()]
    kept = copy.deepcopy(networks.state_dict())
    model.errors(x)
    for key, value in networks.state_dict().items():
        assert torch.equal(value, kept[key]), key
    assert all(parameter.grad is None for parameter in networks.parameters())
    assert needed == [parameter.requires_grad for parameter in networks.parameters()]
    assert all(needed) == (not frozen)


@pytest.mark.parametrize("name", SEARCHING)
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_frozen_model_still_searches(
    name: str, precision: str, build: Build, waves: Waves
) -> None:
    x = waves(6)
    settings = {"max_steps": 10, "epsilon": 0.0}
    model = trained(build, name, x, epochs=3, settings=settings, precision=precision)
    expected = model.errors(x)["reconstruction_error"]
    model.freeze()
    found = model.errors(x)["reconstruction_error"]
    torch.testing.assert_close(
        found, expected, rtol=0.01 if precision == "float32" else 0.1, atol=0
    )


def test_starts_come_from_the_seed_of_the_weights_and_are_kept_with_them(build: Build) -> None:
    settings = {"starts": 5, "latent_size": 4}
    starts = build("anogan", settings=settings).weights()["starts.z"]
    assert starts.shape == (5, 4)
    again = build("anogan", settings=settings, seeds=(1, 8, 9)).weights()["starts.z"]
    assert torch.equal(starts, again)
    other = build("anogan", settings=settings, seeds=(4, 2, 3))
    assert not torch.equal(starts, other.weights()["starts.z"])
    other.load_weights(build("anogan", settings=settings).weights())
    assert torch.equal(starts, other.weights()["starts.z"])


def test_starts_are_not_trained(build: Build, waves: Waves) -> None:
    model: Any = build("anogan")
    before = model.weights()["starts.z"]
    model.train_epoch(waves(), torch.arange(20))
    assert torch.equal(before, model.weights()["starts.z"])


def test_starts_are_standard_normal(build: Build) -> None:
    settings = {"starts": 1024, "latent_size": 8}
    starts = build("anogan", settings=settings).weights()["starts.z"]
    assert starts.mean().abs() < 0.05
    assert (starts.std() - 1).abs() < 0.05


def test_the_best_start_is_scored(build: Build, waves: Waves) -> None:
    """Of each start alone, the one with the least error."""
    x = waves(5)
    both: Any = trained(build, "anogan", x, settings={"starts": 2, "max_steps": 4, "epsilon": 0.0})
    weights = both.weights()
    alone = []
    for start in range(2):
        model = build("anogan", settings={"starts": 1, "max_steps": 4, "epsilon": 0.0})
        model.load_weights({**weights, "starts.z": weights["starts.z"][start : start + 1]})
        alone.append(model.errors(x)["reconstruction_error"])
    torch.testing.assert_close(
        both.errors(x)["reconstruction_error"],
        torch.minimum(*alone),
        rtol=1e-4,
        atol=0,
    )


def test_anogan_has_no_encoder_and_no_weight_without_optimizer(build: Build) -> None:
    model: Any = build("anogan")
    assert set(model.networks) == {"decoder", "discriminator", "starts"}
    moved = [
        id(parameter)
        for optimizer in model.optimizers.values()
        for parameter in moved_by(optimizer)
    ]
    assert sorted(moved) == sorted(id(p) for p in model.networks.parameters())


@pytest.mark.parametrize("updates", [1, 3])
def test_anogan_updates_the_discriminator_as_often_as_set(
    updates: int, build: Build, waves: Waves
) -> None:
    model: Any = trained(build, "anogan", waves(20), discriminator_updates=updates)

    def steps(optimizer: str) -> set[int]:
        state = model.optimizers[optimizer].state_dict()["state"]
        return {int(entry["step"]) for entry in state.values()}

    assert steps("generator") == {3}  # batches of 8, 8 and 4
    assert steps("discriminator") == {3 * updates}


def test_anogans_generator_is_trained_on_what_the_discriminator_says(
    build: Build, waves: Waves
) -> None:
    """The reported loss, and the decoder's gradient, recomputed from the same noise."""
    x = waves(8)
    model: Any = build("anogan", discriminator_updates=1)
    other: Any = build("anogan", discriminator_updates=1)
    for each in (model, other):
        each.networks.train()
    losses = model.training_step(x)
    first, second = (other.noise_like(torch.empty(8, 6)) for _ in range(2))
    with torch.no_grad():
        fake = other.networks["decoder"](first).sigmoid()
    other._update_discriminator(x, fake)
    judged = other.networks["discriminator"](other.networks["decoder"](second).sigmoid())
    loss = -torch.log(judged.sigmoid()).mean()
    assert losses["generator_loss"].item() == pytest.approx(loss.item(), rel=1e-5)
    other._step("generator", loss)
    for (key, found), expected in zip(
        model.networks["decoder"].named_parameters(),
        other.networks["decoder"].parameters(),
        strict=True,
    ):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6, msg=key)


def test_the_non_saturating_loss_is_minus_the_log_of_the_judgement() -> None:
    logits = np.random.default_rng(0).normal(size=7)
    found = non_saturating_loss(torch.from_numpy(logits))
    assert found.dtype == torch.float32
    assert found.item() == pytest.approx(-np.log(expit(logits)).mean(), rel=1e-6)
    assert torch.isfinite(non_saturating_loss(torch.tensor([-1e4])))


def refined(build: Build, encoder: str, x: Tensor, epochs: int = 1, **settings: Any) -> Any:
    encoding = {"encoder": {"name": encoder, **settings.pop("of_encoder", {})}}
    return trained(build, "latent_refinement", x, epochs, settings=encoding | settings)


@pytest.mark.parametrize("encoder", ENCODERS)
def test_refinement_trains_as_its_encoder_model(encoder: str, build: Build, waves: Waves) -> None:
    x = waves()
    expected = trained(build, encoder, x, **SAME_TRAINING).weights()
    found = trained(
        build, "latent_refinement", x, settings={"encoder": {"name": encoder}}, **SAME_TRAINING
    ).weights()
    assert found.keys() == expected.keys()
    for key, value in found.items():
        assert torch.equal(value, expected[key]), key


@pytest.mark.parametrize("encoder", ENCODERS)
def test_refinement_without_steps_scores_as_its_encoder_model(
    encoder: str, build: Build, waves: Waves
) -> None:
    x = waves()
    found = refined(build, encoder, x, max_steps=0)
    errors = found.errors(x)
    assert tuple(errors) == (*MODELS[encoder].components, *REFINEMENT_ERRORS)
    for component, values in found.refined.errors(x).items():
        torch.testing.assert_close(errors[component], values, rtol=1e-5, atol=1e-9)
    assert torch.equal(errors["start_norm"], errors["latent_norm"])
    assert torch.equal(errors["latent_distance"], torch.zeros(len(x)))


@pytest.mark.parametrize("encoder", ENCODERS)
def test_refinement_says_where_the_search_went(encoder: str, build: Build, waves: Waves) -> None:
    x = waves(10)
    model = refined(build, encoder, x, epochs=3, max_steps=8, epsilon=0.0)
    found, start = model.errors(x), model.refined.errors(x)
    torch.testing.assert_close(found["start_norm"], start["latent_norm"], rtol=1e-5, atol=1e-7)
    assert torch.equal(found["end_norm"], found["latent_norm"])
    difference = (found["end_norm"] - found["start_norm"]).abs()
    assert (found["latent_distance"] >= difference - 1e-6).all()  # the triangle's side
    assert (found["reconstruction_error"] <= start["reconstruction_error"] * (1 + 1e-5)).all()
    assert (found["latent_distance"] > 0).any()


def test_refinement_starts_from_the_draw_if_scores_are_sampled(build: Build, waves: Waves) -> None:
    x = waves()
    model = refined(build, "beta_vaegan", x, of_encoder={"latent": "sampled"})
    drawn = model.refined.errors(x)
    torch.testing.assert_close(
        model.errors(x)["start_norm"], drawn["latent_norm"], rtol=1e-5, atol=1e-7
    )
    variances = model.error_variances(x, 5)
    assert tuple(variances) == model.components
    assert (variances["start_norm"] > 0).all()
    assert refined(build, "beta_vaegan", x).error_variances(x, 5) == {}


def test_training_that_an_encoder_model_is_made_for_is_taken_over() -> None:
    found = training_defaults_of({"name": "latent_refinement", "encoder": {"name": "beatgan"}})
    own = MODELS["latent_refinement"].training_defaults
    assert found == {**MODELS["beatgan"].training_defaults, **own}


@pytest.mark.parametrize("name", SEARCHING)
def test_components_that_compositions_use_are_there(name: str) -> None:
    assert {"reconstruction_error", "discrimination_error", "latent_norm"} <= set(
        components_of(MODELS[name].settings())
    )
