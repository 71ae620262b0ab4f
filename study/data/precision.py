"""Whether float32, the type of samples, holds what a source measures."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from study.errors import RequestError

Float = npt.NDArray[np.float64]

LARGEST = float(np.finfo(np.float32).max)
FEWEST_STEPS = 1000
"""Of float32 in a channel's range; fewer make stairs of a signal."""
ROUNDING = 1e-12
"""A range that is a smaller share of the largest magnitude is rounding of a constant."""


def require_float32(values: Float, source: str) -> None:
    """Refuse values that are larger than the largest of float32.

    Args:
        values: `(n, ...)`, finite.
        source: of the values, for errors.

    Raises:
        RequestError: there is one; the message has its row, from 1.
    """
    is_large = np.abs(values) > LARGEST
    if is_large.any():
        first = int(np.argwhere(is_large)[0, 0])
        raise RequestError(
            f"{source}: expected values up to {LARGEST:.2g}, the largest of float32, found"
            f" {values[is_large][0]:.4g} in row {first + 1}: replace it, or choose another unit"
        )


def require_fine_steps(low: Float, high: Float, channels: Sequence[str], source: str) -> None:
    """Refuse channels whose range is lost in the steps that float32 has at their offset.

    Args:
        low: `(channels,)` smallest value of each.
        high: `(channels,)` largest.
        channels: names of several channels; () of one.
        source: of the values, for errors.

    Raises:
        RequestError: the range of a channel has fewer than `FEWEST_STEPS` of them.
    """
    largest, extent = np.maximum(np.abs(low), np.abs(high)), high - low
    step = np.spacing(largest.astype(np.float32)).astype(np.float64)
    is_lost = (extent < FEWEST_STEPS * step) & (extent > ROUNDING * largest)
    if is_lost.any():
        lost = int(np.argmax(is_lost))
        name = f"channel {channels[lost]}" if channels else "values"
        raise RequestError(
            f"{source}: expected {name} with a range of at least {FEWEST_STEPS} steps of float32,"
            f" found {low[lost]:.12g} to {high[lost]:.12g} in steps of {step[lost]:.2g}: subtract"
            " an offset, or set dataset.scaling to sample"
        )
