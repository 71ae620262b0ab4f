"""AnoGAN: its starts, and how a GAN without an encoder is trained."""

from typing import Any

import pytest
import torch

from models.bases.losses import real_or_not
from tests.models.trained import Build, Waves, trained

pytestmark = pytest.mark.slow


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
    model.train_epoch(waves(12), torch.arange(12))
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


def test_anogan_has_no_encoder(build: Build) -> None:
    model: Any = build("anogan")
    assert set(model.networks) == {"decoder", "discriminator", "starts"}


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
    other._update_discriminator(other._together(x, fake), real_or_not(8, x.device))
    judged = other.networks["discriminator"](other.networks["decoder"](second).sigmoid())
    loss = -torch.log(judged.sigmoid()).mean()
    assert losses["generator_loss"].item() == pytest.approx(loss.item(), rel=1e-5)
    other._step("generator", loss)
    for (key, value), expected in zip(
        model.networks["decoder"].named_parameters(),
        other.networks["decoder"].parameters(),
        strict=True,
    ):
        torch.testing.assert_close(value, expected, rtol=1e-4, atol=1e-6, msg=key)
