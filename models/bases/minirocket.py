"""MiniRocket's features (Dempster, Schmidt and Webb 2021), as aeon computes them.

84 fixed kernels of length 9 (six weights -1, three weights 2) are dilated; a feature is the
share of time points at which a kernel's response exceeds a bias, and biases are quantiles of the
responses of training samples. aeon's own is compiled by Numba when it is first called, which
takes longer than a study of simple models; this one is NumPy.
"""

from dataclasses import dataclass
from itertools import combinations
from typing import Self

import numpy as np
import numpy.typing as npt

KERNEL_LENGTH = 9
KERNELS = np.array(list(combinations(range(KERNEL_LENGTH), 3)))
"""`(84, 3)` where each kernel has its weights of 2."""
MOST_DILATIONS = 32
MOST_CHANNELS = 9
SAMPLES_AT_ONCE = 256

Float32 = npt.NDArray[np.float32]
Index = npt.NDArray[np.int64]


@dataclass(frozen=True)
class MiniRocket:
    """What is fitted: all that features are a function of.

    Attributes:
        dilations: `(d,)` int64.
        counts: `(d,)` int64, features of each kernel at each dilation.
        channels: `(d * 84, c)` bool, channels whose responses are added, by dilation and kernel.
        biases: `(f,)` float32, by dilation, kernel and feature.
    """

    dilations: Index
    counts: Index
    channels: npt.NDArray[np.bool_]
    biases: Float32

    @classmethod
    def fit(cls, x: Float32, features: int, random: np.random.Generator) -> Self:
        """Draw biases from samples `(n, channels, length)`, a sample for each kernel and dilation.

        Args:
            x: the samples, at least `KERNEL_LENGTH` long.
            features: rounded down to a multiple of 84, and at least 84.
            random: draws samples, and which of several channels a kernel adds.

        Raises:
            ValueError: shorter samples.
        """
        if x.shape[2] < KERNEL_LENGTH:
            raise ValueError(f"expected at least {KERNEL_LENGTH} values, found {x.shape[2]}")
        dilations, counts = dilations_and_counts(x.shape[2], features)
        channels = _draw_channels(len(dilations) * len(KERNELS), x.shape[1], random)
        quantiles = _quantiles(len(KERNELS) * int(counts.sum()))
        fitted = cls(dilations, counts, channels, quantiles)
        drawn = random.integers(len(x), size=(len(dilations), len(KERNELS)))
        for step, dilation in enumerate(dilations):
            responses = _Responses(x[drawn[step]], int(dilation))
            for kernel, where in fitted._of_dilation(step):
                own = responses.of(kernel, channels[step * len(KERNELS) + kernel])[:, kernel]
                quantiles[where] = np.quantile(own.astype(np.float64), quantiles[where])
        return fitted

    def transform(self, x: Float32) -> Float32:
        """Return the features of samples `(n, channels, length)`, `(n, f)` in [0, 1]."""
        parts = range(0, len(x), SAMPLES_AT_ONCE)
        features = [self._transform(x[start : start + SAMPLES_AT_ONCE]) for start in parts]
        return np.concatenate([np.empty((0, len(self.biases)), np.float32), *features])

    def _transform(self, x: Float32) -> Float32:
        features = np.empty((len(self.biases), len(x)), np.float32)
        for step, dilation in enumerate(self.dilations):
            responses, padding = _Responses(x, int(dilation)), 4 * int(dilation)
            for kernel, where in self._of_dilation(step):
                response = responses.of(kernel, self.channels[step * len(KERNELS) + kernel])
                if (step + kernel) % 2:  # every second one only where it sees no padding
                    response = response[padding:-padding]
                for feature in range(where.start, where.stop):
                    above = response > self.biases[feature]  # (length, n)
                    features[feature] = above.view(np.uint8).sum(axis=0, dtype=np.uint16)
                features[where] /= np.float32(len(response))
        transformed: Float32 = features.T
        return transformed

    def _of_dilation(self, step: int) -> list[tuple[int, slice]]:
        """Return the kernels, with where the features of each are, at the dilation `step`."""
        count = int(self.counts[step])
        start = len(KERNELS) * int(self.counts[:step].sum())
        return [
            (kernel, slice(start + kernel * count, start + (kernel + 1) * count))
            for kernel in range(len(KERNELS))
        ]


class _Responses:
    """Responses of some samples to all kernels of one dilation; beyond its ends a sample is 0."""

    def __init__(self, x: Float32, dilation: int) -> None:
        values = np.ascontiguousarray(x.transpose(1, 2, 0))  # (n, c, length) -> (c, length, n)
        length = values.shape[1]
        shifted = np.zeros((KERNEL_LENGTH, *values.shape), np.float32)
        for tap in range(KERNEL_LENGTH):
            offset = (tap - 4) * dilation
            first, stop = max(0, -offset), min(length, length - offset)
            shifted[tap, :, first:stop] = values[:, first + offset : stop + offset]
        self._ones = -values
        for tap in (0, 1, 2, 3, 5, 6, 7, 8):
            self._ones -= shifted[tap]
        self._threes = 3 * shifted

    def of(self, kernel: int, channels: npt.NDArray[np.bool_]) -> Float32:
        """Return a kernel's responses, added over channels, `(length, n)`."""
        a, b, c = KERNELS[kernel]
        if len(channels) == 1:
            ones, threes = self._ones[0], self._threes[:, 0]
        else:
            ones, threes = self._ones[channels], self._threes[:, channels]
        response: Float32 = ones + threes[a] + threes[b] + threes[c]
        summed: Float32 = response if len(channels) == 1 else response.sum(axis=0)
        return summed


def dilations_and_counts(length: int, features: int) -> tuple[Index, Index]:
    """Return dilations, and how many features each kernel has at each, both `(d,)`.

    Dilations grow as powers of two until a kernel is as long as a sample, 32 at most.
    """
    per_kernel = max(1, features // len(KERNELS))
    steps = min(per_kernel, MOST_DILATIONS)
    exponents = np.linspace(0, np.log2((length - 1) / 8), steps)
    dilations, counts = np.unique((2**exponents).astype(np.int64), return_counts=True)
    counts = (counts * (per_kernel / steps)).astype(np.int64)
    counts[: per_kernel - counts.sum()] += 1
    return dilations, counts


def _quantiles(features: int) -> Float32:
    """Return the multiples of the golden ratio modulo 1: a sequence of low discrepancy."""
    golden = (np.sqrt(5) + 1) / 2
    quantiles: Float32 = (np.arange(1, features + 1) * golden % 1).astype(np.float32)
    return quantiles


def _draw_channels(
    kernels: int, channels: int, random: np.random.Generator
) -> npt.NDArray[np.bool_]:
    """Return `(kernels, channels)`, of each kernel some channels, more often few than many."""
    most = np.log2(min(channels, MOST_CHANNELS) + 1)
    numbers = (2 ** random.uniform(0, most, kernels)).astype(np.int64)
    order = random.random((kernels, channels)).argsort(axis=1).argsort(axis=1)
    drawn: npt.NDArray[np.bool_] = order < numbers[:, None]
    return drawn
