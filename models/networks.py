"""Encoder, decoder and discriminator (appendix "Architectural details").

Five convolutions of kernel 4, stride 2 and padding 1 halve the length each; the
decoder mirrors them. Convolutions have no bias; weights are Glorot normal.
"""

import itertools
from typing import TypeVar

from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

WIDTHS = (32, 64, 128, 256, 512)
REDUCTION = 2 ** len(WIDTHS)
LEAKAGE = 0.2
HEAD_CHANNELS = 16

_Layer = TypeVar("_Layer", nn.Conv1d, nn.ConvTranspose1d, nn.Linear)


def _initialised(layer: _Layer) -> _Layer:
    """Draw a layer's weights Glorot normal from PyTorch's global generator; biases are 0.

    Before spectral norm is put on it, which takes its vectors from the weights.
    """
    nn.init.xavier_normal_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def _convolution(channels_in: int, channels_out: int, kernel: int) -> nn.Conv1d:
    """Return a convolution without padding and bias."""
    return _initialised(nn.Conv1d(channels_in, channels_out, kernel, bias=False))


def _halving(channels_in: int, channels_out: int) -> nn.Conv1d:
    return _initialised(nn.Conv1d(channels_in, channels_out, 4, stride=2, padding=1, bias=False))


def _doubling(channels_in: int, channels_out: int) -> nn.ConvTranspose1d:
    return _initialised(
        nn.ConvTranspose1d(channels_in, channels_out, 4, stride=2, padding=1, bias=False)
    )


def _trunk(channels: int, *, spectral: bool) -> nn.Sequential:
    """Five halvings; from the second on batch norm, or spectral norm in its place."""
    layers: list[nn.Module] = [_halving(channels, WIDTHS[0]), nn.LeakyReLU(LEAKAGE)]
    for narrow, wide in itertools.pairwise(WIDTHS):
        halving = _halving(narrow, wide)
        layers += [spectral_norm(halving)] if spectral else [halving, nn.BatchNorm1d(wide)]
        layers.append(nn.LeakyReLU(LEAKAGE))
    return nn.Sequential(*layers)


class Encoder(nn.Module):
    """Deterministic encoder: x `(batch, channels, length)` to z `(batch, latent)`."""

    def __init__(self, channels: int, length: int, latent_size: int) -> None:
        super().__init__()
        self.trunk = _trunk(channels, spectral=False)
        self.head = _convolution(WIDTHS[-1], latent_size, length // REDUCTION)

    def forward(self, x: Tensor) -> Tensor:
        """Return z, `(batch, latent)`."""
        z: Tensor = self.head(self.trunk(x)).flatten(1)
        return z


class GaussianEncoder(nn.Module):
    """Encoder of the posterior q(z|x) = N(mean, diag(exp(log_variance)))."""

    def __init__(self, channels: int, length: int, latent_size: int) -> None:
        super().__init__()
        self.trunk = _trunk(channels, spectral=False)
        self.mean = self._head(length, latent_size)
        self.log_variance = self._head(length, latent_size)

    @staticmethod
    def _head(length: int, latent_size: int) -> nn.Sequential:
        return nn.Sequential(
            _convolution(WIDTHS[-1], HEAD_CHANNELS, 1),
            nn.BatchNorm1d(HEAD_CHANNELS),
            nn.LeakyReLU(LEAKAGE),
            nn.Flatten(),
            _initialised(nn.Linear(HEAD_CHANNELS * length // REDUCTION, latent_size)),
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log variance, `(batch, latent)` each."""
        hidden = self.trunk(x)
        return self.mean(hidden), self.log_variance(hidden)


class Decoder(nn.Module):
    """z `(batch, latent)` to x̂ before its output layer, `(batch, channels, length)`."""

    def __init__(self, channels: int, length: int, latent_size: int) -> None:
        super().__init__()
        widest = WIDTHS[-1]
        layers: list[nn.Module] = [
            _initialised(nn.ConvTranspose1d(latent_size, widest, length // REDUCTION, bias=False)),
            nn.BatchNorm1d(widest),
            nn.ReLU(),
        ]
        for wide, narrow in itertools.pairwise(WIDTHS[::-1]):
            layers += [_doubling(wide, narrow), nn.BatchNorm1d(narrow), nn.ReLU()]
        layers.append(_doubling(WIDTHS[0], channels))
        self.layers = nn.Sequential(*layers)

    def forward(self, z: Tensor) -> Tensor:
        """Return x̂ before its sigmoid or tanh."""
        logits: Tensor = self.layers(z.unsqueeze(2))
        return logits


class Discriminator(nn.Module):
    """D: x to a logit of being real, and the features f(x) before its last convolution."""

    def __init__(self, channels: int, length: int, *, spectral: bool) -> None:
        super().__init__()
        self.trunk = _trunk(channels, spectral=spectral)
        self.head = _convolution(WIDTHS[-1], 1, length // REDUCTION)

    def features(self, x: Tensor) -> Tensor:
        """Return f(x), `(batch, 512, length / 32)`."""
        features: Tensor = self.trunk(x)
        return features

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits, `(batch,)`."""
        logits: Tensor = self.head(self.features(x)).flatten()
        return logits
