import copy
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from models.bases.losses import (
    binary_cross_entropy,
    kl_divergence,
    mean_squared_error,
    real_or_not,
)
from tests.models.trained import Build, Waves


def steps(model: Any, optimizer: str) -> set[int]:
    """How many updates each weight of an optimiser has had."""
    state = model.optimizers[optimizer].state_dict()["state"]
    return {int(entry["step"]) for entry in state.values()}


@pytest.mark.parametrize(
    "name", ["beta_vaegan", "beatgan", pytest.param("anogan", marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("updates", [1, 4])
def test_each_batch_has_one_generator_update_and_as_many_of_the_discriminator_as_set(
    name: str, updates: int, build: Build, waves: Waves
) -> None:
    model = build(name, discriminator_updates=updates)
    model.train_epoch(waves(20), torch.arange(20))  # batches of 8, 8 and 4
    assert steps(model, "generator") == {3}
    assert steps(model, "discriminator") == {3 * updates}


@pytest.mark.parametrize("name", ["beta_vaegan", "beatgan"])
def test_the_generator_step_gives_the_discriminator_no_gradient(
    name: str, build: Build, waves: Waves
) -> None:
    model: Any = build(name)
    model.networks.train()
    x = waves(8)
    network = model.networks["discriminator"]
    for parameter in network.parameters():
        parameter.grad = None
    reconstructed = model.networks["decoder"](torch.randn(8, model.latent_size)).sigmoid()
    before = {n: p.detach().clone() for n, p in network.named_parameters()}
    model._step("generator", model._feature_distance(x, reconstructed))
    assert all(p.grad is None for p in network.parameters())
    assert all(p.requires_grad for p in network.parameters())
    for n, p in network.named_parameters():
        assert torch.equal(p, before[n])
    assert any(p.grad is not None and p.grad.abs().max() > 0 for p in model.networks.parameters())


def update_discriminator(model: Any, x: Tensor, fake: Tensor) -> None:
    model._update_discriminator(model._together(x, fake), real_or_not(len(x), x.device))


@pytest.mark.parametrize("name", ["beta_vaegan", "beatgan"])
def test_the_discriminator_step_leaves_the_generator_alone(
    name: str, build: Build, waves: Waves
) -> None:
    model: Any = build(name)
    x = waves(8)
    generator = {
        n: p.detach().clone()
        for n, p in model.networks.named_parameters()
        if not n.startswith("discriminator")
    }
    real = copy.deepcopy(model.networks["discriminator"].state_dict())
    update_discriminator(model, x, waves(8, seed=4))
    for n, p in model.networks.named_parameters():
        if n in generator:
            assert torch.equal(p, generator[n])
    after = model.networks["discriminator"].state_dict()
    moved = [key for key in real if not torch.equal(real[key], after[key])]
    assert any(key.startswith("head") for key in moved)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("beta_vaegan", {"beta": 0.0}),
        ("beta_vaegan", {"beta": 0.3, "nu": 2.5}),
        ("beatgan", {"nu": 0.7}),
        ("beatgan", {"output_layer": "sigmoid", "reconstruction_loss": "bce", "nu": 0.0}),
    ],
)
def test_the_generator_loss_is_equation_4(
    name: str, settings: dict[str, Any], build: Build, waves: Waves
) -> None:
    losses = build(name, settings=settings).train_epoch(waves(16), torch.arange(16))
    expected = losses["adversarial_loss"] + settings.get("nu", 1.0) * losses["reconstruction_loss"]
    expected += settings.get("beta", 0.0) * losses.get("kl_divergence", 0.0)
    assert losses["generator_loss"] == pytest.approx(expected, rel=1e-5)
    assert ("kl_divergence" in losses) == (name == "beta_vaegan")


def test_beta_zero_trains_as_if_there_were_no_kl(build: Build, waves: Waves) -> None:
    """The weights of one update, against the same update with the KL term cut out."""
    x = waves(8)
    model: Any = build("beta_vaegan", settings={"beta": 0.0})
    other: Any = build("beta_vaegan", settings={"beta": 0.0})
    other.networks.train()
    mean, log_variance = other.networks["encoder"](x)
    z = mean + (0.5 * log_variance).exp() * other.noise_like(mean)
    logits = other.networks["decoder"](z)
    for _ in range(3):
        update_discriminator(other, x, logits.sigmoid().detach())
    loss = other._feature_distance(x, logits.sigmoid()) + binary_cross_entropy(logits, x)
    other._step("generator", loss)
    model.networks.train()
    model.training_step(x)
    result, expected = model.weights(), other.weights()
    for name, value in expected.items():
        torch.testing.assert_close(result[name], value, rtol=1e-5, atol=1e-7, msg=name)


@pytest.mark.slow
def test_beta_pulls_the_posterior_towards_the_prior(build: Build, waves: Waves) -> None:
    x = waves(16)
    divergence = {}
    for beta in (0.0, 10.0):
        model: Any = build("beta_vaegan", settings={"beta": beta})
        for _ in range(4):
            losses = model.train_epoch(x, torch.arange(16))
        divergence[beta] = losses["kl_divergence"]
    assert divergence[10.0] < divergence[0.0]


def test_mean_losses_weigh_each_sample_alike(build: Build, waves: Waves) -> None:
    x = waves(12)
    whole: Any = build("beta_vaegan")
    seen: list[tuple[int, float]] = []
    losses = whole.train_epoch(x, torch.arange(12))  # batches of 8 and 4
    again: Any = build("beta_vaegan")
    again.networks.train()
    order = torch.randperm(12, generator=torch.Generator().manual_seed(2))
    for index in (order[:8], order[8:]):
        seen.append((len(index), float(again.training_step(x[index])["reconstruction_loss"])))
    expected = np.average([v for _, v in seen], weights=[n for n, _ in seen])
    assert losses["reconstruction_loss"] == pytest.approx(expected, rel=1e-6)


def test_sampled_scores_use_the_posterior_but_do_not_move_its_stream(
    build: Build, waves: Waves
) -> None:
    x = waves(16)
    mean, sampled = (
        build("beta_vaegan", settings={"latent": latent}) for latent in ("mean", "sampled")
    )
    sampled.load_weights(mean.weights())
    first, second = sampled.errors(x), sampled.errors(x)
    assert torch.equal(first["latent_norm"], second["latent_norm"])
    assert not torch.equal(first["latent_norm"], mean.errors(x)["latent_norm"])


def test_the_kl_of_a_batch_is_that_of_its_posterior(build: Build, waves: Waves) -> None:
    x = waves(8)
    model: Any = build("beta_vaegan")
    model.networks.train()
    with torch.no_grad():
        mean, log_variance = copy.deepcopy(model.networks["encoder"])(x)
    losses = model.training_step(x)
    assert losses["kl_divergence"].item() == pytest.approx(
        kl_divergence(mean, log_variance).item(), rel=1e-5
    )


def test_the_mse_model_reports_the_distance_of_its_output(build: Build, waves: Waves) -> None:
    x = waves(8)
    model: Any = build("beatgan")
    model.networks.train()
    with torch.no_grad():
        networks = copy.deepcopy(model.networks)
        rescaled = 2 * x - 1
        reconstructed = networks["decoder"](networks["encoder"](rescaled)).tanh()
    losses = model.training_step(x)
    assert losses["reconstruction_loss"].item() == pytest.approx(
        mean_squared_error(reconstructed, rescaled).item(), rel=1e-5
    )


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_rescaled_samples_are_what_a_tanh_without_rescaling_sees_of_them(
    precision: str, build: Build, waves: Waves
) -> None:
    """Training on x in [0, 1] with rescaling is training on 2x - 1 without, in other units."""
    x, members = waves(24, 2, 32), torch.arange(24)
    rescaled, plain = (
        build("beatgan", (2, 32), settings={"output_layer": layer}, precision=precision)
        for layer in ("tanh_rescaled", "tanh")
    )
    losses = [rescaled.train_epoch(x, members), plain.train_epoch(2 * x - 1, members)]
    near = {"rel": 1e-4} if precision == "float32" else {"rel": 0.02}
    assert losses[0] == {name: pytest.approx(value, **near) for name, value in losses[1].items()}
    plain.load_weights(rescaled.weights())
    errors, expected = rescaled.errors(x), plain.errors(2 * x - 1)
    tolerance = {"rtol": 1e-3, "atol": 1e-5} if precision == "float32" else {"rtol": 0.1, "atol": 0}
    torch.testing.assert_close(
        4 * errors["reconstruction_error"], expected["reconstruction_error"], **tolerance
    )
    for name in ("discrimination_error", "latent_norm"):
        torch.testing.assert_close(errors[name], expected[name], **tolerance)
    reconstructed = rescaled.reconstruct(x)
    assert reconstructed is not None
    assert reconstructed.min() >= 0
    assert reconstructed.max() <= 1
    torch.testing.assert_close(2 * reconstructed - 1, plain.reconstruct(2 * x - 1), **tolerance)


@pytest.mark.parametrize("name", ["vae", "beta_vaegan"])
def test_the_norm_of_draws_is_that_of_many_draws(name: str, build: Build, waves: Waves) -> None:
    x = waves(6)
    model: Any = build(name)
    model.train_epoch(waves(48), torch.arange(48))
    norm = model.errors(x)["drawn_norm"]
    mean, log_variance = model.networks["encoder"].eval()(x)
    draws = mean + (log_variance / 2).exp() * torch.randn(40_000, *mean.shape)
    expected = draws.square().sum(dim=2).mean(dim=0).sqrt()
    torch.testing.assert_close(norm, expected, rtol=0.02, atol=0)
    torch.testing.assert_close(model.examine(x).errors["drawn_norm"], norm)
    assert (norm > model.errors(x)["latent_norm"]).all()
