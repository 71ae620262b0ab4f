"""The layers of the networks, on `(length, batch, channels)`.

Layers compute in the type of their input; weights, and the gradients they get, are
float32 whatever that is. Their arithmetic is that of `models.networks.convolutions`, and
under `torch.compile` that of `models.networks.traceable`.
"""

import torch
from torch import Tensor, nn

from models.networks import convolutions, traceable
from models.networks.convolutions import Taps

KERNEL = 4


def time_first(x: Tensor) -> Tensor:
    """Return `(batch, channels, length)` as `(length, batch, channels)`, contiguous."""
    return x.permute(2, 0, 1).contiguous()  # (batch, channels, length) -> (length, batch, channels)


def channels_first(x: Tensor) -> Tensor:
    """Return `(length, batch, channels)` as `(batch, channels, length)`."""
    return x.permute(1, 2, 0)  # (length, batch, channels) -> (batch, channels, length)


class Halving(nn.Module):
    """Convolution of kernel 4, stride 2, padding 1, without bias: halves the length.

    `weight` is `(channels_out, 4, channels_in)`, drawn Glorot normal from PyTorch's
    global generator.
    """

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        weight = nn.init.xavier_normal_(torch.empty(channels_out, channels_in, KERNEL))
        weight = weight.transpose(1, 2)  # (out, in, 4) -> (out, 4, in)
        self.weight = nn.Parameter(weight.contiguous())

    def forward(self, x: Tensor, leakage: float = 1.0) -> Tensor:
        """Convolve leaky ReLU of x.

        Args:
            x: `(length, batch, channels_in)`; an even length, contiguous.
            leakage: slope of negative values; 1 leaves all as they are.

        Returns:
            `(length / 2, batch, channels_out)`.
        """
        weight = self.weight
        if torch.compiler.is_compiling():
            return traceable.halve(x, weight, leakage)
        taps = Taps.of(weight, x.dtype)
        rows = convolutions.halve(x, x.shape[1], weight, taps, leakage)
        return rows.view(x.shape[0] // 2, x.shape[1], -1)  # (p * b, out) -> (p, b, out)


class Doubling(nn.Module):
    """Transposed convolution of kernel 4, stride 2, padding 1, without bias.

    It is the gradient of `Halving` by its input, so `weight` is `(channels_in, 4,
    channels_out)`, drawn Glorot normal from PyTorch's global generator.
    """

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        weight = nn.init.xavier_normal_(torch.empty(channels_in, channels_out, KERNEL))
        weight = weight.transpose(1, 2)  # (in, out, 4) -> (in, 4, out)
        self.weight = nn.Parameter(weight.contiguous())

    def forward(self, x: Tensor) -> Tensor:
        """Convolve `(length, batch, channels_in)` to `(2 * length, batch, channels_out)`."""
        if torch.compiler.is_compiling():
            return traceable.double(x, self.weight)
        taps = Taps.of(self.weight, x.dtype)
        rows = convolutions.double(x, x.shape[1], self.weight, taps)
        return rows.view(2 * x.shape[0], x.shape[1], -1)  # (2p * b, c) -> (2p, b, c)


class Collapse(nn.Module):
    """Convolution over all that is left of the time axis, without bias.

    `weight` is `(length, channels_in, channels_out)`, Glorot normal as a convolution's.
    """

    def __init__(self, channels_in: int, channels_out: int, length: int) -> None:
        super().__init__()
        weight = nn.init.xavier_normal_(torch.empty(channels_out, channels_in, length))
        weight = weight.permute(2, 1, 0)  # (out, in, length) -> (length, in, out)
        self.weight = nn.Parameter(weight.contiguous())

    def forward(self, x: Tensor) -> Tensor:
        """Convolve `(length, batch, channels_in)` to `(batch, channels_out)`."""
        products = torch.bmm(x, self.weight.to(x.dtype))  # (length, b, in) -> (length, b, out)
        return products.sum(dim=0)  # (length, batch, out) -> (batch, out)


class Expand(nn.Module):
    """Transposed convolution from one point of time to `length`, without bias.

    `weight` is `(length, channels_in, channels_out)`, Glorot normal as a convolution's.
    """

    def __init__(self, channels_in: int, channels_out: int, length: int) -> None:
        super().__init__()
        weight = nn.init.xavier_normal_(torch.empty(channels_in, channels_out, length))
        weight = weight.permute(2, 0, 1)  # (in, out, length) -> (length, in, out)
        self.weight = nn.Parameter(weight.contiguous())

    def forward(self, z: Tensor) -> Tensor:
        """Convolve `(batch, channels_in)` to `(length, batch, channels_out)`."""
        return torch.matmul(z, self.weight.to(z.dtype))  # (batch, in) -> (length, batch, out)


class BatchNorm(nn.BatchNorm1d):
    """Batch norm of `(length, batch, channels)`, or of its rows, over length and batch."""

    def forward(self, input: Tensor) -> Tensor:
        """Return the input normalised, in its own type; statistics are float32."""
        if input.ndim == 2:
            return super().forward(input)
        rows = input.flatten(0, 1)  # (length, batch, channels) -> (length * batch, channels)
        return super().forward(rows).view_as(input)  # (length * b, c) -> (length, b, c)
