"""Sampling rates and lengths: polyphase, largest triangle, linear interpolation."""

from collections.abc import Callable
from fractions import Fraction

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_FILTER_REACH = 10
"""Half the length of scipy's filter, in samples of the lower of the two rates."""


def resample_rate(signal: FloatArray, rate_hz: int, new_rate_hz: int) -> FloatArray:
    """Return `signal` `(n,)` at another sampling rate, `(ceil(n * new / old),)`.

    A polyphase filter against aliasing; position `p` comes to lie at exactly
    `p * new_rate_hz / rate_hz`. (An FFT resampling to a truncated length stretches
    the time axis: in a half-hour record the last beat drifts by half a sample.)
    """
    from scipy.signal import resample_poly

    ratio = Fraction(new_rate_hz, rate_hz)
    # 'line' keeps the filter from ringing at both ends, where zeros would be a step.
    resampled = resample_poly(signal, ratio.numerator, ratio.denominator, padtype="line")
    return np.asarray(resampled, dtype=np.float64)


def resampled_length(length: int, ratio: Fraction) -> int:
    """Return how many samples `resample_rate` makes of `length`, `ratio` being new over old."""
    return -(-length * ratio.numerator // ratio.denominator)


def resample_span(
    read: Callable[[int, int], FloatArray], length: int, ratio: Fraction, start: int, stop: int
) -> FloatArray:
    """Return positions `start` to `stop` of a resampled signal, reading only what they need.

    They are what `resample_rate` gives at these positions of the whole signal.

    Args:
        read: returns the signal from one position up to another.
        length: of the signal.
        ratio: new sampling rate over the old one.
        start: first position, in samples of the new rate.
        stop: the position after the last, at most `resampled_length`.
    """
    from scipy.signal import resample_poly

    up, down = ratio.numerator, ratio.denominator
    margin = _FILTER_REACH * max(up, down) // up + 2
    # Only at multiples of `down` do both rates have a sample at the same time.
    first = (start * down // up - margin) // down * down
    last = -(-stop * down // up) + margin
    inner = read(max(first, 0), min(last, length))
    if first < 0 or last > length:
        inner = _continued(read, inner, length, max(-first, 0), max(last - length, 0))
    resampled = resample_poly(inner, up, down)
    offset = first // down * up
    return np.asarray(resampled[start - offset : stop - offset], dtype=np.float64)


def _continued(
    read: Callable[[int, int], FloatArray], inner: FloatArray, length: int, before: int, after: int
) -> FloatArray:
    """Continue a signal past its ends along the line through both, as padtype 'line' does."""
    low, high = read(0, 1)[0], read(length - 1, length)[0]
    slope = (high - low) / (length - 1) if length > 1 else 0.0
    left = low + np.arange(-before, 0) * slope
    right = high + np.arange(1, after + 1) * slope
    return np.concatenate([left, inner, right])


def scale_rows(rows: FloatArray) -> FloatArray:
    """Scale each row of `(n, length)` to [0, 1] by its own limits; constant rows are 0."""
    low = rows.min(axis=1, keepdims=True)
    span = rows.max(axis=1, keepdims=True) - low
    scaled = np.divide(rows - low, span, out=np.zeros_like(rows), where=span > 0)
    return np.asarray(np.clip(scaled, 0.0, 1.0), dtype=np.float64)


def interpolate_rows(rows: FloatArray, length: int) -> FloatArray:
    """Interpolate each row of `(n, old)` linearly to `(n, length)`; both ends are kept."""
    old = np.arange(rows.shape[1], dtype=np.float64)
    if rows.shape[1] == length:
        return rows
    new = np.linspace(0.0, rows.shape[1] - 1.0, length)
    out = np.empty((len(rows), length))
    for row, target in zip(rows, out, strict=True):
        target[:] = np.interp(new, old, row)
    return out


def downsample_rows(rows: FloatArray, length: int) -> FloatArray:
    """Choose `length` values of each row of `(n, old)` by largest triangle three buckets.

    The values are those at the chosen positions, in order; the first and the last are
    always among them. `length` must be below `old`.

    Source: Steinarsson, Downsampling time series for visual representation (2013).
    """
    return np.take_along_axis(rows, _chosen(rows, length), axis=1)


def _chosen(rows: FloatArray, length: int) -> npt.NDArray[np.int64]:
    """Return the positions that `downsample_rows` chooses, `(n, length)`."""
    from tsdownsample import LTTBDownsampler

    assert length < rows.shape[1]
    sampler = LTTBDownsampler()
    chosen = np.empty((len(rows), length), dtype=np.int64)
    for row, target in zip(np.ascontiguousarray(rows), chosen, strict=True):
        target[:] = sampler.downsample(row, n_out=length)
    return chosen


def fit_length(rows: FloatArray, length: int) -> FloatArray:
    """Bring rows to `length`: downsampled where they are longer, else interpolated."""
    if length < rows.shape[1]:
        return downsample_rows(rows, length)
    return interpolate_rows(rows, length)


def positions_of(rows: FloatArray, length: int) -> FloatArray:
    """Return where in each row of `(n, old)` the values of `fit_length` are, `(n, length)`."""
    if length < rows.shape[1]:
        return _chosen(rows, length).astype(np.float64)
    return np.tile(np.linspace(0.0, rows.shape[1] - 1.0, length), (len(rows), 1))
