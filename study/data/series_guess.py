"""What a recording of one's own probably is: its columns, its rhythm, its normal beginning."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from study.data.point_tables import PointColumns, PointTable, open_points
from study.data.recordings import Recording, normal_part, recording_name, recording_of
from study.data.resampling import FloatArray
from study.data.tables.compressed import inner_suffix
from study.data.tables.form import Column
from study.data.times import jumps
from study.errors import RequestError

FEWEST_VALUES = 8
"""Rows of fewer values are hardly samples."""
LENGTHS = (32, 256)
LENGTH_WITHOUT_RHYTHM = 64
MOST_WINDOWS = 20_000
RHYTHM_POINTS = 20_000
LEAST_CORRELATION = 0.3
LEAST_NORMAL_WINDOWS = 8
LEAST_NORMAL_SHARE = 0.1
UNLABELLED_SHARE = 0.7


@dataclass(frozen=True)
class SeriesGuess:
    """What a recording was taken for.

    Attributes:
        table: its columns.
        recording: its points.
        length: points of a window.
        stride: points from one window to the next.
        normal_until: points at its beginning to train with; None where its name says it.
        rate_hz: points a second; 0 if unknown.
        reasons: how these were chosen, a sentence each.
    """

    table: PointTable
    recording: Recording
    length: int
    stride: int
    normal_until: int | None
    rate_hz: float
    reasons: tuple[str, ...]


def is_recording(path: Path) -> bool:
    """Return whether rows of a file are probably moments of a recording, and no samples.

    They are if a benchmark's name says so, if they have few values, or if there is a column of
    times beside columns that are not numbered.
    """
    if inner_suffix(path) == ".ts":
        return False
    try:
        table = open_points(path, PointColumns())
    except RequestError:  # it has no columns of single numbers, if it is there at all
        return False
    if normal_part(recording_name(path)) is not None or len(table.channels) < FEWEST_VALUES:
        return True
    numbered = sum(name[-1:].isdecimal() for name in table.channels)
    return table.time is not None and numbered < len(table.channels) / 2


def guess_recording(path: Path, label: Column | None = None) -> SeriesGuess:
    """Return what the columns of a recording are, and how it may be cut into windows.

    Args:
        path: the file.
        label: the column of the points' labels, if it is known.

    Raises:
        RequestError: the file cannot be read, or is no table with a row per point.
    """
    table = open_points(path, PointColumns(label))
    recording = recording_of(table)
    by_name = recording.normal_until
    count = len(recording)
    first = int(recording.events[0, 0]) if len(recording.events) else None
    beginning = recording.values[: by_name or (first or count)]
    period = rhythm(beginning)
    lowest, highest = LENGTHS
    length = LENGTH_WITHOUT_RHYTHM
    if period:
        length = min(max(32 * math.ceil(period / 32), lowest), highest)
        reason = f"a window of {length} points holds the rhythm of {period} points that it has"
    else:
        reason = f"no rhythm was detected, so that the window of {length} points is a first try"
    stride = min(max(length // 8, math.ceil(count / MOST_WINDOWS)), length)
    normal_until, why = _normal_until(recording, length)
    times = [] if table.time is None else table.times
    reasons = (reason, why, *_possible_labels(recording, table), *filter(None, [jumps(times)]))
    return SeriesGuess(table, recording, length, stride, normal_until, _rate_hz(times), reasons)


def rhythm(values: FloatArray) -> int | None:
    """Return the period of a signal in points: the first high peak of its autocorrelation.

    Of several channels the autocorrelations are averaged.

    Args:
        values: `(n, channels)`; its first points count.

    Returns:
        The period, at least 4; None if none stands out.
    """
    values = values[:RHYTHM_POINTS]
    centred = values - values.mean(axis=0)
    centred = centred[:, np.ptp(centred, axis=0) > 0]
    if len(centred) < 16 or not centred.size:
        return None
    correlation = np.mean([_autocorrelation(each) for each in centred.T], axis=0)
    lags = correlation[: len(centred) // 3]
    inner = np.flatnonzero((lags[1:-1] > lags[:-2]) & (lags[1:-1] >= lags[2:])) + 1
    peaks = inner[(inner >= 4) & (lags[inner] > LEAST_CORRELATION)]
    if not len(peaks):
        return None
    # The first one that is about as high as the highest: later ones are its multiples.
    return int(peaks[lags[peaks] > 0.8 * lags[peaks].max()][0])


def _autocorrelation(centred: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    count = len(centred)
    spectrum = np.fft.rfft(centred, 2 * count)
    sums = np.fft.irfft(np.abs(spectrum) ** 2)[:count]
    return np.asarray(sums / sums[0])


def _normal_until(recording: Recording, length: int) -> tuple[int | None, str]:
    count, events = len(recording), recording.events
    if recording.normal_until is not None:
        return None, f"its name says that the first {recording.normal_until} points are normal"
    if not len(events):
        part = round(UNLABELLED_SHARE * count)
        share = f"the first {100 * UNLABELLED_SHARE:g} %"
        return part, f"nothing is labelled: {share} are taken for normal, the rest tests"
    first = min(int(events[0, 0]), count // 2)
    if first >= max(LEAST_NORMAL_WINDOWS * length, LEAST_NORMAL_SHARE * count):
        return first, f"the first {first} points are labelled normal, and train"
    return count // 2, (
        f"the first half trains, without windows that hold an abnormal point; the first of those is"
        f" {int(events[0, 0])}"
    )


def _possible_labels(recording: Recording, table: PointTable) -> Iterator[str]:
    """Yield which channels may be labels, of a file in which none were detected."""
    if table.label is not None:
        return
    flags = np.isin(recording.values, (0, 1)).all(axis=0) & (np.ptp(recording.values, axis=0) > 0)
    for name in np.array(recording.channels)[flags].tolist():
        yield (
            f"column {name} has the values 0 and 1 alone: if these are labels, --label {name} says"
            " so"
        )


def _rate_hz(written: Sequence[str]) -> float:
    """Return points a second by the times of all points; 0 if these are no moments."""
    import pandas as pd

    if len(written) < 2 or not any(mark in written[0] for mark in ":-"):
        return 0.0
    try:
        moments = pd.to_datetime(pd.Series(written))
    except (ValueError, TypeError):
        return 0.0
    seconds = float(moments.diff().dt.total_seconds().median())
    return float(f"{1 / seconds:.6g}") if seconds > 0 else 0.0
