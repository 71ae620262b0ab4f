"""Sampling rates and lengths: polyphase, largest triangle, linear interpolation."""

from fractions import Fraction

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


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
    from tsdownsample import LTTBDownsampler

    assert length < rows.shape[1]
    sampler = LTTBDownsampler()
    out = np.empty((len(rows), length))
    for row, target in zip(np.ascontiguousarray(rows), out, strict=True):
        target[:] = row[sampler.downsample(row, n_out=length)]
    return out


def fit_length(rows: FloatArray, length: int) -> FloatArray:
    """Bring rows to `length`: downsampled where they are longer, else interpolated."""
    if length < rows.shape[1]:
        return downsample_rows(rows, length)
    return interpolate_rows(rows, length)
