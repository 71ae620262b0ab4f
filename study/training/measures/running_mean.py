"""The running mean that tables I and IV are made of."""

import math
from collections.abc import Sequence


def running_mean(values: Sequence[float], window: int) -> list[float]:
    """Return, at each value, the mean of it and of up to `window - 1` before it.

    TSTR fluctuates with each drawing of its halves; the paper smooths it so, over five
    measurements (section IV.A). nan is what was not measured and is left out; where a
    window holds nothing else, so is its mean.

    Args:
        values: one for each measurement, in their order.
        window: measurements that a mean is taken of, at least 1.

    Raises:
        ValueError: a window below 1.
    """
    if window < 1:
        raise ValueError(f"window must be at least 1, is {window}")
    return [
        _mean_of_measured(values[max(0, end - window) : end]) for end in range(1, len(values) + 1)
    ]


def _mean_of_measured(values: Sequence[float]) -> float:
    measured = [value for value in values if not math.isnan(value)]
    return sum(measured) / len(measured) if measured else math.nan
