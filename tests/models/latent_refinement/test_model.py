"""Latent refinement: trained as its encoder model, scored after a search."""

from typing import Any

import pytest
import torch
from torch import Tensor

from models import MODELS, REFINEMENT_ERRORS, training_defaults_of
from tests.models.conftest import NARROW
from tests.models.trained import Build, Waves, trained

pytestmark = pytest.mark.slow


ENCODERS = ["ae", "vae", "beatgan", "beatgan_plus", "beta_vaegan"]
SAME_TRAINING = {"batch_size": 8, "discriminator_updates": 2, "optimizer": {"name": "adam"}}


def refined(build: Build, encoder: str, x: Tensor, epochs: int = 1, **settings: Any) -> Any:
    encoding = {"encoder": {"name": encoder, "width": NARROW, **settings.pop("of_encoder", {})}}
    return trained(build, "latent_refinement", x, epochs, settings=encoding | settings)


@pytest.mark.parametrize("encoder", ENCODERS)
def test_refinement_trains_as_its_encoder_model(encoder: str, build: Build, waves: Waves) -> None:
    x = waves()
    expected = trained(build, encoder, x, **SAME_TRAINING).weights()
    weights = trained(
        build,
        "latent_refinement",
        x,
        settings={"encoder": {"name": encoder, "width": NARROW}},
        **SAME_TRAINING,
    ).weights()
    assert weights.keys() == expected.keys()
    for key, value in weights.items():
        assert torch.equal(value, expected[key]), key


@pytest.mark.parametrize("encoder", ENCODERS)
def test_refinement_without_steps_scores_as_its_encoder_model(
    encoder: str, build: Build, waves: Waves
) -> None:
    x = waves()
    model = refined(build, encoder, x, max_steps=0)
    errors = model.errors(x)
    assert tuple(errors) == (*MODELS[encoder].components, *REFINEMENT_ERRORS)
    expected = model.encoder_model.errors(x)
    for component in MODELS[encoder].components:
        torch.testing.assert_close(errors[component], expected[component], rtol=1e-5, atol=1e-9)
    assert torch.equal(errors["start_norm"], errors["latent_norm"])
    assert torch.equal(errors["latent_distance"], torch.zeros(len(x)))


@pytest.mark.parametrize("encoder", ENCODERS)
def test_refinement_says_where_the_search_went(encoder: str, build: Build, waves: Waves) -> None:
    x = waves(10)
    model = refined(build, encoder, x, epochs=3, max_steps=8, epsilon=0.0)
    errors, start = model.errors(x), model.encoder_model.errors(x)
    torch.testing.assert_close(errors["start_norm"], start["latent_norm"], rtol=1e-5, atol=1e-7)
    assert torch.equal(errors["end_norm"], errors["latent_norm"])
    difference = (errors["end_norm"] - errors["start_norm"]).abs()
    assert (errors["latent_distance"] >= difference - 1e-6).all()  # the triangle's side
    assert (errors["reconstruction_error"] <= start["reconstruction_error"] * (1 + 1e-5)).all()
    assert (errors["latent_distance"] > 0).any()


def test_refinement_starts_from_the_draw_if_scores_are_sampled(build: Build, waves: Waves) -> None:
    x = waves()
    model = refined(build, "beta_vaegan", x, of_encoder={"latent": "sampled"})
    drawn = model.encoder_model.errors(x)
    torch.testing.assert_close(
        model.errors(x)["start_norm"], drawn["latent_norm"], rtol=1e-5, atol=1e-7
    )
    variances = model.error_variances(x, 5)
    assert tuple(variances) == model.components
    assert (variances["start_norm"] > 0).all()
    assert refined(build, "beta_vaegan", x).error_variances(x, 5) == {}


def test_training_that_an_encoder_model_is_made_for_is_taken_over() -> None:
    defaults = training_defaults_of({"name": "latent_refinement", "encoder": {"name": "beatgan"}})
    own = MODELS["latent_refinement"].training_defaults
    assert defaults == {**MODELS["beatgan"].training_defaults, **own}
