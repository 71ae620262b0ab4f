"""Values in [0, 1]: limits of a fold's training samples, a pair for each channel."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from study.scores.components import Limits

Values = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Scaling:
    """What becomes 0 and 1 of each channel; sensors have units of their own.

    Attributes:
        limits: smallest and largest training value, one pair for each channel.
    """

    limits: tuple[Limits, ...]

    @classmethod
    def fit(cls, values: Values) -> Self:
        """Return the limits of samples `(n, channels, length)`, n >= 1."""
        channels = range(values.shape[1])
        return cls(tuple(Limits.fit(values[:, c].astype(np.float64).ravel()) for c in channels))

    def apply(self, values: Values) -> Values:
        """Return samples `(n, channels, length)` scaled so that the limits become 0 and 1."""
        scaled = np.empty(values.shape, dtype=np.float32)
        for channel, limits in enumerate(self.limits):
            own = values[:, channel]
            scaled[:, channel] = limits.apply(own.astype(np.float64).ravel()).reshape(own.shape)
        return scaled

    def restore(self, scaled: Values) -> Values:
        """Return scaled samples `(n, channels, length)` in their own units."""
        low, high = np.array([[each.minimum, each.maximum] for each in self.limits]).T
        span = (high - low)[:, np.newaxis]  # (channels,) -> (channels, 1)
        restored = low[:, np.newaxis] + scaled.astype(np.float64) * span
        return np.asarray(restored, dtype=np.float32)

    def to_dict(self) -> dict[str, Any]:
        """Return `minimum` and `maximum`: numbers of one channel, lists of several."""
        lows = [each.minimum for each in self.limits]
        highs = [each.maximum for each in self.limits]
        if len(self.limits) == 1:
            return {"minimum": lows[0], "maximum": highs[0]}
        return {"minimum": lows, "maximum": highs}

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Self:
        """Return what `to_dict` returned."""
        lows, highs = np.atleast_1d(stored["minimum"]), np.atleast_1d(stored["maximum"])
        ends = zip(lows.tolist(), highs.tolist(), strict=True)
        return cls(tuple(Limits(low, high) for low, high in ends))
