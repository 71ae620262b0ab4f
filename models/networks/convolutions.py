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

from collections.abc import Sequence
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional
from torch.nn.grad import conv2d_weight

_IMAGES = 16
_HAS_ONEDNN: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]


class Taps(NamedTuple):
    """A weight as products read it: `(out, 2c)` for the earlier and the later pair.

    Attributes:
        early: of the earlier pair.
        late: of the later pair.
        early_t: `early` transposed.
        late_t: `late` transposed.
    """

    early: Tensor
    late: Tensor
    early_t: Tensor
    late_t: Tensor

    @classmethod
    def views_of(cls, by_pair: Tensor) -> Self:
        """Return the views of `(2, out, 2c)`, contiguous."""
        early, late = by_pair.unbind(0)  # (2, out, 2c) -> (out, 2c), (out, 2c)
        return cls(early, late, early.t(), late.t())

    @classmethod
    def of(cls, weight: Tensor, dtype: torch.dtype) -> Self:
        """Return the taps of a weight, `(out, 4, c)`."""
        return cls.views_of(_by_pair(weight.detach()).to(dtype).contiguous())


class TapBuffers:
    """The taps of several weights, kept in place and written by one operation.

    They are overwritten each time, so backward must have run before weights change: what
    an optimiser moves is never read again by a graph that came before.

    Args:
        weights: `(out, 4, c)` each.
        dtype: of the taps.
    """

    def __init__(self, weights: Sequence[Tensor], dtype: torch.dtype) -> None:
        self._dtype = dtype
        self._addresses = [weight.data_ptr() for weight in weights]
        self._sources = [_by_pair(weight.detach()) for weight in weights]
        self._buffers = [
            torch.empty(source.shape, dtype=dtype, device=source.device) for source in self._sources
        ]
        self._taps = [Taps.views_of(buffer) for buffer in self._buffers]

    def are_of(self, weights: Sequence[Tensor], dtype: torch.dtype) -> bool:
        """Return whether these are the weights, at the same addresses, and the type."""
        addresses = [weight.data_ptr() for weight in weights]
        return self._dtype == dtype and self._addresses == addresses

    def written(self) -> list[Taps]:
        """Return the taps of the weights as they are now."""
        torch._foreach_copy_(self._buffers, self._sources)
        return self._taps


def _by_pair(weight: Tensor) -> Tensor:
    """Return the view of `(out, 4, c)` as `(2, out, 2c)`: the earlier and the later pair."""
    by_pair = weight.view(weight.shape[0], 2, -1)  # (out, 4, c) -> (out, 2, 2c)
    return by_pair.transpose(0, 1)  # (out, 2, 2c) -> (2, out, 2c)


def halve(x: Tensor, batch: int, weight: Tensor, taps: Taps, leakage: float) -> Tensor:
    """Convolve leaky ReLU of x, `(2p, b, c)` or its rows, with `(out, 4, c)` to `(p * b, out)`."""
    rows: Tensor = _Halve.apply(x, batch, weight, taps, leakage)  # type: ignore[no-untyped-call]
    return rows


def double(x: Tensor, batch: int, weight: Tensor, taps: Taps) -> Tensor:
    """Convolve `(p, b, out)` or its rows transposed with `(out, 4, c)` to `(2p * b, c)`."""
    rows: Tensor = _Double.apply(x, batch, weight, taps)  # type: ignore[no-untyped-call]
    return rows


class _Halve(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, batch: int, weight: Tensor, taps: Taps, leakage: float
    ) -> Tensor:
        times = x.view(-1, 2, batch, x.shape[-1])  # (2p, b, c) or (2p * b, c) -> (p, 2, b, c)
        pairs = _padded(times)
        by_time = _by_time(pairs)
        torch.ops.aten.leaky_relu.out(times, leakage, out=by_time)
        first, second = _first_and_second(pairs)
        ctx.save_for_backward(by_time, first, second, weight)
        ctx.taps, ctx.leakage, ctx.shape, ctx.batch = taps, leakage, x.shape, batch
        return _product_of_pairs(first, second, taps)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        by_time, first, second, weight = ctx.saved_tensors
        gradient = gradient.contiguous()
        by_x = by_weight = None
        if ctx.needs_input_grad[0]:
            times = _by_time(_pairs_of_product(gradient, ctx.batch, ctx.taps))
            if ctx.leakage != 1:
                # A leaky ReLU has the sign of its input, so its output tells its slope.
                times = torch.ops.aten.leaky_relu_backward(times, by_time, ctx.leakage, True)
            by_x = times.reshape(ctx.shape)  # (p, 2, b, c) -> (2p, b, c) or (2p * b, c)
        if ctx.needs_input_grad[2]:
            by_weight = _weight_gradient(gradient, first, second, weight)
        return by_x, None, by_weight, None, None


class _Double(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, batch: int, weight: Tensor, taps: Taps) -> Tensor:
        rows = x.view(-1, x.shape[-1]) if x.ndim > 2 else x  # (p, b, out) -> (p * b, out)
        ctx.save_for_backward(rows, weight)
        ctx.taps, ctx.shape, ctx.batch = taps, x.shape, batch
        times = _by_time(_pairs_of_product(rows, batch, taps))
        return times.reshape(-1, times.shape[-1])  # (p, 2, b, c) -> (2p * b, c)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        rows, weight = ctx.saved_tensors
        times = gradient.reshape(-1, 2, ctx.batch, gradient.shape[-1])  # -> (p, 2, b, c)
        pairs = _padded(times)
        _by_time(pairs).copy_(times)
        first, second = _first_and_second(pairs)
        by_x = by_weight = None
        if ctx.needs_input_grad[0]:
            by_x = _product_of_pairs(first, second, ctx.taps)
            if len(ctx.shape) > 2:
                by_x = by_x.view(ctx.shape)  # (p * b, out) -> (p, b, out)
        if ctx.needs_input_grad[2]:
            by_weight = _weight_gradient(rows, first, second, weight)
        return by_x, None, by_weight, None


def _padded(times: Tensor) -> Tensor:
    """Return memory for the pairs `(p + 1, b, 2c)` of `(p, 2, b, c)`, its padding written."""
    length, _, batch, channels = times.shape
    pairs = times.new_empty(length + 1, batch, 2 * channels)
    last = length * batch * 2 * channels + channels
    ends = pairs.as_strided((2, batch, channels), (last, 2 * channels, 1), 0)
    ends.zero_()  # before the first time, and after the last
    return pairs


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


def _first_and_second(pairs: Tensor) -> tuple[Tensor, Tensor]:
    """Return the views of all pairs but the last, and but the first: `(p * b, 2c)` each."""
    count, batch, width = pairs.shape
    shape, stride = ((count - 1) * batch, width), (width, 1)
    return pairs.as_strided(shape, stride, 0), pairs.as_strided(shape, stride, batch * width)


def _product_of_pairs(first: Tensor, second: Tensor, taps: Taps) -> Tensor:
    """Convolve: every pair with the next, `(p * b, 2c)` each, to `(p * b, out)`."""
    if _goes_to_onednn(first):
        return _product(first, taps.early).add_(_product(second, taps.late))
    rows = first @ taps.early_t  # (p * b, 2c) -> (p * b, out)
    return rows.addmm_(second, taps.late_t)


def _pairs_of_product(rows: Tensor, batch: int, taps: Taps) -> Tensor:
    """Convolve transposed: what each step adds to two pairs, `(p * b, out)` to `(p + 1, b, 2c)`."""
    length = rows.shape[0] // batch
    pairs = rows.new_empty(length + 1, batch, taps.early.shape[1])
    first, second = _first_and_second(pairs)
    if _goes_to_onednn(rows):
        first.copy_(_product(rows, taps.early_t))
        pairs[length].zero_()
        second.add_(_product(rows, taps.late_t))
    else:
        torch.mm(rows, taps.early, out=first)
        pairs[length].zero_()
        second.addmm_(rows, taps.late)
    return pairs


def _weight_gradient(rows: Tensor, first: Tensor, second: Tensor, weight: Tensor) -> Tensor:
    """Return the gradient of the weight from the narrow side and the wide side's pairs."""
    if _goes_to_onednn(rows):
        products = [_product_by_rows(rows, pairs) for pairs in (first, second)]
    else:
        columns = rows.t()  # (p * b, out) -> (out, p * b)
        products = [columns @ first, columns @ second]
    gradient = torch.cat(products, dim=1).to(weight.dtype)  # (out, 2c), (out, 2c) -> (out, 4c)
    return gradient if weight.ndim == 2 else gradient.view_as(weight)  # (out, 4c) -> (out, 4, c)


def _product(rows: Tensor, weight: Tensor) -> Tensor:
    """Return `rows @ weight.T`; `(n, k)` and `(m, k)`, as oneDNN's convolution of kernel 1.

    PyTorch gives float32 products on a CPU to MKL, which uses half the width of the vector
    units that are not Intel's.
    """
    kernels = weight.contiguous()[:, :, None, None]  # (m, k) -> (m, k, 1, 1)
    images = functional.conv2d(_as_images(rows), kernels)
    images = images.permute(0, 2, 3, 1)  # (16, m, 1, n / 16) -> (16, 1, n / 16, m)
    return images.reshape(rows.shape[0], -1)  # (16, 1, n / 16, m) -> (n, m)


def _product_by_rows(gradient: Tensor, rows: Tensor) -> Tensor:
    """Return `gradient.T @ rows`; `(n, m)` and `(n, k)`, by oneDNN."""
    shape = (gradient.shape[1], rows.shape[1], 1, 1)
    kernels: Tensor = conv2d_weight(  # type: ignore[no-untyped-call]
        _as_images(rows), shape, _as_images(gradient)
    )
    return kernels.flatten(1)  # (m, k, 1, 1) -> (m, k)


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
