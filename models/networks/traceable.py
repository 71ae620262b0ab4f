"""The convolutions of `models.networks.convolutions` in operations that `torch.compile` follows.

A compiler writes the kernels and finds the gradients, so these say only what is computed:
no memory is laid out by hand. Without it they are slower. Letters of shapes are those of
`models.networks.convolutions`.
"""

import torch
from torch import Tensor
from torch.nn import functional


def halve(x: Tensor, weight: Tensor, leakage: float) -> Tensor:
    """Convolve leaky ReLU of x, `(2p, b, c)`, with `(out, 4, c)` to `(p, b, out)`."""
    active = functional.leaky_relu(x, leakage) if leakage != 1 else x
    padded = functional.pad(active, (0, 0, 0, 0, 1, 1))  # (2p, b, c) -> (2p + 2, b, c)
    times = padded.view(-1, 2, *x.shape[1:])  # (2p + 2, b, c) -> (p + 1, 2, b, c)
    pairs = times.transpose(1, 2).flatten(2)  # (p + 1, 2, b, c) -> (p + 1, b, 2c)
    early, late = _taps(weight, x.dtype)
    first = torch.matmul(pairs[:-1], early.t())  # (p, b, 2c) -> (p, b, out)
    second = torch.matmul(pairs[1:], late.t())  # (p, b, 2c) -> (p, b, out)
    return first + second


def double(x: Tensor, weight: Tensor) -> Tensor:
    """Convolve `(p, b, out)` transposed with `(out, 4, c)` to `(2p, b, c)`."""
    early, late = _taps(weight, x.dtype)
    first, second = torch.matmul(x, early), torch.matmul(x, late)  # (p, b, out) -> (p, b, 2c)
    first = functional.pad(first, (0, 0, 0, 0, 0, 1))  # (p, b, 2c) -> (p + 1, b, 2c)
    second = functional.pad(second, (0, 0, 0, 0, 1, 0))  # (p, b, 2c) -> (p + 1, b, 2c)
    pairs = first + second
    times = pairs.view(*pairs.shape[:2], 2, -1)  # (p + 1, b, 2c) -> (p + 1, b, 2, c)
    times = times.transpose(1, 2)  # (p + 1, b, 2, c) -> (p + 1, 2, b, c)
    return times.flatten(0, 1)[1:-1]  # (p + 1, 2, b, c) -> (2p, b, c)


def _taps(weight: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Return the weights of the earlier and the later pair, `(out, 2c)` each."""
    by_pair = weight.to(dtype).view(weight.shape[0], 2, -1)  # (out, 4, c) -> (out, 2, 2c)
    early, late = by_pair.unbind(1)  # (out, 2, 2c) -> (out, 2c), (out, 2c)
    return early, late
