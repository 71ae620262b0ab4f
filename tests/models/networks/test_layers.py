import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm
from torch.nn.utils.parametrize import cached

from models.networks.convolutions import TapBuffers, Taps
from models.networks.layers import (
    BatchNorm,
    Collapse,
    Doubling,
    Expand,
    Halving,
    channels_first,
    time_first,
)
from models.networks.spectral_norm import SpectralNorms
from tests.models.plain import doubling, expanding, halving, taps_last, times_last

# Rounding of one layer, relative to the size of the whole result.
ROUNDING = {torch.float64: 1e-13, torch.float32: 2e-6, torch.bfloat16: 1e-2}

BATCHES = st.sampled_from([1, 2, 3, 7, 16, 33, 48])
CHANNELS = st.sampled_from([1, 2, 3, 16, 32, 65])
LENGTHS = st.integers(1, 6).map(lambda blocks: 32 * blocks)
TYPES = st.sampled_from(list(ROUNDING))
SEEDS = st.integers(0, 2**31)


def assert_near(result: Tensor | None, expected: Tensor | None, dtype: torch.dtype) -> None:
    assert result is not None
    assert expected is not None
    assert result.shape == expected.shape
    distance = (result.double() - expected.double()).norm()
    assert distance <= ROUNDING[dtype] * expected.double().norm()


def compare(
    layer: nn.Module,
    plain: nn.Module,
    layout: Callable[[Tensor], Tensor],
    ours: Callable[[Tensor], Tensor],
    theirs: Callable[[Tensor], Tensor],
    x: Tensor,
) -> None:
    """Outputs and gradients of `ours` in the type of `x`, and of `theirs` in float64.

    Both take and give samples first; `x` is what both read exactly. The layer's weight
    has the type of `x` in float64, and is float32 otherwise.
    """
    weight: Any = layer.weight
    if x.dtype == torch.float64:
        layer.double()
    if x.dtype == torch.bfloat16:  # weights that bfloat16 holds: only sums are rounded
        weight.data = weight.data.bfloat16().float()
    plain.double().load_state_dict({"weight": layout(weight.detach()).double()})
    first, second = x.clone().requires_grad_(), x.double().requires_grad_()
    result, expected = ours(first), theirs(second)
    assert result.dtype == x.dtype
    assert_near(result, expected, x.dtype)
    gradient = torch.randn_like(result)
    result.backward(gradient)
    expected.backward(gradient.double())
    assert_near(first.grad, second.grad, x.dtype)
    assert weight.grad.dtype == weight.dtype
    original: Any = plain.weight
    assert_near(layout(weight.grad), original.grad, x.dtype)


@given(BATCHES, CHANNELS, CHANNELS, LENGTHS, TYPES, SEEDS, st.sampled_from([1.0, 0.2, 0.0]))
def test_halving_is_a_strided_convolution(
    batch: int,
    channels_in: int,
    channels_out: int,
    length: int,
    dtype: torch.dtype,
    seed: int,
    leakage: float,
) -> None:
    torch.manual_seed(seed)
    layer, plain = Halving(channels_in, channels_out), halving(channels_in, channels_out)
    x = torch.randn(batch, channels_in, length).to(dtype)
    if dtype == torch.bfloat16:
        leakage = round(leakage)  # nothing is rounded before the convolution
    compare(
        layer,
        plain,
        taps_last,
        lambda x: channels_first(layer(time_first(x), leakage)),
        lambda x: plain(functional.leaky_relu(x, leakage)),
        x,
    )


@given(BATCHES, CHANNELS, CHANNELS, LENGTHS, TYPES, SEEDS)
def test_doubling_is_a_transposed_strided_convolution(
    batch: int, channels_in: int, channels_out: int, length: int, dtype: torch.dtype, seed: int
) -> None:
    torch.manual_seed(seed)
    layer, plain = Doubling(channels_in, channels_out), doubling(channels_in, channels_out)
    compare(
        layer,
        plain,
        taps_last,
        lambda x: channels_first(layer(time_first(x))),
        plain,
        torch.randn(batch, channels_in, length // 2).to(dtype),
    )


@given(BATCHES, CHANNELS, CHANNELS, st.integers(1, 6), TYPES, SEEDS)
def test_collapse_is_a_convolution_over_the_whole_length(
    batch: int, channels_in: int, channels_out: int, length: int, dtype: torch.dtype, seed: int
) -> None:
    torch.manual_seed(seed)
    layer = Collapse(channels_in, channels_out, length)
    plain = nn.Conv1d(channels_in, channels_out, length, bias=False)
    compare(
        layer,
        plain,
        times_last,
        lambda x: layer(time_first(x))[:, :, None],
        plain,
        torch.randn(batch, channels_in, length).to(dtype),
    )


@given(BATCHES, CHANNELS, CHANNELS, st.integers(1, 6), TYPES, SEEDS)
def test_expand_is_a_transposed_convolution_from_one_point(
    batch: int, channels_in: int, channels_out: int, length: int, dtype: torch.dtype, seed: int
) -> None:
    torch.manual_seed(seed)
    layer = Expand(channels_in, channels_out, length)
    plain = nn.ConvTranspose1d(channels_in, channels_out, length, bias=False)
    compare(
        layer,
        plain,
        expanding,
        lambda x: channels_first(layer(x[:, :, 0])),
        plain,
        torch.randn(batch, channels_in, 1).to(dtype),
    )


@given(BATCHES, CHANNELS, st.integers(2, 40), st.booleans(), SEEDS)
def test_batch_norm_is_over_batch_and_time(
    batch: int, channels: int, length: int, training: bool, seed: int
) -> None:
    torch.manual_seed(seed)
    norm, plain = BatchNorm(channels).double(), nn.BatchNorm1d(channels).double()
    for module in (norm, plain):
        module.train(training)
        torch.manual_seed(seed)
        nn.init.normal_(module.weight)
        nn.init.normal_(module.bias)
        module.running_mean = torch.randn(channels).double()
        module.running_var = torch.rand(channels).double() + 0.1
    x = torch.randn(batch, channels, length).double()
    first, second = x.clone().requires_grad_(), x.clone().requires_grad_()
    result, expected = channels_first(norm(time_first(first))), plain(second)
    gradient = torch.randn_like(expected)
    result.backward(gradient)
    expected.backward(gradient)
    torch.testing.assert_close(result, expected)
    torch.testing.assert_close(first.grad, second.grad)
    torch.testing.assert_close(norm.weight.grad, plain.weight.grad)
    torch.testing.assert_close(norm.bias.grad, plain.bias.grad)
    for key, value in plain.state_dict().items():
        torch.testing.assert_close(norm.state_dict()[key], value)


@pytest.mark.parametrize("leakage", [1.0, 0.2])
@pytest.mark.parametrize("batch", [1, 3])
def test_gradients_are_those_of_finite_differences(leakage: float, batch: int) -> None:
    torch.manual_seed(batch)
    down, up = Halving(2, 3).double(), Doubling(2, 3).double()
    x = torch.randn(8, batch, 2, dtype=torch.float64, requires_grad=True)

    def halved(x: Tensor, weight: Tensor) -> Tensor:
        return functional_call(down, {"weight": weight}, (x, leakage))

    def doubled(x: Tensor, weight: Tensor) -> Tensor:
        return functional_call(up, {"weight": weight}, (x,))

    assert torch.autograd.gradcheck(halved, (x, down.weight))
    assert torch.autograd.gradcheck(doubled, (x, up.weight))


@given(BATCHES, CHANNELS, CHANNELS, st.sampled_from([torch.float32, torch.bfloat16]), SEEDS)
def test_a_gradient_that_nobody_wants_is_left_out(
    batch: int, channels_in: int, channels_out: int, dtype: torch.dtype, seed: int
) -> None:
    torch.manual_seed(seed)
    x = torch.randn(32, batch, channels_in).to(dtype)
    down, up = Halving(channels_in, channels_out), Doubling(channels_in, channels_out)
    for apply, layer in ((down, down), (up, up)):
        both = x.clone().requires_grad_()
        apply(both).sum().backward()
        expected, layer.weight.grad = layer.weight.grad, None
        apply(x).sum().backward()
        assert torch.equal(layer.weight.grad, expected)
        layer.weight.grad = None
        layer.weight.requires_grad_(False)
        alone = x.clone().requires_grad_()
        apply(alone).sum().backward()
        assert torch.equal(alone.grad, both.grad)
        assert layer.weight.grad is None


def test_taps_kept_in_place_are_those_of_the_weights_now() -> None:
    torch.manual_seed(0)
    layers = [Halving(2, 3), Halving(3, 4)]
    weights: list[Tensor] = [layer.weight for layer in layers]
    kept = TapBuffers(weights, torch.bfloat16)
    for _ in range(2):
        for mine, layer in zip(kept.written(), layers, strict=True):
            for one, other in zip(mine, Taps.of(layer.weight, torch.bfloat16), strict=True):
                assert torch.equal(one, other)
            with torch.no_grad():
                layer.weight.mul_(3).add_(1)
    assert kept.are_of(weights, torch.bfloat16)
    assert not kept.are_of(weights, torch.float32)
    assert not kept.are_of([layer.weight.clone() for layer in layers], torch.bfloat16)


def test_spectral_norms_of_all_layers_are_pytorchs_of_each() -> None:
    """Weights, vectors and gradients, over steps; then in evaluation."""
    torch.manual_seed(0)
    ours = [spectral_norm(Halving(n, 2 * n)).double() for n in (2, 4, 8)]
    theirs = copy.deepcopy(ours)
    norms = SpectralNorms(ours)
    for _ in range(3):
        divided = norms.divided()
        with cached():
            expected = [layer.weight for layer in theirs]
            gradients = [torch.randn_like(weight) for weight in expected]
            torch.autograd.backward(expected, gradients)
        torch.autograd.backward(divided, [each.flatten(1) for each in gradients])
        for layer, other, mine, weight in zip(ours, theirs, divided, expected, strict=True):
            torch.testing.assert_close(mine.view_as(weight), weight)
            assert_same(layer, other)
            with torch.no_grad():
                for each in (layer, other):
                    original = each.parametrizations.weight.original  # type: ignore[union-attr]
                    original -= 0.1 * original.grad
                    original.grad = None
    assert norms.are_in_place()


def assert_same(ours: Any, theirs: Any) -> None:
    for name, value in theirs.state_dict().items():
        torch.testing.assert_close(ours.state_dict()[name], value)
    mine, other = (each.parametrizations.weight.original.grad for each in (ours, theirs))
    torch.testing.assert_close(mine, other)
