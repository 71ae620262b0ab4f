"""What training of every model of the table promises, whatever it is made of."""

import copy
import io
import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from models import MODELS
from models.bases.adabelief import AdaBelief
from tests.models.contract import NAMES, Trained, assert_same_tree, leaves, skip_without_networks
from tests.models.trained import Build, Waves

pytestmark = pytest.mark.parametrize("name", NAMES)


def test_an_epoch_has_finite_losses_and_moves_weights_though_its_last_batch_is_one_sample(
    name: str, build: Build, waves: Waves
) -> None:
    x = waves(9)
    model = build(name)
    before = model.weights()
    kept = copy.deepcopy(before)
    losses = model.train_epoch(x, torch.arange(9))
    assert losses
    assert all(isinstance(v, float) and math.isfinite(v) for v in losses.values())
    after = model.weights()
    assert after
    assert any(key not in kept or not torch.equal(kept[key], after[key]) for key in after)
    assert_same_tree(before, kept)  # they are copies


def test_each_batch_that_it_trains_on_or_scores_is_a_sign_of_life(
    name: str, build: Build, waves: Waves
) -> None:
    skip_without_networks(name)
    model, signs = build(name, batch_size=4), 0

    def count() -> None:
        nonlocal signs
        signs += 1

    model.on_progress = count
    model.train_epoch(waves(12), torch.arange(12))
    assert signs == 3
    for scored in (model.errors, model.reconstruct, model.latents, model.examine):
        before = signs
        if scored(waves(4)) is not None:
            assert signs > before, scored


def optimized_by(optimizer: AdaBelief | Optimizer) -> list[nn.Parameter]:
    if isinstance(optimizer, AdaBelief):
        return optimizer.parameters
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def test_every_weight_belongs_to_exactly_one_optimizer(name: str, build: Build) -> None:
    skip_without_networks(name)
    model: Any = build(name)
    model = getattr(model, "encoder_model", model)
    moved = [id(p) for optimizer in model.optimizers.values() for p in optimized_by(optimizer)]
    assert sorted(moved) == sorted(id(p) for p in model.networks.parameters())


EVERYTHING = {
    "recipe": "fast",
    "epochs": 3,
    "discriminator_from": 0.5,
    "kl_warmup": 0.5,
    "time_warp": 0.1,
    "amplitude": 0.1,
}
"""Settings with which every part of training depends on where it stands."""


@pytest.mark.parametrize("training", [{}, EVERYTHING], ids=["plain", "everything"])
def test_training_goes_on_from_a_saved_state_as_if_never_interrupted(
    name: str, training: dict[str, Any], build: Build, waves: Waves
) -> None:
    x = waves()
    members = torch.arange(len(x))
    model = build(name, **training)
    model.train_epoch(x, members)
    state, file = model.state(), io.BytesIO()
    kept = copy.deepcopy(state)
    torch.save(state, file)
    other = build(name, seeds=(91, 92, 93), **training)
    other.load_state(torch.load(io.BytesIO(file.getvalue()), weights_only=True))
    assert model.train_epoch(x, members) == other.train_epoch(x, members)
    assert_same_tree(model.state(), other.state())
    assert_same_tree(model.errors(x[:5]), other.errors(x[:5]))
    assert_same_tree(state, kept)  # further training does not change it


def test_each_seed_decides_its_own_stream(
    name: str, build: Build, trained: Trained, waves: Waves
) -> None:
    skip_without_networks(name)
    x = waves()
    base = build(name).weights()
    others = build(name, seeds=(7, 2, 3)).weights()
    random = [key for key, value in base.items() if value.is_floating_point() and value.ndim > 1]
    assert random
    assert all(not torch.equal(base[key], others[key]) for key in random)
    assert_same_tree(base, build(name, seeds=(1, 7, 8)).weights())
    other = build(name, seeds=(1, 7, 3))
    other.train_epoch(x, torch.arange(len(x)))
    first, second = trained(name).weights(), other.weights()
    assert any(not torch.equal(first[key], second[key]) for key in random)


def test_equal_seeds_give_equal_training_which_neither_reads_nor_moves_the_global_stream(
    name: str, build: Build, trained: Trained, waves: Waves
) -> None:
    x = waves()
    assert_same_tree(build(name).weights(), build(name).weights())
    once = trained(name)
    torch.rand(7)  # the stream is elsewhere than it was when that was trained
    before = torch.get_rng_state()
    again = build(name)
    again.train_epoch(x, torch.arange(len(x)))
    again.errors(x[:5])
    again.reconstruct(x[:5])
    assert torch.equal(before, torch.get_rng_state())
    assert_same_tree(once.state(), again.state())


def test_only_members_are_trained_on(name: str, build: Build, waves: Waves) -> None:
    x = waves(24)
    members = torch.arange(0, 24, 2)
    spoiled = x.clone()
    spoiled[1::2] = float("nan")
    first, second = build(name), build(name)
    assert first.train_epoch(x, members) == second.train_epoch(spoiled, members)
    assert_same_tree(first.state(), second.state())


def test_half_precision_stays_out_of_weights_and_optimizers(
    name: str, build: Build, trained: Trained, waves: Waves
) -> None:
    skip_without_networks(name)
    x = waves()
    model = build(name, precision="bfloat16")
    losses = model.train_epoch(x, torch.arange(len(x)))
    assert all(math.isfinite(v) for v in losses.values())
    dtypes = {
        key: value.dtype
        for key, value in leaves(model.state()).items()
        if isinstance(value, Tensor) and value.is_floating_point()
    }
    assert set(dtypes.values()) == {torch.float32}
    assert any(key.startswith("/optimizers") for key in dtypes)
    assert all(v.dtype == torch.float32 for v in model.errors(x).values())
    full = trained(name).weights()
    assert any(not torch.equal(full[key], value) for key, value in model.weights().items())


def test_defaults_are_those_of_the_paper(name: str, build: Build) -> None:
    skip_without_networks(name)
    model: Any = build(name, batch_size=MODELS[name].training_defaults.get("batch_size", 256))
    trained_one = getattr(model, "encoder_model", model)
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
        "output_layer": "tanh_rescaled",
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
