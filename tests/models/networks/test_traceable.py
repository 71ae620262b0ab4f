from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from models.networks import traceable
from models.networks.architecture import Decoder, Trunk
from models.networks.layers import Doubling, Halving
from tests.models.trained import Build

Form = Callable[[Tensor, Tensor], Tensor]
SIZES = [(2, 1, 1, 4), (8, 3, 4, 2), (32, 5, 2, 1)]
"""Length, batch, channels in and out."""


def gradients(form: Form, x: Tensor, weight: Tensor) -> list[Tensor]:
    """What a form gives, and the gradients of a weighted sum of it."""
    inputs = [each.detach().clone().requires_grad_() for each in (x, weight)]
    result = form(*inputs)
    random = torch.Generator().manual_seed(9)
    weights = torch.randn(result.shape, generator=random, dtype=result.dtype)
    return [result.detach(), *torch.autograd.grad((result * weights).sum(), inputs)]


def layer(kind: type[Halving] | type[Doubling], weight: Tensor) -> torch.nn.Module:
    module = kind(1, 1)
    del module.weight
    module.weight = weight  # type: ignore[assignment]
    return module


@pytest.mark.parametrize(("length", "batch", "inside", "outside"), SIZES)
@pytest.mark.parametrize("leakage", [1.0, 0.2])
def test_halving_is_that_of_the_products_laid_out_by_hand(
    length: int, batch: int, inside: int, outside: int, leakage: float
) -> None:
    random = torch.Generator().manual_seed(length)
    x = torch.randn(length, batch, inside, generator=random, dtype=torch.float64)
    weight = torch.randn(outside, 4, inside, generator=random, dtype=torch.float64)
    expected = gradients(lambda x, w: layer(Halving, w)(x, leakage), x, weight)
    traced = gradients(lambda x, w: traceable.halve(x, w, leakage), x, weight)
    for mine, other in zip(traced, expected, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("length", "batch", "inside", "outside"), SIZES)
def test_doubling_is_that_of_the_products_laid_out_by_hand(
    length: int, batch: int, inside: int, outside: int
) -> None:
    random = torch.Generator().manual_seed(length)
    x = torch.randn(length, batch, inside, generator=random, dtype=torch.float64)
    weight = torch.randn(inside, 4, outside, generator=random, dtype=torch.float64)
    expected = gradients(lambda x, w: layer(Doubling, w)(x), x, weight)
    for mine, other in zip(gradients(traceable.double, x, weight), expected, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-12, atol=1e-12)


def test_bfloat16_products_have_float32_weight_gradients() -> None:
    x, weight = torch.randn(4, 2, 3), torch.randn(5, 4, 3)
    _, _, gradient = gradients(lambda x, w: traceable.halve(x.bfloat16(), w, 0.2), x, weight)
    assert gradient.dtype == torch.float32


@pytest.mark.slow
@pytest.mark.parametrize("spectral", [False, True])
def test_the_compiler_follows_a_network_without_a_break(spectral: bool) -> None:
    torch.manual_seed(0)
    trunk = Trunk(1, spectral=spectral).eval()
    x = torch.rand(3, 1, 32)
    followed: Any = torch.compile(trunk, backend="eager", fullgraph=True)
    torch.testing.assert_close(followed(x), trunk(x), rtol=1e-4, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["beta_vaegan", "ae"])
def test_the_setting_compiles_the_networks_and_names_no_weight_anew(
    name: str, build: Build
) -> None:
    plain: Any = build(name)
    compiled: Any = build(name, compile=True)
    networks = [m for m in compiled.networks.modules() if isinstance(m, Trunk | Decoder)]
    assert all(module._compiled_call_impl is not None for module in networks)
    assert all(module._compiled_call_impl is None for module in plain.networks.modules())
    assert compiled.weights().keys() == plain.weights().keys()
