"""Networks against plain ones of nn.Conv1d and nn.ConvTranspose1d."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from models.networks.architecture import (
    Decoder,
    Discriminator,
    Encoder,
    GaussianEncoder,
    together,
)
from tests.models.plain import (
    PlainDecoder,
    PlainDiscriminator,
    PlainEncoder,
    PlainGaussianEncoder,
    copy_weights,
    in_plain_layout,
)

KINDS: dict[str, Callable[[int, int, int, int], tuple[nn.Module, nn.Module]]] = {
    "encoder": lambda c, n, k, w: (Encoder(c, n, k, w), PlainEncoder(c, n, k, w)),
    "gaussian_encoder": lambda c, n, k, w: (
        GaussianEncoder(c, n, k, w),
        PlainGaussianEncoder(c, n, k, w),
    ),
    "decoder": lambda c, n, k, w: (Decoder(c, n, k, w), PlainDecoder(c, n, k, w)),
    "spectral_discriminator": lambda c, n, k, w: (
        Discriminator(c, n, w, spectral=True),
        PlainDiscriminator(c, n, w, spectral=True),
    ),
    "batch_norm_discriminator": lambda c, n, k, w: (
        Discriminator(c, n, w, spectral=False),
        PlainDiscriminator(c, n, w, spectral=False),
    ),
}
NARROW = 5
BATCHES = st.sampled_from([1, 2, 3, 7, 16, 17, 32])
LENGTHS = st.integers(1, 6).map(lambda blocks: 32 * blocks)


def drawn_pair(
    kind: str, channels: int, length: int, latent: int, width: int
) -> tuple[nn.Module, nn.Module]:
    """A network in a state that training might have left, and its plain twin in float64."""
    network, plain = KINDS[kind](channels, length, latent, width)
    for name, value in network.state_dict().items():
        if name.endswith("running_mean") or ("norm" in name and name.endswith("bias")):
            value.normal_(std=0.1)
        elif name.endswith("running_var") or ("norm" in name and name.endswith(".weight")):
            value.uniform_(0.5, 1.5)
    plain.double()
    copy_weights(network, plain)
    return network, plain


def drawn_input(kind: str, batch: int, channels: int, length: int, latent: int) -> Tensor:
    return torch.randn(batch, latent) if kind == "decoder" else torch.rand(batch, channels, length)


def as_one(output: Any) -> Tensor:
    return torch.cat(output, dim=1) if isinstance(output, tuple) else output


def distance(result: Tensor | None, expected: Tensor | None) -> float:
    """Of the results as wholes, relative to the expected one's size."""
    assert result is not None
    assert expected is not None
    assert result.shape == expected.shape
    return float((result.double() - expected).norm() / expected.norm())


@pytest.mark.parametrize("kind", list(KINDS))
@given(
    batch=BATCHES,
    channels=st.integers(1, 3),
    length=LENGTHS,
    latent=st.integers(1, 8),
    training=st.booleans(),
    seed=st.integers(0, 2**31),
)
@settings(max_examples=8, deadline=None, derandomize=True)
def test_outputs_and_gradients_are_those_of_the_plain_networks(
    kind: str, batch: int, channels: int, length: int, latent: int, training: bool, seed: int
) -> None:
    """In float64, where nothing amplifies rounding so far that an error could hide in it."""
    training = training and batch * (length // 32) > 1  # one value has no variance
    torch.manual_seed(seed)
    network, plain = drawn_pair(kind, channels, length, latent, NARROW)
    network.double().train(training)
    plain.train(training)
    x = drawn_input(kind, batch, channels, length, latent).double()
    first, second = x.clone().requires_grad_(), x.clone().requires_grad_()
    result, expected = as_one(network(first)), as_one(plain(second))
    torch.testing.assert_close(result, expected, rtol=1e-9, atol=1e-9)
    gradient = torch.randn_like(expected)
    result.backward(gradient)
    expected.backward(gradient)
    assert distance(first.grad, second.grad) < 1e-9
    gradients = {name: p.grad for name, p in network.named_parameters() if p.grad is not None}
    ours = in_plain_layout(gradients)
    assert ours.keys() == dict(plain.named_parameters()).keys()
    for name, parameter in plain.named_parameters():
        assert distance(ours[name], parameter.grad) < 1e-9, name
    state = in_plain_layout(network.state_dict())
    for name, value in plain.state_dict().items():  # statistics and vectors have moved alike
        torch.testing.assert_close(state[name], value, rtol=1e-9, atol=1e-9, msg=name)


@pytest.mark.slow
@pytest.mark.parametrize("kind", list(KINDS))
@given(
    batch=BATCHES,
    channels=st.integers(1, 3),
    length=LENGTHS,
    latent=st.integers(1, 8),
    seed=st.integers(0, 2**31),
)
@settings(max_examples=8, deadline=None, derandomize=True)
def test_float32_differs_by_rounding_alone(
    kind: str, batch: int, channels: int, length: int, latent: int, seed: int
) -> None:
    torch.manual_seed(seed)
    network, plain = drawn_pair(kind, channels, length, latent, NARROW)
    network.eval()
    plain.eval()
    x = drawn_input(kind, batch, channels, length, latent)
    first, second = x.clone().requires_grad_(), x.double().requires_grad_()
    result, expected = as_one(network(first)), as_one(plain(second))
    assert result.dtype == torch.float32
    size = expected.detach().abs().max().item()
    torch.testing.assert_close(result.double(), expected, rtol=2e-5, atol=2e-5 * size)
    gradient = torch.randn_like(expected)
    result.backward(gradient.float())
    expected.backward(gradient)
    # An activation within rounding of 0 may get the slope of the other side.
    assert distance(first.grad, second.grad) < 0.02
    ours = in_plain_layout({name: p.grad for name, p in network.named_parameters()})
    for name, parameter in plain.named_parameters():
        assert distance(ours[name], parameter.grad) < 0.02, name


@pytest.mark.slow
@pytest.mark.parametrize("kind", list(KINDS))
@pytest.mark.parametrize("training", [True, False])
def test_bfloat16_loses_no_more_than_autocast_does(kind: str, training: bool) -> None:
    torch.manual_seed(0)
    network, plain = drawn_pair(kind, 2, 96, 6, 2 * NARROW)
    autocast = copy.deepcopy(plain).float()
    for each in (network, plain, autocast):
        each.train(training)
    x = drawn_input(kind, 32, 2, 96, 6)
    result, expected = as_one(network(x.bfloat16())), as_one(plain(x.double()))
    with torch.autocast("cpu", torch.bfloat16):
        reference = as_one(autocast(x))
    # The heads of a posterior end in float32.
    assert result.dtype == (torch.float32 if kind == "gaussian_encoder" else torch.bfloat16)
    loss = distance(result.detach(), expected.detach())
    assert 1e-4 < loss < 2 * distance(reference.detach(), expected.detach())
    gradient = torch.randn_like(expected)
    result.backward(gradient.to(result.dtype))
    expected.backward(gradient)
    reference.backward(gradient.to(reference.dtype))
    assert {p.grad.dtype for p in network.parameters() if p.grad is not None} == {torch.float32}
    ours = in_plain_layout({name: p.grad for name, p in network.named_parameters()})
    theirs = dict(autocast.named_parameters())
    for name, parameter in plain.named_parameters():
        allowed = 3 * distance(theirs[name].grad, parameter.grad)
        assert distance(ours[name], parameter.grad) < allowed, name
    assert {value.dtype for value in network.state_dict().values()} <= {torch.float32, torch.int64}


@pytest.mark.parametrize("spectral", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("batch", [1, 5, 16])
def test_judging_both_is_judging_each(
    spectral: bool, dtype: torch.dtype, training: bool, batch: int
) -> None:
    torch.manual_seed(0)
    kind = "spectral_discriminator" if spectral else "batch_norm_discriminator"
    judge, _ = drawn_pair(kind, 2, 64, 1, NARROW)
    apart, _ = drawn_pair(kind, 2, 64, 1, NARROW)
    apart.load_state_dict(judge.state_dict())
    real, fake = torch.rand(batch, 2, 64).to(dtype), torch.rand(batch, 2, 64).to(dtype)
    for network in (judge, apart):
        network.train(training)
    assert isinstance(judge, Discriminator)
    result = judge.logits_of_both(together(real, fake)).split(batch)
    assert isinstance(apart, Discriminator)
    weights = apart.trunk.weights(dtype)  # one power iteration for all that is judged
    expected = [apart.head(apart.features(x, weights)).flatten() for x in (real, fake)]
    near = {"rtol": 1e-5, "atol": 1e-6} if dtype == torch.float32 else {"rtol": 2e-2, "atol": 2e-2}
    for mine, other in zip(result, expected, strict=True):
        assert mine.shape == other.shape
        torch.testing.assert_close(mine, other, **near)
    for name, value in apart.state_dict().items():
        torch.testing.assert_close(judge.state_dict()[name], value, msg=name)
