"""Windows of long recordings: where they are cut, and which of them overlap."""

import numpy as np
import numpy.typing as npt

from study.data.resampling import FloatArray, IntArray
from study.data.samples import Samples

Mask = npt.NDArray[np.bool_]


def window_starts(first: int, stop: int, length: int, stride: int) -> IntArray:
    """Return the first positions of windows that cover a stretch, `(n,)` rising.

    They are `stride` apart; a last one that ends with the stretch is nearer to the one before
    where that is needed. None fits a stretch that is shorter than a window.
    """
    if stop - first < length:
        return np.empty(0, dtype=np.int64)
    starts = np.arange(first, stop - length + 1, stride, dtype=np.int64)
    last = stop - length
    return starts if starts[-1] == last else np.append(starts, last)


def cut(values: FloatArray, starts: IntArray, length: int) -> FloatArray:
    """Return windows `(n, channels, length)` of a recording `(points, channels)`.

    Args:
        values: of the recording, which may be shorter than a window.
        starts: `(n,)` first position of each window.
        length: points of a window.
    """
    if not len(starts):
        return np.empty((0, values.shape[1], length))
    views = np.lib.stride_tricks.sliding_window_view(values, length, axis=0)
    return views[starts]


def overlap(begin: IntArray, end: IntArray, other_begin: IntArray, other_end: IntArray) -> Mask:
    """Return whether each stretch has a position in common with one of the others, `(n,)`.

    Args:
        begin: `(n,)` first position of each.
        end: `(n,)` the position after its last.
        other_begin: `(m,)` of the others.
        other_end: `(m,)` likewise.
    """
    # Others that begin before its end, less those that end before its beginning.
    begun = np.searchsorted(np.sort(other_begin), end, side="left")
    over = np.searchsorted(np.sort(other_end), begin, side="right")
    return np.asarray(begun > over)


def on_one_line(samples: Samples) -> tuple[IntArray, IntArray]:
    """Return begin and end of each sample's window, `(n,)`, all records laid end to end.

    Windows of two records never meet. What is returned of a sample without a window means nothing.
    """
    record = np.unique(samples.record, return_inverse=True)[1]
    stop = samples.start + samples.extent
    begin = record * int(stop.max(initial=0)) + samples.start
    return begin, begin + samples.extent
