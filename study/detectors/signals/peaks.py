"""R peaks of a signal of any length, by wfdb's detector XQRS, ten minutes at a time."""

from collections.abc import Callable

import numpy as np

from study.data.resampling import FloatArray, IntArray
from study.errors import RequestError, one_line

DETECTED_SECONDS = 600
OVERLAP_SECONDS = 10
REFRACTORY_SECONDS = 0.2
"""No heart beats again within it; XQRS keeps the same distance inside of a stretch."""


def detect_peaks(read: Callable[[int, int], FloatArray], length: int, rate_hz: float) -> IntArray:
    """Return ascending positions of the R peaks, `(m,)`.

    Stretches overlap by ten seconds on both sides, in which the detector learns anew and
    finds nothing that counts. Positions are the detector's own: moving them to the signal's
    maxima takes them further from the annotations of MIT-BIH.

    Args:
        read: returns the signal from one position up to another.
        length: of the signal.
        rate_hz: its sampling rate.

    Raises:
        RequestError: the signal is too short for the detector.
    """
    stretch, overlap = round(DETECTED_SECONDS * rate_hz), round(OVERLAP_SECONDS * rate_hz)
    by_stretch = []
    for start in range(0, length, stretch):
        stop = min(start + stretch, length)
        first, last = max(start - overlap, 0), min(stop + overlap, length)
        peaks = first + _xqrs(read(first, last), rate_hz)
        by_stretch.append(peaks[(peaks >= start) & (peaks < stop)])
    joined = np.concatenate(by_stretch)
    # A beat at the border of two stretches can be detected in both, a few samples apart.
    distance = np.diff(joined, prepend=np.iinfo(np.int64).min // 2)
    return joined[distance > REFRACTORY_SECONDS * rate_hz]


def _xqrs(signal: FloatArray, rate_hz: float) -> IntArray:
    from wfdb.processing import xqrs_detect

    try:
        return np.asarray(xqrs_detect(signal, rate_hz, verbose=False), dtype=np.int64)
    except ValueError as error:
        raise RequestError(
            f"--peaks detected: expected a signal of some seconds, found {len(signal)} samples at "
            f"{rate_hz:g} Hz: {one_line(error)}"
        ) from None
