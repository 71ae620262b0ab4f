"""Beats from an electrocardiogram: windows, cutting and scaling.

Source: Kachuee, Fazeli, Sarrafzadeh, ECG heartbeat classification: a deep
transferable representation (2018), section III: 125 Hz, ten-second windows, beats
over 1.2 times the window's median R-R interval, padded with zeros to 187.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from study.data.resampling import FloatArray, scale_rows

IntArray = npt.NDArray[np.int64]

BEAT_RATE_HZ = 125
BEAT_LENGTH = 187
WINDOW_SECONDS = 10
PERIODS_PER_BEAT = 1.2


@dataclass(frozen=True)
class Beats:
    """Beats of one record.

    Attributes:
        values: `(n, 187)` in [0, 1], zeros after `extent`.
        start: `(n,)` position of the R peak, in samples of 125 Hz.
        extent: `(n,)` samples before the padding, 1 to 187.
    """

    values: FloatArray
    start: IntArray
    extent: IntArray


def peak_positions(position: IntArray, rate_hz: float) -> IntArray:
    """Return the sample of 125 Hz nearest to each `position` `(n,)` counted in `rate_hz`."""
    return np.asarray(np.floor(position * (BEAT_RATE_HZ / rate_hz) + 0.5), dtype=np.int64)


def median_intervals(peaks: IntArray) -> FloatArray:
    """Return the nominal beat period at each of `peaks` `(n,)`, in samples of 125 Hz.

    The median of the R-R intervals that lie within the beat's ten-second window;
    where the window holds one beat only, the median of the whole record.
    """
    intervals = np.diff(peaks).astype(np.float64)
    window = peaks // (WINDOW_SECONDS * BEAT_RATE_HZ)
    periods = np.full(len(peaks), np.median(intervals) if len(intervals) else np.nan)
    ends = np.flatnonzero(np.diff(window)) + 1
    for members in np.split(np.arange(len(peaks)), ends):
        if len(members) > 1:
            periods[members] = np.median(intervals[members[:-1]])
    return periods


def cut_beats(signal: FloatArray, peaks: IntArray) -> Beats:
    """Cut every beat but the last one of a record, each scaled by its own limits.

    A beat runs from its R peak over 1.2 nominal periods, at most 187 samples and not
    past the record's end. The last beat has no following interval and is left out,
    which is what makes the published count of 109,446.

    Args:
        signal: `(n,)` at 125 Hz.
        peaks: `(m,)` ascending positions of the R peaks in `signal`.
    """
    start, extent = peaks[:-1], beat_extents(peaks, len(signal))
    return Beats(values=cut_windows(signal, start, extent), start=start, extent=extent)


def beat_extents(peaks: IntArray, length: int) -> IntArray:
    """Return the samples of each beat but the last one, `(m - 1,)`, 1 to 187.

    Args:
        peaks: `(m,)` as in `cut_beats`.
        length: of the signal.
    """
    wanted = np.floor(PERIODS_PER_BEAT * median_intervals(peaks)[:-1] + 0.5)
    longest = np.minimum(length - peaks[:-1], BEAT_LENGTH)
    return np.clip(wanted, 1, longest).astype(np.int64)


def cut_windows(signal: FloatArray, start: IntArray, extent: IntArray) -> FloatArray:
    """Return beats `(n, 187)` of `signal`, each scaled by its own limits, zeros after `extent`."""
    offset = np.arange(BEAT_LENGTH)
    inside = offset < extent[:, np.newaxis]
    index = np.where(inside, start[:, np.newaxis] + offset, start[:, np.newaxis])
    # Positions after the extent repeat the first value, which changes no limit.
    return np.where(inside, scale_rows(signal[index]), 0.0)
