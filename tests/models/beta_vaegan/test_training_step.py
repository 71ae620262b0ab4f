"""Whole training steps of beta-VAEGAN, against the plain form of the same."""

from typing import Any

import pytest
import torch
from torch import Tensor

from tests.models.plain import PlainBetaVAEGAN, in_plain_layout
from tests.models.trained import Build, Waves

SHAPE = (2, 64)
BATCH = 16


def twins(build: Build, dtype: torch.dtype, **options: Any) -> tuple[Any, PlainBetaVAEGAN]:
    """A model and the plain one, with equal weights of one type."""
    settings = options.pop("settings", {})
    model: Any = build("beta_vaegan", SHAPE, settings=settings, batch_size=BATCH, **options)
    plain = PlainBetaVAEGAN(model.settings, model.training, *SHAPE)
    model.networks.to(dtype).train()
    plain.networks.to(dtype).train()
    plain.networks.load_state_dict(plain_weights(model))
    return model, plain


def plain_weights(model: Any) -> dict[str, Tensor]:
    return in_plain_layout(model.weights())


def next_noise(model: Any) -> Tensor:
    """What the model draws next, without drawing it."""
    generator = torch.Generator()
    generator.set_state(model._noise.get_state())
    return torch.randn((BATCH, model.latent_size), generator=generator)


def trained(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """All but the statistics that are only read in evaluation mode."""
    return {
        name: value
        for name, value in weights.items()
        if "running" not in name and "num_batches" not in name
    }


SETTINGS: list[dict[str, Any]] = [
    {},
    {"settings": {"beta": 0.3, "nu": 1.7}},
    {"settings": {"beta": 0.0, "nu": 0.1}, "discriminator_updates": 1},
    {"settings": {"spectral_norm": False}, "discriminator_updates": 2},
]


@pytest.mark.usefixtures("in_float64")
@pytest.mark.slow
@pytest.mark.parametrize("options", SETTINGS)
@pytest.mark.parametrize("optimizer", [{"rectify": True}, {"rectify": False, "epsilon": 1e-8}])
def test_steps_are_those_of_the_plain_form(
    options: dict[str, Any], optimizer: dict[str, Any], build: Build, waves: Waves
) -> None:
    rate = 0.02 if optimizer["rectify"] else 1e-3  # without, the first steps are large
    model, plain = twins(
        build, torch.float64, **options, optimizer={"learning_rate": rate, **optimizer}
    )
    for step in range(2):
        x = waves(BATCH, *SHAPE, seed=step).double()
        before = trained(plain_weights(model))
        noise = next_noise(model)
        expected = plain.training_step(x, lambda noise=noise: noise)
        result = model.training_step(x)
        assert result.keys() == expected.keys()
        for name, loss in expected.items():
            assert result[name].item() == pytest.approx(loss, rel=1e-7), name
        wanted = trained(plain.networks.state_dict())
        for name, value in trained(plain_weights(model)).items():
            moved, other = value - before[name], wanted[name] - before[name]
            allowed = 1e-5 * other.norm() + 1e-13 * value.norm()
            assert (moved - other).norm() <= allowed, name
            assert other.norm() > 0, name


def test_a_float32_step_differs_by_rounding_alone(build: Build, waves: Waves) -> None:
    model, plain = twins(build, torch.float32, optimizer={"learning_rate": 0.05})
    x = waves(BATCH, *SHAPE)
    before = trained(plain_weights(model))
    noise = next_noise(model)
    expected = plain.training_step(x, lambda: noise)
    result = model.training_step(x)
    for name, loss in expected.items():
        assert result[name].item() == pytest.approx(loss, rel=2e-5), name
    wanted = trained(plain.networks.state_dict())
    for name, value in trained(plain_weights(model)).items():
        moved, other = value - before[name], wanted[name] - before[name]
        # An activation within rounding of 0 may get the slope of the other side.
        assert (moved - other).norm() < 0.01 * other.norm(), name


@pytest.mark.usefixtures("in_float64")
@pytest.mark.parametrize("spectral_norm", [True, False])
def test_statistics_of_the_generator_move_once_in_a_step(
    spectral_norm: bool, build: Build, waves: Waves
) -> None:
    """The plain form runs the generator for every update; its output is one and the same."""
    model, plain = twins(build, torch.float64, settings={"spectral_norm": spectral_norm})
    x = waves(BATCH, *SHAPE).double()
    plain.generate(x, next_noise(model))
    once = plain.networks.state_dict()
    model.training_step(x)
    checked = 0
    for name, value in plain_weights(model).items():
        if not name.startswith("discriminator") and ("running" in name or "num_b" in name):
            torch.testing.assert_close(value, once[name], msg=name)
            checked += 1
    assert checked == 3 * (4 + 2 + 5)


@pytest.mark.slow
def test_a_bfloat16_step_is_near_the_float32_step(build: Build, waves: Waves) -> None:
    x = waves(BATCH, *SHAPE)
    losses = {}
    for precision in ("float32", "bfloat16"):
        model: Any = build("beta_vaegan", SHAPE, batch_size=BATCH, precision=precision)
        model.networks.train()
        result = model.training_step(x)
        assert {loss.dtype for loss in result.values()} == {torch.float32}
        losses[precision] = {name: loss.item() for name, loss in result.items()}
    assert losses["float32"] != losses["bfloat16"]
    for name, loss in losses["float32"].items():
        assert losses["bfloat16"][name] == pytest.approx(loss, rel=0.03), name


@pytest.mark.slow
@pytest.mark.parametrize("name", ["beta_vaegan", "beatgan"])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_networks_compute_with_the_weights_of_now(
    name: str, precision: str, build: Build, waves: Waves
) -> None:
    """No cast, no product of spectral norm and no statistic of before a step is kept."""
    x = waves(BATCH)
    model: Any = build(name, precision=precision, optimizer={"learning_rate": 0.05})
    members = torch.arange(BATCH)
    for _ in range(2):
        before = model.errors(x)
        model.train_epoch(x, members)
        after = model.errors(x)
        assert {value.dtype for value in after.values()} == {torch.float32}
        fresh: Any = build(name, seeds=(5, 6, 7), precision=precision)
        fresh.load_weights(model.weights())
        for component, values in fresh.errors(x).items():
            assert torch.equal(after[component], values)
            assert not torch.equal(after[component], before[component])


@pytest.mark.parametrize("name", ["beta_vaegan", "beatgan"])
def test_bfloat16_errors_are_near_those_of_float32(name: str, build: Build, waves: Waves) -> None:
    x = waves(BATCH)
    full: Any = build(name)
    full.train_epoch(x, torch.arange(BATCH))
    half: Any = build(name, precision="bfloat16")
    half.load_weights(full.weights())
    expected = full.errors(x)
    for component, values in half.errors(x).items():
        torch.testing.assert_close(values, expected[component], rtol=0.1, atol=1e-3)
    torch.testing.assert_close(half.reconstruct(x), full.reconstruct(x), rtol=0.05, atol=0.02)


def test_tf32_is_float32_on_a_cpu(build: Build, waves: Waves) -> None:
    models = [build("beta_vaegan", precision=precision) for precision in ("float32", "tf32")]
    for model in models:
        model.train_epoch(waves(12), torch.arange(12))
    plain, rounded = (model.weights() for model in models)
    assert all(torch.equal(plain[name], rounded[name]) for name in plain)
