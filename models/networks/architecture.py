"""Encoder, decoder and discriminator (appendix "Architectural details").

Five convolutions of kernel 4, stride 2 and padding 1 halve the length each; the
decoder mirrors them. Convolutions have no bias; weights are Glorot normal. Networks
compute in the type of their input, float32 or bfloat16. Between their ends time comes
first: `(length, batch, channels)`.
"""

import itertools

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm

from models.networks.layers import (
    BatchNorm,
    Collapse,
    Doubling,
    Expand,
    Halving,
    channels_first,
    paired,
    time_first,
)

WIDTHS = (32, 64, 128, 256, 512)
REDUCTION = 2 ** len(WIDTHS)
LEAKAGE = 0.2
HEAD_CHANNELS = 16


class Trunk(nn.Module):
    """Five halvings; from the second on batch norm, or spectral norm in its place.

    Spectral norm takes its vectors from the weights, so these are drawn before.
    """

    def __init__(self, channels: int, *, spectral: bool) -> None:
        super().__init__()
        self.first = Halving(channels, WIDTHS[0])
        self.halvings = nn.ModuleList()
        self.norms = nn.ModuleList()
        for narrow, wide in itertools.pairwise(WIDTHS):
            halving = Halving(narrow, wide)
            self.halvings.append(spectral_norm(halving) if spectral else halving)
            self.norms.append(nn.Identity() if spectral else BatchNorm(wide))

    def forward(self, x: Tensor) -> Tensor:
        """Convolve x, `(batch, channels, length)`, to `(length / 32, batch, 512)`."""
        hidden = time_first(x)  # (batch, channels, length) -> (length, batch, channels)
        hidden = self.first(paired(hidden))
        for halving, norm in zip(self.halvings, self.norms, strict=True):
            hidden = norm(halving(paired(hidden, LEAKAGE)))
        return functional.leaky_relu(hidden, LEAKAGE)


class Encoder(nn.Module):
    """Deterministic encoder: x `(batch, channels, length)` to z `(batch, latent)`."""

    def __init__(self, channels: int, length: int, latent_size: int) -> None:
        super().__init__()
        self.trunk = Trunk(channels, spectral=False)
        self.head = Collapse(WIDTHS[-1], latent_size, length // REDUCTION)

    def forward(self, x: Tensor) -> Tensor:
        """Return z, `(batch, latent)`."""
        z: Tensor = self.head(self.trunk(x))
        return z


class PosteriorHead(nn.Module):
    """1 x 1 convolution to 16 channels, batch norm, leaky ReLU and a linear layer."""

    def __init__(self, length: int, latent_size: int) -> None:
        super().__init__()
        self.mix = nn.Linear(WIDTHS[-1], HEAD_CHANNELS, bias=False)
        self.norm = BatchNorm(HEAD_CHANNELS)
        self.linear = nn.Linear(HEAD_CHANNELS * length, latent_size)
        for layer in (self.mix, self.linear):
            nn.init.xavier_normal_(layer.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, hidden: Tensor) -> Tensor:
        """Return one parameter of the posterior, `(batch, latent)` float32.

        Args:
            hidden: `(length, batch, 512)`.
        """
        mixed = functional.linear(hidden, self.mix.weight.to(hidden.dtype))
        active = functional.leaky_relu(self.norm(mixed), LEAKAGE)
        active = channels_first(active)  # (length, batch, 16) -> (batch, 16, length)
        flat = active.flatten(1)  # (batch, 16, length) -> (batch, 16 * length)
        result: Tensor = self.linear(flat.to(self.linear.weight.dtype))
        return result


class GaussianEncoder(nn.Module):
    """Encoder of the posterior q(z|x) = N(mean, diag(exp(log_variance)))."""

    def __init__(self, channels: int, length: int, latent_size: int) -> None:
        super().__init__()
        self.trunk = Trunk(channels, spectral=False)
        self.mean = PosteriorHead(length // REDUCTION, latent_size)
        self.log_variance = PosteriorHead(length // REDUCTION, latent_size)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log variance, `(batch, latent)` float32 each."""
        hidden = self.trunk(x)
        return self.mean(hidden), self.log_variance(hidden)

    def posterior_mean(self, x: Tensor) -> Tensor:
        """Return the mean alone, which is all that scores need."""
        mean: Tensor = self.mean(self.trunk(x))
        return mean


class Decoder(nn.Module):
    """z `(batch, latent)` to x̂ before its output layer, `(batch, channels, length)`."""

    def __init__(self, channels: int, length: int, latent_size: int) -> None:
        super().__init__()
        self.expand = Expand(latent_size, WIDTHS[-1], length // REDUCTION)
        self.norms = nn.ModuleList(BatchNorm(width) for width in WIDTHS[::-1])
        self.doublings = nn.ModuleList(
            Doubling(wide, narrow) for wide, narrow in itertools.pairwise([*WIDTHS[::-1], channels])
        )

    def forward(self, z: Tensor) -> Tensor:
        """Return x̂ before its sigmoid or tanh."""
        hidden = self.expand(z)
        for norm, doubling in zip(self.norms, self.doublings, strict=True):
            hidden = doubling(functional.relu_(norm(hidden)))
        return channels_first(hidden)  # (length, batch, channels) -> (batch, channels, length)


class Discriminator(nn.Module):
    """D: x to a logit of being real, and the features f(x) before its last convolution."""

    def __init__(self, channels: int, length: int, *, spectral: bool) -> None:
        super().__init__()
        self.trunk = Trunk(channels, spectral=spectral)
        self.head = Collapse(WIDTHS[-1], 1, length // REDUCTION)
        self._has_batch_norm = not spectral

    def features(self, x: Tensor) -> Tensor:
        """Return f(x), `(length / 32, batch, 512)`."""
        features: Tensor = self.trunk(x)
        return features

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits, `(batch,)`."""
        logits: Tensor = self.head(self.features(x))
        return logits.flatten()  # (batch, 1) -> (batch,)

    def logits_of_both(self, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logits of both, `(batch,)` each.

        Where no batch norm mixes samples, both go through as one batch.
        """
        if self._has_batch_norm:
            return self(real), self(fake)
        both: Tensor = self(torch.cat([real, fake]))  # (n, ...), (m, ...) -> (n + m,)
        first, second = torch.split(both, [len(real), len(fake)])  # (n + m,) -> (n,), (m,)
        return first, second
