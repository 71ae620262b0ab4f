"""Strided convolutions as matrix products (appendix "Architectural details").

A convolution of kernel 4, stride 2 and padding 1 reads the inputs 2t - 1 .. 2t + 2 for
its output t: two neighbouring pairs of inputs. With time first, `(length, batch,
channels)`, all pairs of a batch are the rows of one matrix, and those shifted by one
pair are the same matrix one block further down. So each convolution is two matrix
products on memory as it lies, nothing is copied for it, and its gradients are two
matrix products each as well. Libraries of linear algebra come close to a processor's
peak on these, in bfloat16 too, where strided convolutions of one dimension do not.

In comments on shapes b is the batch, c the channels of the wide side, which is twice as
long, out those of the narrow side, and p the length of the narrow side.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional
from torch.nn.grad import conv2d_weight

_IMAGES = 16
_HAS_ONEDNN: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]


def paired(x: Tensor, leakage: float) -> Tensor:
    """See `models.networks.layers.paired`: `(2p, b, c)` to `(p + 1, b, 2c)`."""
    pairs: Tensor = _Pair.apply(x, leakage)  # type: ignore[no-untyped-call]
    return pairs


def halve(pairs: Tensor, weight: Tensor) -> Tensor:
    """Convolve pairs `(p + 1, b, 2c)` with `(out, 4, c)` to `(p, b, out)`."""
    halved: Tensor = _Halve.apply(pairs, weight)  # type: ignore[no-untyped-call]
    return halved


def double(x: Tensor, weight: Tensor) -> Tensor:
    """Convolve `(p, b, out)` transposed with `(out, 4, c)` to `(2p, b, c)`."""
    doubled: Tensor = _Double.apply(x, weight)  # type: ignore[no-untyped-call]
    return doubled


class _Pair(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, leakage: float) -> Tensor:
        length, batch, channels = x.shape
        pairs = x.new_empty(length // 2 + 1, batch, 2 * channels)
        _clear_ends(pairs)
        times = x.view(length // 2, 2, batch, channels)  # (2p, b, c) -> (p, 2, b, c)
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
        return times.flatten(0, 1), None  # (p, 2, b, c) -> (2p, b, c)


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
        times = _by_time(_pairs_of_product(x, early, late))
        return times.flatten(0, 1)  # (p, 2, b, c) -> (2p, b, c)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None]:
        x, weight, early, late = ctx.saved_tensors
        pairs = x.new_empty(x.shape[0] + 1, x.shape[1], early.shape[1])
        _clear_ends(pairs)
        times = _by_time(pairs)
        times.copy_(gradient.view(times.shape))  # (2p, b, c) -> (p, 2, b, c)
        wants_x, wants_weight = ctx.needs_input_grad
        return (
            _product_of_pairs(pairs, early, late) if wants_x else None,
            _weight_gradient(x, pairs, weight) if wants_weight else None,
        )


def _by_time(pairs: Tensor) -> Tensor:
    """Return the view of `pairs`, `(p + 1, b, 2c)`, as `(p, 2, b, c)`: even and odd times."""
    count, batch, width = pairs.shape
    channels = width // 2
    step = batch * width
    return pairs.as_strided(  # (p + 1, b, 2c) -> (p, 2, b, c)
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
    """Return the weights of the earlier and the later pair, `(out, 2c)` each."""
    by_pair = weight.detach().view(weight.shape[0], 2, -1)  # (out, 4, c) -> (out, 2, 2c)
    early, late = by_pair.unbind(1)  # (out, 2, 2c) -> (out, 2c), (out, 2c)
    return early.to(dtype).contiguous(), late.to(dtype).contiguous()


def _product_of_pairs(pairs: Tensor, early: Tensor, late: Tensor) -> Tensor:
    """Convolve: every pair with the next, `(p + 1, b, 2c)` to `(p, b, out)`."""
    first = pairs[:-1].flatten(0, 1)  # (p, b, 2c) -> (p * b, 2c)
    second = pairs[1:].flatten(0, 1)  # (p, b, 2c) -> (p * b, 2c)
    if _goes_to_onednn(first):
        rows = _product(first, early).add_(_product(second, late))
    else:
        rows = first @ early.t()  # (p * b, 2c) -> (p * b, out)
        torch.addmm(rows, second, late.t(), out=rows)
    return rows.view(pairs.shape[0] - 1, pairs.shape[1], -1)  # (p * b, out) -> (p, b, out)


def _pairs_of_product(x: Tensor, early: Tensor, late: Tensor) -> Tensor:
    """Convolve transposed: what each step adds to two pairs, `(p, b, out)` to `(p + 1, b, 2c)`."""
    rows = x.flatten(0, 1)  # (p, b, out) -> (p * b, out)
    pairs = x.new_empty(x.shape[0] + 1, x.shape[1], early.shape[1])
    first = pairs[:-1].view(rows.shape[0], -1)  # (p, b, 2c) -> (p * b, 2c)
    second = pairs[1:].view(rows.shape[0], -1)  # (p, b, 2c) -> (p * b, 2c)
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
    rows = x.flatten(0, 1)  # (p, b, out) -> (p * b, out)
    early = _product_by_rows(rows, pairs[:-1].flatten(0, 1))  # (p, b, 2c) -> (p * b, 2c)
    late = _product_by_rows(rows, pairs[1:].flatten(0, 1))  # (p, b, 2c) -> (p * b, 2c)
    by_pair = torch.stack([early, late], dim=1)  # (out, 2c), (out, 2c) -> (out, 2, 2c)
    return by_pair.to(weight.dtype).view_as(weight)  # (out, 2, 2c) -> (out, 4, c)


def _product(rows: Tensor, weight: Tensor) -> Tensor:
    """Return `rows @ weight.T`; `(n, k)` and `(m, k)`.

    float32 on a CPU goes to oneDNN as a convolution of kernel 1: PyTorch gives matrix
    products to MKL, which uses half the width of the vector units that are not Intel's.
    """
    if _goes_to_onednn(rows):
        kernels = weight.contiguous()[:, :, None, None]  # (m, k) -> (m, k, 1, 1)
        images = functional.conv2d(_as_images(rows), kernels)
        images = images.permute(0, 2, 3, 1)  # (16, m, 1, n / 16) -> (16, 1, n / 16, m)
        return images.reshape(rows.shape[0], -1)  # (16, 1, n / 16, m) -> (n, m)
    return rows @ weight.t()  # (n, k) -> (n, m)


def _product_by_rows(gradient: Tensor, rows: Tensor) -> Tensor:
    """Return `gradient.T @ rows`; `(n, m)` and `(n, k)`."""
    if _goes_to_onednn(rows):
        shape = (gradient.shape[1], rows.shape[1], 1, 1)
        kernels: Tensor = conv2d_weight(  # type: ignore[no-untyped-call]
            _as_images(rows), shape, _as_images(gradient)
        )
        return kernels.flatten(1)  # (m, k, 1, 1) -> (m, k)
    return gradient.t() @ rows  # (m, n), (n, k) -> (m, k)


def _goes_to_onednn(rows: Tensor) -> bool:
    return (
        rows.device.type == "cpu"
        and rows.dtype == torch.float32
        and rows.shape[0] % _IMAGES == 0
        and rows.shape[1] > 1
        and _HAS_ONEDNN
    )


def _as_images(rows: Tensor) -> Tensor:
    """Return the view of `(n, k)` as 16 images, `(16, k, 1, n / 16)`, channels last."""
    images = rows.view(_IMAGES, 1, -1, rows.shape[1])  # (n, k) -> (16, 1, n / 16, k)
    return images.permute(0, 3, 1, 2)  # (16, 1, n / 16, k) -> (16, k, 1, n / 16)
