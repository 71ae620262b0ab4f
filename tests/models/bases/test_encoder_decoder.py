"""AE, VAE and BeatGAN+: what sets them apart from one another."""

from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import expit

from models import MODELS, implementation
from models.bases.losses import binary_cross_entropy, kl_divergence
from models.beatgan_plus.settings import BeatGANPlusSettings
from tests.models.trained import Build, Waves, trained


def without_spread(model: Any) -> None:
    """Make the posterior's deviation e^-50, and its mean what it is."""
    head = model.networks["encoder"].log_variance.linear
    with torch.no_grad():
        head.weight.zero_()
        head.bias.fill_(-100.0)


@pytest.mark.parametrize("name", ["ae", "vae"])
def test_there_is_no_discriminator(name: str, build: Build) -> None:
    model: Any = build(name)
    assert set(model.networks) == {"encoder", "decoder"}
    assert set(model.optimizers) == {"generator"}
    assert MODELS[name].components == ("reconstruction_error", "latent_norm")


def test_the_ae_is_trained_on_binary_cross_entropy_alone(build: Build, waves: Waves) -> None:
    x = waves(8)
    model: Any = build("ae")
    other: Any = build("ae")
    for each in (model, other):
        each.networks.train()
    losses = model.training_step(x)
    logits = other.networks["decoder"](other.networks["encoder"](x))
    p, target = expit(logits.detach().double().numpy()), x.double().numpy()
    expected = -(target * np.log(p) + (1 - target) * np.log(1 - p)).mean()
    assert losses["reconstruction_loss"].item() == pytest.approx(expected, rel=1e-5)
    assert losses["generator_loss"].item() == pytest.approx(expected, rel=1e-5)
    assert set(losses) == {"generator_loss", "reconstruction_loss"}
    other._step("generator", binary_cross_entropy(logits, x))
    for key, value in other.weights().items():
        assert torch.equal(model.weights()[key], value), key


@pytest.mark.parametrize("beta", [0.0, 0.3])
def test_the_vae_is_trained_on_equation_2(beta: float, build: Build, waves: Waves) -> None:
    x = waves(8)
    model: Any = build("vae", settings={"beta": beta})
    other: Any = build("vae", settings={"beta": beta})
    for each in (model, other):
        each.networks.train()
    losses = model.training_step(x)
    mean, log_variance = other.networks["encoder"](x)
    z = mean + (0.5 * log_variance).exp() * other.noise_like(mean)
    reconstruction = binary_cross_entropy(other.networks["decoder"](z), x)
    divergence = kl_divergence(mean, log_variance)
    assert losses["kl_divergence"].item() == pytest.approx(divergence.item(), rel=1e-5)
    expected = (reconstruction + beta * divergence).item()
    assert losses["generator_loss"].item() == pytest.approx(expected, rel=1e-5)


def test_the_vae_without_spread_and_beta_is_an_autoencoder(build: Build, waves: Waves) -> None:
    """beta 0 and no deviation: x̂ in training is that of the mean, and the loss is the AE's."""
    x = waves(8)
    model: Any = build("vae")
    without_spread(model)
    model.networks.train()
    encoding = model.encode(x)
    mean, _ = model.networks["encoder"](x)
    torch.testing.assert_close(encoding.z, mean)
    losses = model.training_step(x)
    assert losses["generator_loss"].item() == losses["reconstruction_loss"].item()


def test_the_vae_is_scored_at_the_posterior_mean(build: Build, waves: Waves) -> None:
    x = waves()
    model = trained(build, "vae", x)
    with torch.no_grad():
        mean, _ = model.networks.eval()["encoder"](x)
        reconstructed = model.networks["decoder"](mean).sigmoid()
    errors = model.errors(x)
    torch.testing.assert_close(errors["latent_norm"], mean.norm(dim=1))
    torch.testing.assert_close(
        errors["reconstruction_error"], (x - reconstructed).square().mean(dim=(1, 2))
    )
    drawn = build("vae", settings={"latent": "sampled"})
    drawn.load_weights(model.weights())
    assert not torch.equal(drawn.errors(x)["latent_norm"], errors["latent_norm"])


def test_with_an_adversary_they_are_the_papers_models(build: Build) -> None:
    """The same encoder and decoder under the same names, of the same sizes."""
    for name, adversarial in (("ae", "beatgan_plus"), ("vae", "beta_vaegan")):
        plain = {key: value.shape for key, value in build(name).weights().items()}
        full = {key: value.shape for key, value in build(adversarial).weights().items()}
        assert plain == {k: v for k, v in full.items() if not k.startswith("discriminator")}


def test_equal_seeds_give_ae_and_beatgan_plus_equal_first_weights(build: Build) -> None:
    plain, full = build("ae").weights(), build("beatgan_plus").weights()
    assert all(torch.equal(value, full[key]) for key, value in plain.items())


def test_beatgan_plus_is_beatgan_with_the_papers_settings(build: Build, waves: Waves) -> None:
    settings = BeatGANPlusSettings()
    assert settings.latent_size == 6
    assert settings.output_layer == "sigmoid"
    assert settings.reconstruction_loss == "bce"
    assert settings.spectral_norm
    assert settings.nu == 1.0
    assert MODELS["beatgan_plus"].training_defaults == {}  # the common ones are its own
    assert issubclass(implementation("beatgan_plus"), implementation("beatgan"))
    x = waves(20)
    plus = build("beatgan_plus")
    beatgan = build(
        "beatgan",
        settings={"latent_size": 6, "output_layer": "sigmoid", "reconstruction_loss": "bce"}
        | {"spectral_norm": True},
        discriminator_updates=3,
        optimizer={},
    )
    assert plus.train_epoch(x, torch.arange(20)) == beatgan.train_epoch(x, torch.arange(20))
    for key, value in plus.weights().items():
        assert torch.equal(value, beatgan.weights()[key]), key
