"""A trained model in NumPy, from a few samples to their error components.

NumPy starts an operation in a third of the time that PyTorch takes for it, so that a single
sample costs little more than its matrix products. It is made of frozen networks, whose norms
are folded into the weights; a convolution is the sum of two products, of all pairs of
neighbours but the last and of all but the first, which read memory as it lies. For many
samples PyTorch's networks are faster. In comments on shapes b is the batch, l the length and
c the channels.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy.special import expit
from torch import Tensor, nn

from models.bases.encoder_decoder import with_fixed_scores
from models.entry import DRAWN_NORM
from models.interface import Model
from models.networks.architecture import LEAKAGE
from models.networks.frozen import (
    FrozenDecoder,
    FrozenDiscriminator,
    FrozenEncoder,
    FrozenGaussianEncoder,
    FrozenPosteriorHead,
    FrozenTrunk,
    frozen_network,
)

Array = npt.NDArray[np.float32]

_LEAKAGE = np.float32(LEAKAGE)


class ArrayScorer:
    """Error components of a few samples; it shares nothing with the model, which it leaves.

    Args:
        model: an encoder model that computes in float32.

    Raises:
        TypeError: a model that computes in another type, or whose scores are no fixed
            function of the sample's values.
    """

    def __init__(self, model: Model) -> None:
        checked = with_fixed_scores(model)
        if checked.dtype != torch.float32:
            raise TypeError(f"a model that computes in float32 is needed, found {checked.dtype}")
        self._components = checked.components
        self._output = expit if checked.settings.output_layer == "sigmoid" else np.tanh
        self._is_rescaled = checked.settings.output_layer == "tanh_rescaled"
        networks: dict[str, Any] = {
            name: frozen_network(network, torch.float32).cpu()
            for name, network in checked.scored.items()
        }
        self._encoder = _Encoder(networks["encoder"])
        self._decoder = _Decoder(networks["decoder"])
        discriminator = networks.get("discriminator")
        assert discriminator is None or isinstance(discriminator, FrozenDiscriminator)
        self._discriminator = None if discriminator is None else _Trunk(discriminator.trunk)

    def errors(self, samples: Array) -> dict[str, Array]:
        """Return what `Model.errors` returns, up to rounding.

        Args:
            samples: `(n, channels, length)`, as the model reads them; n >= 1.

        Returns:
            `(n,)` by component.
        """
        x = np.ascontiguousarray(samples.transpose(0, 2, 1))  # (b, c, l) -> (b, l, c)
        if self._is_rescaled:
            x = 2 * x - 1
        z, log_variance = self._encoder(x)
        output: Array = self._output(self._decoder(z))
        # Rescaled samples differ twice as much as they do in their own units.
        difference = x - output
        if self._is_rescaled:
            difference /= 2
        errors = {
            "reconstruction_error": _mean_square(difference),
            "latent_norm": np.sqrt(np.einsum("bk,bk->b", z, z)),
        }
        if self._discriminator:
            features = self._discriminator(np.concatenate([x, output]))
            errors["discrimination_error"] = _mean_square(features[: len(x)] - features[len(x) :])
        if log_variance is not None:
            squares = z.astype(np.float64) ** 2 + np.exp(log_variance, dtype=np.float64)
            errors[DRAWN_NORM] = np.sqrt(squares.sum(axis=1)).astype(np.float32)
        return {name: errors[name] for name in self._components}


@dataclass(frozen=True)
class _Layer:
    """A linear layer: `x @ weight + bias`.

    Attributes:
        weight: `(in, out)`.
        bias: `(out,)`.
    """

    weight: Array
    bias: Array

    def __call__(self, x: Array) -> Array:
        """Return `(n, out)` of `(n, in)`."""
        result: Array = x @ self.weight
        result += self.bias
        return result


class _Trunk:
    """`Trunk`: `(batch, length, channels)` to `(batch, length / 32, 16 w)`."""

    def __init__(self, trunk: FrozenTrunk) -> None:
        layers = [_layer(layer) for layer in trunk.layers]
        # (4c, out) -> (2c, out), (2c, out): for the earlier and the later pair.
        self._layers = [(*_halves(each.weight, axis=0), each.bias) for each in layers]

    def __call__(self, x: Array) -> Array:
        for early, late, bias in self._layers:
            batch, length, channels = x.shape
            padded = np.zeros((batch, length + 2, channels), dtype=np.float32)
            padded[:, 1:-1] = x
            pairs = padded.reshape(batch, -1, 2 * channels)  # (b, l + 2, c) -> (b, l / 2 + 1, 2c)
            rows = pairs[:, :-1].reshape(-1, 2 * channels) @ early  # -> (b * l / 2, out)
            rows += pairs[:, 1:].reshape(-1, 2 * channels) @ late
            rows += bias
            x = _leaky(rows).reshape(batch, length // 2, -1)  # (b * l / 2, out) -> (b, l / 2, out)
        return x


class _Encoder:
    """`Encoder` to z, or `GaussianEncoder` to mean and log variance, `(batch, latent)` each."""

    def __init__(self, encoder: FrozenEncoder | FrozenGaussianEncoder) -> None:
        self._trunk = _Trunk(encoder.trunk)
        if isinstance(encoder, FrozenEncoder):
            self._mean: _Layer | _PosteriorHead = _layer(encoder.head)
            self._log_variance = None
        else:
            self._mean = _PosteriorHead(encoder.mean)
            self._log_variance = _PosteriorHead(encoder.log_variance)

    def __call__(self, x: Array) -> tuple[Array, Array | None]:
        hidden = self._trunk(x)
        if self._log_variance is None:
            return self._mean(hidden.reshape(len(x), -1)), None  # (b, l, c) -> (b, l * c)
        return self._mean(hidden), self._log_variance(hidden)


class _PosteriorHead:
    """`PosteriorHead`: features `(batch, length / 32, 16 w)` to `(batch, latent)`."""

    def __init__(self, head: FrozenPosteriorHead) -> None:
        self._mix, self._linear = _layer(head.mix), _layer(head.linear)

    def __call__(self, hidden: Array) -> Array:
        rows = hidden.reshape(-1, hidden.shape[2])  # (b, l, 16 w) -> (b * l, 16 w)
        mixed = _leaky(self._mix(rows))  # (b * l, 16 w) -> (b * l, 16)
        return self._linear(mixed.reshape(len(hidden), -1))  # (b * l, 16) -> (b, l * 16)


class _Decoder:
    """`Decoder`: z `(batch, latent)` to x̂ before its output layer, `(batch, length, channels)`."""

    def __init__(self, decoder: FrozenDecoder) -> None:
        self._expand, self._length = _layer(decoder.expand), decoder.length
        self._layers = [
            # (in, 4c) -> (in, 2c), (in, 2c): for the earlier and the later pair.
            (*_halves(_layer(layer).weight, axis=1), _array(offset))
            for layer, offset in zip(decoder.layers, decoder.offsets, strict=True)
        ]

    def __call__(self, z: Array) -> Array:
        x = self._expand(z).reshape(len(z), self._length, -1)  # (b, l * 16 w) -> (b, l, 16 w)
        for early, late, offset in self._layers:
            batch, length, channels = x.shape
            rows = np.maximum(x, 0).reshape(-1, channels)  # (b, l, c) -> (b * l, c)
            # What each step adds to two pairs of times: its own, and the next.
            pairs = np.zeros((batch, length + 1, early.shape[1]), dtype=np.float32)
            pairs[:, :-1] = (rows @ early).reshape(batch, length, -1)
            pairs[:, 1:] += (rows @ late).reshape(batch, length, -1)
            times = pairs.reshape(batch, 2 * length + 2, -1)  # (b, l + 1, 2c) -> (b, 2l + 2, c)
            x = times[:, 1:-1] + offset
        return x


def _array(values: Tensor) -> Array:
    return np.array(values.detach().numpy(), dtype=np.float32, order="C")


def _layer(linear: nn.Module) -> _Layer:
    assert isinstance(linear, nn.Linear)
    bias = np.zeros(linear.out_features, np.float32) if linear.bias is None else _array(linear.bias)
    return _Layer(_array(linear.weight.t()), bias)


def _halves(weight: Array, axis: int) -> tuple[Array, Array]:
    early, late = np.split(weight, 2, axis)
    return np.ascontiguousarray(early), np.ascontiguousarray(late)


def _leaky(x: Array) -> Array:
    result: Array = np.maximum(x, x * _LEAKAGE)
    return result


def _mean_square(values: Array) -> Array:
    """Return the mean of squares of each sample, `(n,)`."""
    rows = values.reshape(len(values), -1)
    mean: Array = np.einsum("ij,ij->i", rows, rows) / np.float32(rows.shape[1])
    return mean
