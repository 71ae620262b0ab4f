from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from models.networks.architecture import Discriminator, Trunk
from models.networks.frozen import frozen_network
from tests.models.networks.test_plain_networks import KINDS, NARROW, as_one, drawn_input, drawn_pair
from tests.models.trained import Build, Waves, trained

PRECISIONS = ["float32", pytest.param("bfloat16", marks=pytest.mark.slow)]


def read(network: Any, x: Tensor) -> Tensor:
    """What scoring reads of a network."""
    return as_one(network.features(x) if hasattr(network, "features") else network(x))


@pytest.mark.slow
@pytest.mark.parametrize("kind", list(KINDS))
@given(
    batch=st.sampled_from([1, 2, 5, 16, 33]),
    channels=st.integers(1, 3),
    length=st.integers(1, 6).map(lambda blocks: 32 * blocks),
    latent=st.integers(1, 8),
    seed=st.integers(0, 2**31),
)
@settings(max_examples=8, deadline=None, derandomize=True)
@torch.inference_mode()
def test_a_frozen_network_gives_what_it_gave_before(
    kind: str, batch: int, channels: int, length: int, latent: int, seed: int
) -> None:
    torch.manual_seed(seed)
    network, _ = drawn_pair(kind, channels, length, latent, NARROW)
    x = drawn_input(kind, batch, channels, length, latent)
    expected = read(network.eval(), x)
    result = read(frozen_network(network, torch.float32), x)
    assert result.dtype == torch.float32
    size = expected.abs().max().item()
    torch.testing.assert_close(result, expected, rtol=2e-5, atol=2e-5 * size)
    half = read(frozen_network(network, torch.bfloat16), x.bfloat16()).float()
    unfrozen = read(network, x.bfloat16()).float()
    # Both are rounded, each in its own places.
    allowed = 2 * (unfrozen - expected).norm() + 0.01 * expected.norm()
    assert (half - expected).norm() <= allowed


@pytest.mark.parametrize("name", ["beta_vaegan", "beatgan"])
@pytest.mark.parametrize("precision", PRECISIONS)
def test_errors_and_reconstructions_stay_the_same_up_to_rounding(
    name: str, precision: str, build: Build, waves: Waves
) -> None:
    x = waves(32, 2, 96)
    model = build(name, (2, 96), precision=precision, batch_size=16, discriminator_updates=1)
    model.train_epoch(x, torch.arange(32))
    model.train_epoch(x, torch.arange(32))
    probes = [x[:batch] for batch in (1, 2, 16)]
    before = [(model.errors(probe), model.reconstruct(probe)) for probe in probes]
    model.freeze()
    full = precision == "float32"
    for probe, (errors, reconstructed) in zip(probes, before, strict=True):
        for component, values in model.errors(probe).items():
            near = {"rtol": 1e-4, "atol": 1e-8} if full else {"rtol": 0.1, "atol": 1e-4}
            torch.testing.assert_close(values, errors[component], **near)
        near = {"rtol": 1e-4, "atol": 1e-5} if full else {"rtol": 0.02, "atol": 0.02}
        torch.testing.assert_close(model.reconstruct(probe), reconstructed, **near)


def test_a_draw_from_the_posterior_is_the_same_draw(build: Build, waves: Waves) -> None:
    x = waves()
    model = trained(build, "beta_vaegan", x, settings={"latent": "sampled"})
    errors = model.errors(x)
    model.freeze()
    for _ in range(2):
        for component, values in model.errors(x).items():
            torch.testing.assert_close(values, errors[component], rtol=1e-4, atol=1e-8)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_frozen_model_keeps_nothing_that_trains(
    precision: str, build: Build, waves: Waves
) -> None:
    model: Any = build("beta_vaegan", precision=precision)
    model.freeze()
    result = list(model.networks.parameters())
    assert result
    assert not any(parameter.requires_grad for parameter in result)
    assert {parameter.dtype for parameter in result} == {getattr(torch, precision)}
    assert not any(isinstance(module, nn.BatchNorm1d) for module in model.networks.modules())


@torch.inference_mode()
def test_freezing_copies_weights() -> None:
    network = Discriminator(1, 32, spectral=False)
    x = torch.rand(2, 1, 32)
    frozen: Any = frozen_network(network, torch.float32)
    before = frozen.features(x)
    for parameter in network.parameters():
        parameter.zero_()
    assert torch.equal(frozen.features(x), before)


@pytest.mark.parametrize("network", [nn.Linear(2, 2), Trunk(1, spectral=False)])
def test_another_network_cannot_be_frozen(network: nn.Module) -> None:
    with pytest.raises(TypeError, match=type(network).__name__):
        frozen_network(network, torch.float32)


def test_a_frozen_network_cannot_be_frozen_again() -> None:
    frozen = frozen_network(Discriminator(1, 32, spectral=True), torch.float32)
    with pytest.raises(TypeError, match="FrozenDiscriminator"):
        frozen_network(frozen, torch.float32)
