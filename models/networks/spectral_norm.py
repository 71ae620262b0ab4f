"""Spectral norm in training (Miyato et al. 2018), of several layers at a time.

It is PyTorch's parametrisation, whose vectors and names in stored weights these are: a
step of the power iteration for each pass, then `W / sigma`. All layers go through each
operation together. In evaluation the parametrisation itself is used.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


class SpectralNorms:
    """The layers' weights, divided by their spectral norms.

    Vectors and norms are kept in place: backward must have run before the next pass.

    Args:
        layers: with `torch.nn.utils.parametrizations.spectral_norm`.
    """

    def __init__(self, layers: Sequence[nn.Module]) -> None:
        norms: list[Any] = [layer.parametrizations.weight for layer in layers]  # type: ignore[union-attr]
        self.weights: list[Tensor] = [norm.original for norm in norms]
        self.left: list[Tensor] = [norm[0]._u for norm in norms]
        self.right: list[Tensor] = [norm[0]._v for norm in norms]
        self._addresses = self._pointers()
        self.matrices = [weight.detach().flatten(1) for weight in self.weights]
        self.transposed = [matrix.t() for matrix in self.matrices]
        self.columns = [left.unsqueeze(1) for left in self.left]
        self.rows = [right.unsqueeze(0) for right in self.right]
        self.normed = [torch.empty_like(matrix) for matrix in self.matrices]

    def are_in_place(self) -> bool:
        """Return whether the layers still hold the memory that this reads."""
        return self._addresses == self._pointers()

    def _pointers(self) -> list[int]:
        return [each.data_ptr() for each in (*self.weights, *self.left, *self.right)]

    def divided(self) -> list[Tensor]:
        """Step the power iteration, and return the weights over their norms, `(out, 4 * in)`.

        The same values, without a gradient, are in `normed` from then on.
        """
        with torch.no_grad():
            _direct(self.left, _products(self.matrices, self.right))
            sigmas = _direct(self.right, _products(self.transposed, self.left))
        divided: tuple[Tensor, ...] = _Divide.apply(self, sigmas, *self.weights)  # type: ignore[no-untyped-call]
        return list(divided)


def _products(matrices: list[Tensor], vectors: list[Tensor]) -> list[Tensor]:
    return [torch.mv(matrix, vector) for matrix, vector in zip(matrices, vectors, strict=True)]


def _direct(vectors: list[Tensor], products: list[Tensor]) -> tuple[Tensor, ...]:
    """Set vectors to the products' directions; return the products' lengths."""
    lengths = torch._foreach_norm(products)
    torch._foreach_copy_(vectors, torch._foreach_div(products, lengths))
    return lengths


class _Divide(torch.autograd.Function):
    """`W / sigma`, whose sigma is `u W v` with fixed u and v."""

    @staticmethod
    def forward(
        ctx: Any, norms: SpectralNorms, sigmas: tuple[Tensor, ...], *weights: Tensor
    ) -> tuple[Tensor, ...]:
        ctx.norms, ctx.sigmas = norms, sigmas
        divided = torch._foreach_div(norms.matrices, sigmas)
        torch._foreach_copy_(norms.normed, divided)
        return divided

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Return `(G - <G, W / sigma> u v^T) / sigma` of each layer."""
        norms: SpectralNorms = ctx.norms
        along = [product.sum() for product in torch._foreach_mul(gradients, norms.normed)]
        columns = torch._foreach_mul(norms.columns, along)
        across = [
            torch.addmm(gradient, column, row, alpha=-1)
            for gradient, column, row in zip(gradients, columns, norms.rows, strict=True)
        ]
        torch._foreach_div_(across, ctx.sigmas)
        return (
            None,
            None,
            *(each.view_as(weight) for each, weight in zip(across, norms.weights, strict=True)),
        )
