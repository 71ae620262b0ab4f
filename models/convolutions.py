"""Strided convolutions as matrix products (appendix "Architectural details").

A convolution of kernel 4, stride 2 and padding 1 reads the inputs 2t - 1 .. 2t + 2 for
its output t: two neighbouring pairs of inputs. With time first, `(length, batch,
channels)`, all pairs of a batch are the rows of one matrix, and those shifted by one
pair are the same matrix one block further down. So each convolution is two matrix
products on memory as it lies, nothing is copied for it, and its gradients are two
matrix products each as well. Libraries of linear algebra come close to a processor's
peak on these, in bfloat16 too, where strided convolutions of one dimension do not.

Layers compute in the type of their input; weights, and the gradients they get, are
float32 whatever that is. Under `torch.compile` they are what `models.traceable` says.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional
from torch.nn.grad import conv2d_weight

from models import traceable

KERNEL = 4
_ROWS_AT_ONCE = 16
_HAS_ONEDNN: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]


def time_first(x: Tensor) -> Tensor:
    """Return `(batch, channels, length)` as `(length, batch, channels)`, contiguous."""
    return x.permute(2, 0, 1).contiguous()


def channels_first(x: Tensor) -> Tensor:
    """Return `(length, batch, channels)` as `(batch, channels, length)`."""
    return x.permute(1, 2, 0)


class Halving(nn.Module):
    """Convolution of kernel 4, stride 2, padding 1, without bias: halves the length.

    `weight` is `(channels_out, 4, channels_in)`, drawn Glorot normal from PyTorch's
    global generator.
    """

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        weight = nn.init.xavier_normal_(torch.empty(channels_out, channels_in, KERNEL))
        self.weight = nn.Parameter(weight.transpose(1, 2).contiguous())

    def forward(self, pairs: Tensor) -> Tensor:
        """Convolve what `paired` returned.

        Args:
            pairs: `(length / 2 + 1, batch, 2 * channels_in)`.

        Returns:
            `(length / 2, batch, channels_out)`.
        """
        if torch.compiler.is_compiling():
            return traceable.halve(pairs, self.weight)
        halved: Tensor = _Halve.apply(pairs, self.weight)  # type: ignore[no-untyped-call]
        return halved


class Doubling(nn.Module):
    """Transposed convolution of kernel 4, stride 2, padding 1, without bias.

    It is the gradient of `Halving` by its input, so `weight` is `(channels_in, 4,
    channels_out)`, drawn Glorot normal from PyTorch's global generator.
    """

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        weight = nn.init.xavier_normal_(torch.empty(channels_in, channels_out, KERNEL))
        self.weight = nn.Parameter(weight.transpose(1, 2).contiguous())

    def forward(self, x: Tensor) -> Tensor:
        """Convolve `(length, batch, channels_in)` to `(2 * length, batch, channels_out)`."""
        if torch.compiler.is_compiling():
            return traceable.double(x, self.weight)
        doubled: Tensor = _Double.apply(x, self.weight)  # type: ignore[no-untyped-call]
        return doubled


class Collapse(nn.Module):
    """Convolution over all that is left of the time axis, without bias.

    `weight` is `(length, channels_in, channels_out)`, Glorot normal as a convolution's.
    """

    def __init__(self, channels_in: int, channels_out: int, length: int) -> None:
        super().__init__()
        weight = nn.init.xavier_normal_(torch.empty(channels_out, channels_in, length))
        self.weight = nn.Parameter(weight.permute(2, 1, 0).contiguous())

    def forward(self, x: Tensor) -> Tensor:
        """Convolve `(length, batch, channels_in)` to `(batch, channels_out)`."""
        return torch.bmm(x, self.weight.to(x.dtype)).sum(dim=0)


class Expand(nn.Module):
    """Transposed convolution from one point of time to `length`, without bias.

    `weight` is `(length, channels_in, channels_out)`, Glorot normal as a convolution's.
    """

    def __init__(self, channels_in: int, channels_out: int, length: int) -> None:
        super().__init__()
        weight = nn.init.xavier_normal_(torch.empty(channels_in, channels_out, length))
        self.weight = nn.Parameter(weight.permute(2, 0, 1).contiguous())

    def forward(self, z: Tensor) -> Tensor:
        """Convolve `(batch, channels_in)` to `(length, batch, channels_out)`."""
        return torch.matmul(z, self.weight.to(z.dtype))


class BatchNorm(nn.BatchNorm1d):
    """Batch norm of `(length, batch, channels)` over length and batch."""

    def forward(self, input: Tensor) -> Tensor:
        """Return the input normalised, in its own type; statistics are float32."""
        return super().forward(input.flatten(0, 1)).view_as(input)


def paired(x: Tensor, leakage: float = 1.0) -> Tensor:
    """Return leaky ReLU of `x` as the pairs that `Halving` reads.

    Args:
        x: `(length, batch, channels)`; an even length.
        leakage: slope of negative values; 1 leaves all as they are.

    Returns:
        `(length / 2 + 1, batch, 2 * channels)`: at p, the values of time 2p - 1 and 2p;
        0 before the first and after the last.
    """
    if torch.compiler.is_compiling():
        return traceable.paired(x, leakage)
    pairs: Tensor = _Pair.apply(x, leakage)  # type: ignore[no-untyped-call]
    return pairs


def _by_time(pairs: Tensor) -> Tensor:
    """Return the view of `pairs`, `(p + 1, b, 2c)`, as `(p, 2, b, c)`: even and odd times."""
    count, batch, width = pairs.shape
    channels = width // 2
    step = batch * width
    return pairs.as_strided(
        (count - 1, 2, batch, channels),
        (step, step - channels, width, 1),
        pairs.storage_offset() + channels,
    )


def _clear_ends(pairs: Tensor) -> None:
    """Write the padding: nothing before the first time and after the last."""
    channels = pairs.shape[2] // 2
    pairs[0, :, :channels] = 0
    pairs[-1, :, channels:] = 0


def _taps(weight: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Return the weights of the earlier and the later pair, `(c_out, 2 * c_in)` each."""
    early, late = weight.detach().view(weight.shape[0], 2, -1).unbind(1)
    return early.to(dtype).contiguous(), late.to(dtype).contiguous()


def _product(rows: Tensor, weight: Tensor) -> Tensor:
    """Return `rows @ weight.T`; `(n, k)` and `(m, k)`.

    float32 on a CPU goes to oneDNN as a convolution of kernel 1: PyTorch gives matrix
    products to MKL, which uses half the width of the vector units that are not Intel's.
    """
    if _goes_to_onednn(rows):
        image = _as_image(rows)
        result = functional.conv2d(image, weight.contiguous()[:, :, None, None])
        return result.permute(0, 2, 3, 1).reshape(rows.shape[0], -1)
    return rows @ weight.t()


def _product_by_rows(gradient: Tensor, rows: Tensor) -> Tensor:
    """Return `gradient.T @ rows`; `(n, m)` and `(n, k)`."""
    if _goes_to_onednn(rows):
        shape = (gradient.shape[1], rows.shape[1], 1, 1)
        product: Tensor = conv2d_weight(  # type: ignore[no-untyped-call]
            _as_image(rows), shape, _as_image(gradient)
        )
        return product.flatten(1)
    return gradient.t() @ rows


def _goes_to_onednn(rows: Tensor) -> bool:
    return (
        rows.device.type == "cpu"
        and rows.dtype == torch.float32
        and rows.shape[0] % _ROWS_AT_ONCE == 0
        and rows.shape[1] > 1
        and _HAS_ONEDNN
    )


def _as_image(rows: Tensor) -> Tensor:
    """Return the view of `(n, k)` as 16 images, `(16, k, 1, n / 16)`, channels last."""
    return rows.view(_ROWS_AT_ONCE, 1, -1, rows.shape[1]).permute(0, 3, 1, 2)


def _product_of_pairs(pairs: Tensor, early: Tensor, late: Tensor) -> Tensor:
    """Convolve: every pair with the next, `(p + 1, b, 2c)` to `(p, b, c_out)`."""
    first, second = pairs[:-1].flatten(0, 1), pairs[1:].flatten(0, 1)
    if _goes_to_onednn(first):
        result = _product(first, early).add_(_product(second, late))
    else:
        result = first @ early.t()
        torch.addmm(result, second, late.t(), out=result)
    return result.view(pairs.shape[0] - 1, pairs.shape[1], -1)


def _pairs_of_product(x: Tensor, early: Tensor, late: Tensor) -> Tensor:
    """Convolve transposed: what every step adds to two pairs, `(p, b, c)` to `(p + 1, b, 2c)`."""
    rows = x.flatten(0, 1)
    pairs = x.new_empty(x.shape[0] + 1, x.shape[1], early.shape[1])
    first, second = pairs[:-1].view(rows.shape[0], -1), pairs[1:].view(rows.shape[0], -1)
    if _goes_to_onednn(rows):
        first.copy_(_product(rows, early.t()))
        pairs[-1] = 0
        second.add_(_product(rows, late.t()))
    else:
        torch.mm(rows, early, out=first)
        pairs[-1] = 0
        torch.addmm(second, rows, late, out=second)
    return pairs


def _weight_gradient(x: Tensor, pairs: Tensor, weight: Tensor) -> Tensor:
    """Return the gradient of the weight from the narrow side `x` and the wide side `pairs`."""
    rows = x.flatten(0, 1)
    early = _product_by_rows(rows, pairs[:-1].flatten(0, 1))
    late = _product_by_rows(rows, pairs[1:].flatten(0, 1))
    return torch.stack([early, late], dim=1).to(weight.dtype).view_as(weight)


class _Pair(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, leakage: float) -> Tensor:
        length, batch, channels = x.shape
        pairs = x.new_empty(length // 2 + 1, batch, 2 * channels)
        _clear_ends(pairs)
        times = x.view(length // 2, 2, batch, channels)
        torch.ops.aten.leaky_relu.out(times, leakage, out=_by_time(pairs))
        ctx.save_for_backward(pairs)
        ctx.leakage = leakage
        return pairs

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (pairs,) = ctx.saved_tensors
        # A leaky ReLU has the sign of its input, so its output tells its slope.
        times = torch.ops.aten.leaky_relu_backward(
            _by_time(gradient.contiguous()), _by_time(pairs), ctx.leakage, True
        )
        return times.flatten(0, 1), None


class _Halve(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, pairs: Tensor, weight: Tensor) -> Tensor:
        early, late = _taps(weight, pairs.dtype)
        ctx.save_for_backward(pairs, weight, early, late)
        return _product_of_pairs(pairs, early, late)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None]:
        pairs, weight, early, late = ctx.saved_tensors
        gradient = gradient.contiguous()
        wants_pairs, wants_weight = ctx.needs_input_grad
        return (
            _pairs_of_product(gradient, early, late) if wants_pairs else None,
            _weight_gradient(gradient, pairs, weight) if wants_weight else None,
        )


class _Double(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        early, late = _taps(weight, x.dtype)
        ctx.save_for_backward(x, weight, early, late)
        return _by_time(_pairs_of_product(x, early, late)).flatten(0, 1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None]:
        x, weight, early, late = ctx.saved_tensors
        pairs = x.new_empty(x.shape[0] + 1, x.shape[1], early.shape[1])
        _clear_ends(pairs)
        times = _by_time(pairs)
        times.copy_(gradient.view(times.shape))
        wants_x, wants_weight = ctx.needs_input_grad
        return (
            _product_of_pairs(pairs, early, late) if wants_x else None,
            _weight_gradient(x, pairs, weight) if wants_weight else None,
        )
