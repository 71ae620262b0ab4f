"""Networks that only score: norms folded into the weights, for few samples at once.

A single sample costs what it takes to read the weights once and to start each
operation. So every layer is one matrix product with its norm folded in, in the form
that starts the fewest operations: samples come first here, `(batch, length, channels)`,
and a convolution reads its four inputs as one row. For many samples at once the
networks of `models.networks` are faster.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.convolutions import KERNEL, BatchNorm, Doubling
from models.networks import (
    LEAKAGE,
    Decoder,
    Discriminator,
    Encoder,
    GaussianEncoder,
    PosteriorHead,
    Trunk,
)


def frozen_network(network: nn.Module, dtype: torch.dtype) -> nn.Module:
    """Return a network that gives what `network` gives in evaluation mode, to rounding.

    Args:
        network: one of `models.networks`.
        dtype: what it computes in.

    Raises:
        TypeError: another network.
    """
    for kind, frozen in _FROZEN.items():
        if isinstance(network, kind):
            built: nn.Module = frozen(network.eval()).to(dtype)
            return built
    raise TypeError(f"a network of models.networks can be frozen, found {type(network).__name__}")


def _folded(weight: Tensor, norm: nn.Module) -> tuple[Tensor, Tensor]:
    """Fold a norm in evaluation mode into the weight before it.

    Args:
        weight: its last dimension are the channels out.
        norm: `BatchNorm`, or another module that changes nothing.

    Returns:
        The weight, and the bias `(channels_out,)`.
    """
    if not isinstance(norm, BatchNorm):
        return weight, torch.zeros_like(weight[(0,) * (weight.ndim - 1)])
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
    return weight * scale, norm.bias - norm.running_mean * scale


def _linear(weight: Tensor, bias: Tensor | None = None) -> nn.Linear:
    """Return the layer `x @ weight.T + bias` that nobody trains."""
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None, device="meta")
    layer.weight = _fixed(weight)
    if bias is not None:
        layer.bias = _fixed(bias)
    return layer


def _fixed(value: Tensor) -> nn.Parameter:
    contiguous = value.detach().clone(memory_format=torch.contiguous_format)
    return nn.Parameter(contiguous, requires_grad=False)


class _Trunk(nn.Module):
    """`Trunk`: `(batch, channels, length)` to `(batch, length / 32, 512)`."""

    def __init__(self, trunk: Trunk) -> None:
        super().__init__()
        halvings = [trunk.first, *trunk.halvings]
        norms = [nn.Identity(), *trunk.norms]
        self.layers = nn.ModuleList()
        for halving, norm in zip(halvings, norms, strict=True):
            weight, bias = _folded(halving.weight.flatten(1).t(), norm)
            self.layers.append(_linear(weight.t(), bias))

    def forward(self, x: Tensor) -> Tensor:
        x = x.transpose(1, 2)
        for layer in self.layers:
            batch, length, channels = x.shape
            padded = functional.pad(x, (0, 0, 1, 1))
            windows = padded.as_strided(
                (batch, length // 2, KERNEL * channels),
                ((length + 2) * channels, 2 * channels, 1),
            )
            x = functional.leaky_relu_(layer(windows.contiguous()), LEAKAGE)
        return x


class _Encoder(nn.Module):
    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.trunk = _Trunk(encoder.trunk)
        self.head = _linear(encoder.head.weight.flatten(0, 1).t())

    def forward(self, x: Tensor) -> Tensor:
        z: Tensor = self.head(self.trunk(x).flatten(1))
        return z


class _PosteriorHead(nn.Module):
    def __init__(self, head: PosteriorHead) -> None:
        super().__init__()
        weight, bias = _folded(head.mix.weight.t(), head.norm)
        self.mix = _linear(weight.t(), bias)
        channels = head.mix.out_features
        by_channel = head.linear.weight.reshape(head.linear.out_features, channels, -1)
        self.linear = _linear(by_channel.transpose(1, 2).flatten(1), head.linear.bias)

    def forward(self, hidden: Tensor) -> Tensor:
        active = functional.leaky_relu_(self.mix(hidden), LEAKAGE)
        result: Tensor = self.linear(active.flatten(1))
        return result.float()


class FrozenGaussianEncoder(nn.Module):
    """`GaussianEncoder`."""

    def __init__(self, encoder: GaussianEncoder) -> None:
        super().__init__()
        self.trunk = _Trunk(encoder.trunk)
        self.mean = _PosteriorHead(encoder.mean)
        self.log_variance = _PosteriorHead(encoder.log_variance)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log variance, `(batch, latent)` float32 each."""
        hidden = self.trunk(x)
        return self.mean(hidden), self.log_variance(hidden)

    def locate(self, x: Tensor) -> Tensor:
        """Return the mean alone."""
        mean: Tensor = self.mean(self.trunk(x))
        return mean


class _Decoder(nn.Module):
    def __init__(self, decoder: Decoder) -> None:
        super().__init__()
        norms = [*decoder.norms, nn.Identity()]
        length, _, channels = decoder.expand.weight.shape
        weight, bias = _folded(decoder.expand.weight, norms[0])
        self.expand = _linear(
            weight.transpose(1, 2).reshape(length * channels, -1), bias.repeat(length)
        )
        self.length = length
        self.layers = nn.ModuleList()
        self.offsets = nn.ParameterList()
        for doubling, norm in zip(decoder.doublings, norms[1:], strict=True):
            assert isinstance(doubling, Doubling)
            weight, bias = _folded(doubling.weight, norm)
            self.layers.append(_linear(weight.flatten(1).t()))
            self.offsets.append(_fixed(bias))

    def forward(self, z: Tensor) -> Tensor:
        x: Tensor = self.expand(z).unflatten(1, (self.length, -1))
        for layer, offset in zip(self.layers, self.offsets, strict=True):
            x = functional.relu_(x)
            batch, length, _ = x.shape
            early, late = layer(x).chunk(2, dim=2)
            pairs = functional.pad(early, (0, 0, 0, 1))
            pairs[:, 1:] += late
            times = pairs.view(batch, 2 * length + 2, -1)[:, 1:-1]
            x = times + offset
        return x.transpose(1, 2)


class FrozenDiscriminator(nn.Module):
    """`Discriminator` as far as errors need it."""

    def __init__(self, discriminator: Discriminator) -> None:
        super().__init__()
        self.trunk = _Trunk(discriminator.trunk)

    def features(self, x: Tensor) -> Tensor:
        """Return f(x) as `Discriminator.features` does, `(length / 32, batch, 512)`."""
        features: Tensor = self.trunk(x)
        return features.transpose(0, 1)


_FROZEN: dict[type[nn.Module], type[nn.Module]] = {
    Encoder: _Encoder,
    GaussianEncoder: FrozenGaussianEncoder,
    Decoder: _Decoder,
    Discriminator: FrozenDiscriminator,
}
