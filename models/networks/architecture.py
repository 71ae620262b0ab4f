"""Encoder, decoder and discriminator (appendix "Architectural details").

Five convolutions of kernel 4, stride 2 and padding 1 halve the length each; the
decoder mirrors them. Convolutions have no bias; weights are Glorot normal. Networks
compute in the type of their input, float32 or bfloat16. Between their ends time comes
first: `(length, batch, channels)`. In comments on shapes w is the width of the first
convolution, 32 in the paper; each further one has twice as many channels.
"""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm

from models.networks.convolutions import TapBuffers, Taps, double, halve
from models.networks.layers import (
    BatchNorm,
    Collapse,
    Doubling,
    Expand,
    Halving,
    channels_first,
    time_first,
)
from models.networks.spectral_norm import SpectralNorms

WIDTH = 32
HALVINGS = 5
REDUCTION = 2**HALVINGS
LEAKAGE = 0.2
HEAD_CHANNELS = 16


def widths(first: int = WIDTH) -> tuple[int, ...]:
    """Return the channels after each halving, of which the first has `first`."""
    return tuple(first * 2**halving for halving in range(HALVINGS))


class KeptWeights:
    """Memory that a network's weights are written to before a pass; a copy has its own."""

    def __init__(self) -> None:
        self._taps: TapBuffers | None = None
        self._norms: SpectralNorms | None = None

    def __deepcopy__(self, memo: dict[int, object]) -> "KeptWeights":
        return KeptWeights()

    def taps(self, weights: Sequence[Tensor], dtype: torch.dtype) -> list[Taps]:
        """Return the taps of weights as they are now."""
        if self._taps is None or not self._taps.are_of(weights, dtype):
            with torch.inference_mode(False):  # scoring may come before training
                self._taps = TapBuffers(weights, dtype)
        return self._taps.written()

    def spectral_norms(self, layers: Iterable[nn.Module]) -> SpectralNorms:
        """Return what norms the weights of layers."""
        if self._norms is None or not self._norms.are_in_place():
            with torch.inference_mode(False):
                self._norms = SpectralNorms(list(layers))
        return self._norms


def weights_of(layers: Iterable[nn.Module]) -> list[Tensor]:
    """Return the weight of each layer; parametrised ones are computed."""
    return [cast(Tensor, layer.weight) for layer in layers]


@dataclass(frozen=True)
class TrunkWeights:
    """The weights of a trunk's convolutions, for one pass or several.

    Attributes:
        weights: what gradients are of; divided by their spectral norms where there are any.
        taps: the same as products read them.
    """

    weights: list[Tensor]
    taps: list[Taps]


class Trunk(nn.Module):
    """Five halvings; from the second on batch norm, or spectral norm in its place.

    Spectral norm takes its vectors from the weights, so these are drawn before.
    """

    def __init__(self, channels: int, width: int = WIDTH, *, spectral: bool) -> None:
        super().__init__()
        self.first = Halving(channels, width)
        self.halvings = nn.ModuleList()
        self.norms = nn.ModuleList()
        for narrow, wide in itertools.pairwise(widths(width)):
            halving = Halving(narrow, wide)
            self.halvings.append(spectral_norm(halving) if spectral else halving)
            self.norms.append(nn.Identity() if spectral else BatchNorm(wide))
        self._spectral = spectral
        self._kept = KeptWeights()

    def weights(self, dtype: torch.dtype) -> TrunkWeights:
        """Return the weights as they are now; in training, a step of the power iteration."""
        first = self.first.weight
        if not self._spectral:
            weights = [first, *weights_of(self.halvings)]
            return TrunkWeights(weights, self._kept.taps(weights, dtype))
        norms = self._kept.spectral_norms(self.halvings)
        if self.training:
            divided = norms.divided()
        else:
            divided = weights_of(self.halvings)
            with torch.no_grad():
                torch._foreach_copy_(norms.normed, [each.flatten(1) for each in divided])
        return TrunkWeights([first, *divided], self._kept.taps([first, *norms.normed], dtype))

    def forward(self, x: Tensor, weights: TrunkWeights | None = None) -> Tensor:
        """Convolve to `(length / 32, batch, 16 w)`.

        Args:
            x: `(batch, channels, length)`.
            weights: of `weights`, for a pass that shares them with another.
        """
        hidden = time_first(x)  # (batch, channels, length) -> (length, batch, channels)
        if torch.compiler.is_compiling():
            hidden = self.first(hidden)
            for halving, norm in zip(self.halvings, self.norms, strict=True):
                hidden = norm(halving(hidden, LEAKAGE))
            return functional.leaky_relu(hidden, LEAKAGE)
        weights = weights or self.weights(x.dtype)
        leakage, batch = 1.0, len(x)
        for weight, taps, norm in zip(
            weights.weights, weights.taps, (None, *self.norms), strict=True
        ):
            hidden = halve(hidden, batch, weight, taps, leakage)
            hidden = norm(hidden) if isinstance(norm, BatchNorm) else hidden
            leakage = LEAKAGE
        hidden = functional.leaky_relu(hidden, LEAKAGE)
        # (length * batch, 16 w) -> (length, batch, 16 w)
        return hidden.view(-1, batch, hidden.shape[1])


class Encoder(nn.Module):
    """Deterministic encoder: x `(batch, channels, length)` to z `(batch, latent)`."""

    def __init__(self, channels: int, length: int, latent_size: int, width: int = WIDTH) -> None:
        super().__init__()
        self.trunk = Trunk(channels, width, spectral=False)
        self.head = Collapse(widths(width)[-1], latent_size, length // REDUCTION)

    def forward(self, x: Tensor) -> Tensor:
        """Return z, `(batch, latent)`."""
        z: Tensor = self.head(self.trunk(x))
        return z


class PosteriorHead(nn.Module):
    """1 x 1 convolution to 16 channels, batch norm, leaky ReLU and a linear layer."""

    def __init__(self, channels: int, length: int, latent_size: int) -> None:
        super().__init__()
        self.mix = nn.Linear(channels, HEAD_CHANNELS, bias=False)
        self.norm = BatchNorm(HEAD_CHANNELS)
        self.linear = nn.Linear(HEAD_CHANNELS * length, latent_size)
        for layer in (self.mix, self.linear):
            nn.init.xavier_normal_(layer.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, hidden: Tensor) -> Tensor:
        """Return one parameter of the posterior, `(batch, latent)` float32.

        Args:
            hidden: `(length, batch, 16 w)`.
        """
        mixed = functional.linear(hidden, self.mix.weight.to(hidden.dtype))
        active = functional.leaky_relu(self.norm(mixed), LEAKAGE)
        active = channels_first(active)  # (length, batch, 16) -> (batch, 16, length)
        flat = active.flatten(1)  # (batch, 16, length) -> (batch, 16 * length)
        result: Tensor = self.linear(flat.to(self.linear.weight.dtype))
        return result


class GaussianEncoder(nn.Module):
    """Encoder of the posterior q(z|x) = N(mean, diag(exp(log_variance)))."""

    def __init__(self, channels: int, length: int, latent_size: int, width: int = WIDTH) -> None:
        super().__init__()
        self.trunk = Trunk(channels, width, spectral=False)
        last, left = widths(width)[-1], length // REDUCTION
        self.mean = PosteriorHead(last, left, latent_size)
        self.log_variance = PosteriorHead(last, left, latent_size)

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

    def __init__(self, channels: int, length: int, latent_size: int, width: int = WIDTH) -> None:
        super().__init__()
        narrowing = widths(width)[::-1]
        self.expand = Expand(latent_size, narrowing[0], length // REDUCTION)
        self.norms = nn.ModuleList(map(BatchNorm, narrowing))
        self.doublings = nn.ModuleList(
            Doubling(wide, narrow) for wide, narrow in itertools.pairwise([*narrowing, channels])
        )
        self._kept = KeptWeights()

    def forward(self, z: Tensor) -> Tensor:
        """Return x̂ before its sigmoid or tanh."""
        hidden = self.expand(z)
        if torch.compiler.is_compiling():
            for norm, doubling in zip(self.norms, self.doublings, strict=True):
                hidden = doubling(functional.relu_(norm(hidden)))
            return channels_first(hidden)
        weights = weights_of(self.doublings)
        hidden = hidden.flatten(0, 1)  # (length, batch, 16 w) -> (length * batch, 16 w)
        for weight, taps, norm in zip(
            weights, self._kept.taps(weights, z.dtype), self.norms, strict=True
        ):
            hidden = double(functional.relu_(norm(hidden)), len(z), weight, taps)
        hidden = hidden.view(-1, len(z), hidden.shape[1])  # (l * b, c) -> (l, b, c)
        return channels_first(hidden)  # (length, batch, channels) -> (batch, channels, length)


class Discriminator(nn.Module):
    """D: x to a logit of being real, and the features f(x) before its last convolution."""

    def __init__(self, channels: int, length: int, width: int = WIDTH, *, spectral: bool) -> None:
        super().__init__()
        self.trunk = Trunk(channels, width, spectral=spectral)
        self.head = Collapse(widths(width)[-1], 1, length // REDUCTION)
        self._has_batch_norm = not spectral

    def features(self, x: Tensor, weights: TrunkWeights | None = None) -> Tensor:
        """Return f(x), `(length / 32, batch, 16 w)`; `weights` as in `Trunk.forward`."""
        features: Tensor = self.trunk(x, weights)
        return features

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits, `(batch,)`."""
        return self._logits(self.features(x))

    def _logits(self, features: Tensor) -> Tensor:
        logits: Tensor = self.head(features)
        return logits.flatten()  # (batch, 1) -> (batch,)

    def logits_of_both(self, both: Tensor) -> Tensor:
        """Return the logits of what `together` returned, `(2 * batch,)`.

        Where no batch norm mixes samples, both halves go through as one batch.
        """
        if not self._has_batch_norm:
            logits: Tensor = self(both)
            return logits
        real, fake = both.chunk(2)  # (2b, ...) -> (b, ...), (b, ...)
        return torch.cat([self(real), self(fake)])  # (b,), (b,) -> (2b,)


def together(real: Tensor, fake: Tensor) -> Tensor:
    """Return real samples and then as many others, `(2 * batch, channels, length)`.

    Time comes first in memory, as networks read it, so they copy nothing.
    """
    both = time_first(torch.cat([real, fake]))  # (b, c, l), (b, c, l) -> (l, 2b, c)
    return channels_first(both)  # (l, 2b, c) -> (2b, c, l)
