"""The convolutions of `models.convolutions` in operations that `torch.compile` follows.

A compiler writes the kernels and finds the gradients, so these say only what is computed:
no memory is laid out by hand. Without it they are slower.
"""

import torch
from torch import Tensor
from torch.nn import functional


def paired(x: Tensor, leakage: float) -> Tensor:
    """See `models.convolutions.paired`: `(length, batch, c)` to `(length / 2 + 1, batch, 2c)`."""
    active = functional.leaky_relu(x, leakage) if leakage != 1 else x
    padded = functional.pad(active, (0, 0, 0, 0, 1, 1))
    return padded.view(-1, 2, *x.shape[1:]).transpose(1, 2).flatten(2)


def halve(pairs: Tensor, weight: Tensor) -> Tensor:
    """Convolve pairs `(p + 1, batch, 2c)` with `(out, 4, c)` to `(p, batch, out)`."""
    early, late = _taps(weight, pairs.dtype)
    return torch.matmul(pairs[:-1], early.t()) + torch.matmul(pairs[1:], late.t())


def double(x: Tensor, weight: Tensor) -> Tensor:
    """Convolve `(p, batch, c)` transposed with `(c, 4, out)` to `(2p, batch, out)`."""
    early, late = _taps(weight, x.dtype)
    first = functional.pad(torch.matmul(x, early), (0, 0, 0, 0, 0, 1))
    second = functional.pad(torch.matmul(x, late), (0, 0, 0, 0, 1, 0))
    pairs = first + second
    times = pairs.view(*pairs.shape[:2], 2, -1).transpose(1, 2).flatten(0, 1)
    return times[1:-1]


def _taps(weight: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Return the weights of the earlier and the later pair."""
    early, late = weight.to(dtype).view(weight.shape[0], 2, -1).unbind(1)
    return early, late
