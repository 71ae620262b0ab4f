"""Networks that only score: norms folded into the weights, for few samples at once.

A single sample costs what it takes to read the weights once and to start each
operation. So every layer is one matrix product with its norm folded in, in the form
that starts the fewest operations: samples come first here, `(batch, length, channels)`,
and a convolution reads its four inputs as one row. For many samples at once the
networks of `models.networks.architecture` are faster. In comments on shapes b is the batch, l
the length and c the channels.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.networks.architecture import (
    LEAKAGE,
    Decoder,
    Discriminator,
    Encoder,
    GaussianEncoder,
    PosteriorHead,
    Trunk,
)
from models.networks.layers import KERNEL, BatchNorm, Doubling


def frozen_network(network: nn.Module, dtype: torch.dtype) -> nn.Module:
    """Return a network that gives what `network` gives in evaluation mode, to rounding.

    Args:
        network: one of `models.networks.architecture`.
        dtype: what it computes in.

    Raises:
        TypeError: another network.
    """
    for kind, frozen in _FROZEN.items():
        if isinstance(network, kind):
            built: nn.Module = frozen(network.eval()).to(dtype)
            return built
    kind_name = type(network).__name__
    raise TypeError(f"a network of models.networks.architecture can be frozen, found {kind_name}")


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


class FrozenTrunk(nn.Module):
    """`Trunk`: `(batch, channels, length)` to `(batch, length / 32, 16 w)`."""

    def __init__(self, trunk: Trunk) -> None:
        super().__init__()
        halvings = [trunk.first, *trunk.halvings]
        norms = [nn.Identity(), *trunk.norms]
        self.layers = nn.ModuleList()
        for halving, norm in zip(halvings, norms, strict=True):
            weight = halving.weight.flatten(1)  # (out, 4, in) -> (out, 4 * in)
            weight, bias = _folded(weight.t(), norm)
            self.layers.append(_linear(weight.t(), bias))

    def forward(self, x: Tensor) -> Tensor:
        """Return the features, `(batch, length / 32, 16 w)`."""
        x = x.transpose(1, 2)  # (b, c, l) -> (b, l, c)
        for layer in self.layers:
            batch, length, channels = x.shape
            padded = functional.pad(x, (0, 0, 1, 1))  # (b, l, c) -> (b, l + 2, c)
            windows = padded.as_strided(  # (b, l + 2, c) -> (b, l / 2, 4 * c)
                (batch, length // 2, KERNEL * channels),
                ((length + 2) * channels, 2 * channels, 1),
            )
            x = functional.leaky_relu_(layer(windows.contiguous()), LEAKAGE)
        return x


class FrozenEncoder(nn.Module):
    """`Encoder`."""

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.trunk = FrozenTrunk(encoder.trunk)
        weight = encoder.head.weight.flatten(0, 1)  # (l, in, out) -> (l * in, out)
        self.head = _linear(weight.t())

    def forward(self, x: Tensor) -> Tensor:
        """Return z, `(batch, latent)`."""
        hidden = self.trunk(x).flatten(1)  # (b, l, 16 w) -> (b, l * 16 w)
        z: Tensor = self.head(hidden)
        return z


class FrozenPosteriorHead(nn.Module):
    """`PosteriorHead`."""

    def __init__(self, head: PosteriorHead) -> None:
        super().__init__()
        weight, bias = _folded(head.mix.weight.t(), head.norm)
        self.mix = _linear(weight.t(), bias)
        channels = head.mix.out_features
        latent = head.linear.out_features
        weight = head.linear.weight
        weight = weight.reshape(latent, channels, -1)  # (latent, 16 * l) -> (latent, 16, l)
        weight = weight.transpose(1, 2)  # (latent, 16, l) -> (latent, l, 16)
        weight = weight.flatten(1)  # (latent, l, 16) -> (latent, l * 16)
        self.linear = _linear(weight, head.linear.bias)

    def forward(self, hidden: Tensor) -> Tensor:
        """Return the mean or the log variance, `(batch, latent)` float32."""
        active = functional.leaky_relu_(self.mix(hidden), LEAKAGE)
        active = active.flatten(1)  # (b, l, 16) -> (b, l * 16)
        result: Tensor = self.linear(active)
        return result.float()


class FrozenGaussianEncoder(nn.Module):
    """`GaussianEncoder`."""

    def __init__(self, encoder: GaussianEncoder) -> None:
        super().__init__()
        self.trunk = FrozenTrunk(encoder.trunk)
        self.mean = FrozenPosteriorHead(encoder.mean)
        self.log_variance = FrozenPosteriorHead(encoder.log_variance)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log variance, `(batch, latent)` float32 each."""
        hidden = self.trunk(x)
        return self.mean(hidden), self.log_variance(hidden)

    def posterior_mean(self, x: Tensor) -> Tensor:
        """Return the mean alone."""
        mean: Tensor = self.mean(self.trunk(x))
        return mean


class FrozenDecoder(nn.Module):
    """`Decoder`."""

    def __init__(self, decoder: Decoder) -> None:
        super().__init__()
        norms = [*decoder.norms, nn.Identity()]
        length, _, channels = decoder.expand.weight.shape
        weight, bias = _folded(decoder.expand.weight, norms[0])
        weight = weight.transpose(1, 2)  # (l, latent, 16 w) -> (l, 16 w, latent)
        weight = weight.reshape(length * channels, -1)  # (l, 16 w, latent) -> (l * 16 w, latent)
        self.expand = _linear(weight, bias.repeat(length))  # (16 w,) -> (l * 16 w,)
        self.length = length
        self.layers = nn.ModuleList()
        self.offsets = nn.ParameterList()
        for doubling, norm in zip(decoder.doublings, norms[1:], strict=True):
            assert isinstance(doubling, Doubling)
            weight, bias = _folded(doubling.weight, norm)
            weight = weight.flatten(1)  # (in, 4, out) -> (in, 4 * out)
            self.layers.append(_linear(weight.t()))
            self.offsets.append(_fixed(bias))

    def forward(self, z: Tensor) -> Tensor:
        """Return x̂ before its output layer, `(batch, channels, length)`."""
        x: Tensor = self.expand(z).unflatten(1, (self.length, -1))  # (b, l * 16 w) -> (b, l, 16 w)
        for layer, offset in zip(self.layers, self.offsets, strict=True):
            x = functional.relu_(x)
            batch, length, _ = x.shape
            taps: Tensor = layer(x)  # (b, l, in) -> (b, l, 4 * out)
            early, late = taps.chunk(2, dim=2)  # (b, l, 4 * out) -> (b, l, 2 * out) twice
            pairs = functional.pad(early, (0, 0, 0, 1))  # (b, l, 2 * out) -> (b, l + 1, 2 * out)
            pairs[:, 1:] += late
            times = 2 * length + 2
            x = pairs.view(batch, times, -1)  # (b, l + 1, 2 * out) -> (b, 2 * l + 2, out)
            x = x[:, 1:-1] + offset
        return x.transpose(1, 2)  # (b, l, c) -> (b, c, l)


class FrozenDiscriminator(nn.Module):
    """`Discriminator` as far as errors need it."""

    def __init__(self, discriminator: Discriminator) -> None:
        super().__init__()
        self.trunk = FrozenTrunk(discriminator.trunk)

    def features(self, x: Tensor) -> Tensor:
        """Return f(x) as `Discriminator.features` does, `(length / 32, batch, 16 w)`."""
        features: Tensor = self.trunk(x)
        return features.transpose(0, 1)  # (b, l, 16 w) -> (l, b, 16 w)


_FROZEN: dict[type[nn.Module], type[nn.Module]] = {
    Encoder: FrozenEncoder,
    GaussianEncoder: FrozenGaussianEncoder,
    Decoder: FrozenDecoder,
    Discriminator: FrozenDiscriminator,
}
