"""Signals without their baseline, relative to the height of their own QRS complexes.

A beat that is scaled by its own limits has lost its height: a ventricular beat is as high as a
normal one. Relative to its record it keeps it, whatever the gain of the amplifier.
"""

import numpy as np
import numpy.typing as npt

from study.data.beat_settings import Reference
from study.data.resampling import FloatArray, IntArray

CUTOFF_HZ = 0.5
ORDER = 2
QRS_SECONDS = 0.1
LEARNING_SECONDS = 300
"""What AAMI EC57 lets a device learn from before its beats count."""

SETTLED_SECONDS = 20
"""After it the filter remembers nothing: its state has decayed to below 1e-18."""

FLAT = 1e-9
"""A QRS height, in the record's unit, that is only rounding."""

CENTRE, UNIT = 0.35, 0.4
"""Where the baseline lies in [0, 1], and the height of a median QRS complex there."""


def relative_to_record(
    signal: FloatArray, peaks: IntArray, rate_hz: int, amplitude: Reference
) -> FloatArray:
    """Return a whole record, `(n,)`, without its baseline and over its own QRS height.

    Args:
        signal: the record.
        peaks: `(m,)` ascending positions of its R peaks, m >= 1.
        rate_hz: its sampling rate.
        amplitude: the record's, or that of its first minutes; see the setting.
    """
    level = without_baseline(signal, rate_hz, amplitude)
    learned = peaks[learning(peaks, rate_hz, amplitude)]
    return level / typical_height(qrs_heights(level, learned, rate_hz))


def without_baseline(signal: FloatArray, rate_hz: int, amplitude: Reference) -> FloatArray:
    """Return a signal, `(n,)`, through a Butterworth high-pass of 0.5 Hz and order 2.

    Forward and backward, which moves nothing in time; for `first_minutes` forward alone, which
    needs nothing of what comes.
    """
    from scipy.signal import butter, sosfilt, sosfilt_zi, sosfiltfilt

    sections = butter(ORDER, CUTOFF_HZ, "highpass", fs=rate_hz, output="sos")
    if amplitude == "first_minutes":
        # As if the first value had always been there: no step at the record's beginning.
        state = sosfilt_zi(sections) * signal[0]
        return np.asarray(sosfilt(sections, signal, zi=state)[0], dtype=np.float64)
    padding = min(3 * (ORDER + 1), len(signal) - 1)
    return np.asarray(sosfiltfilt(sections, signal, padlen=padding), dtype=np.float64)


def qrs_heights(level: FloatArray, peaks: IntArray, rate_hz: int, first: int = 0) -> FloatArray:
    """Return largest less smallest value within 0.1 s of each of `peaks`, `(m,)`.

    Args:
        level: a signal without its baseline.
        peaks: positions in the record.
        rate_hz: sampling rate of both.
        first: position of the signal's first value in the record.
    """
    reach = round(QRS_SECONDS * rate_hz)
    near = (peaks - first)[:, np.newaxis] + np.arange(-reach, reach + 1)
    return np.asarray(np.ptp(level[np.clip(near, 0, len(level) - 1)], axis=1))


def typical_height(heights: FloatArray) -> float:
    """Return the median of QRS heights `(m,)`, m >= 1; 1 of a record that is flat."""
    height = float(np.median(heights))
    return height if height > FLAT else 1.0


def unit_range(level: FloatArray) -> FloatArray:
    """Return values over the QRS height, of any shape, in [0, 1]: the baseline lies at 0.35."""
    return np.asarray(np.clip(CENTRE + UNIT * level, 0.0, 1.0), dtype=np.float64)


def learning(position: IntArray, rate_hz: float, reference: Reference) -> npt.NDArray[np.bool_]:
    """Return which beats a record's own values are learned from, `(m,)`, the first always.

    All of the record, or those of its first five minutes, which begin at the first R peak.
    """
    if reference == "record":
        return np.ones(len(position), dtype=np.bool_)
    return np.asarray(position - position[:1] < LEARNING_SECONDS * rate_hz)
