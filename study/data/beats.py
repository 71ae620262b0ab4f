"""Beats of a record of an electrocardiogram: where their windows lie, and cutting them.

Source of the published window: Kachuee, Fazeli, Sarrafzadeh, ECG heartbeat classification: a
deep transferable representation (2018), section III: 125 Hz, ten-second windows, beats over
1.2 times the window's median R-R interval, padded with zeros to 187.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from study.data.amplitude import relative_to_record, unit_range
from study.data.beat_settings import (
    PUBLISHED_LENGTH,
    PUBLISHED_RATE_HZ,
    Amplitude,
    BeatDatasetSettings,
    CentredWindow,
    PublishedWindow,
)
from study.data.patient_components import patient_components
from study.data.resampling import FloatArray, IntArray, fit_length, resample_rate, scale_rows

WINDOW_SECONDS = 10
PERIODS_PER_BEAT = 1.2


@dataclass(frozen=True)
class Spans:
    """Where the windows of a record's beats lie, in samples of the window's rate.

    Attributes:
        begin: `(n,)` position of a window's first value; below 0 where it begins before the record.
        start: `(n,)` its first position in the record.
        extent: `(n,)` its positions in the record, before any padding; at least 1.
    """

    begin: IntArray
    start: IntArray
    extent: IntArray

    def take(self, members: IntArray) -> "Spans":
        """Return the spans at `members`."""
        return Spans(self.begin[members], self.start[members], self.extent[members])


@dataclass(frozen=True)
class Beats:
    """Beats of one record, all but the last one, or of several records.

    The last beat has no following interval and is left out, which is what makes the published
    count of 109,446.

    Attributes:
        values: `(n, length)` in [0, 1], or `(n, leads, length)` of several leads.
        start: `(n,)` first position of each window, in samples of the window's rate.
        extent: `(n,)` samples of it.
        position: `(n,)` R peaks, in samples of the record.
        abnormal_neighbour: `(n,)` whether the R peak of another beat, an abnormal one, is in it.
        components: name to `(n,)`; see `study.data.patient_components`.
    """

    values: FloatArray
    start: IntArray
    extent: IntArray
    position: IntArray
    abnormal_neighbour: npt.NDArray[np.bool_]
    components: dict[str, FloatArray]


def cut_beats(
    signal: FloatArray,
    rate_hz: int,
    position: IntArray,
    abnormal: npt.NDArray[np.bool_],
    settings: BeatDatasetSettings,
) -> Beats:
    """Cut every beat but the last one of a record.

    Args:
        signal: `(n,)` the record, or `(leads, n)` several of its leads, each of which is cut and
            scaled by itself.
        rate_hz: its sampling rate.
        position: `(m,)` ascending positions of the R peaks in `signal`.
        abnormal: `(m,)` whether each beat is abnormal.
        settings: the window, and what its values are relative to.
    """
    window, reference = settings.window, settings.components
    peaks = peak_positions(position, rate_hz, window.rate_hz)
    leads = [resample_rate(lead, rate_hz, window.rate_hz) for lead in np.atleast_2d(signal)]
    if settings.amplitude != "beat":
        leads = [
            relative_to_record(lead, peaks, window.rate_hz, settings.amplitude) for lead in leads
        ]
    spans = beat_spans(window, peaks, len(leads[0]))
    windows = stacked([cut_windows(lead, spans, window, settings.amplitude) for lead in leads])
    values = fit_windows(windows, settings.length)
    components = {name: np.empty(0) for name in settings.component_names}
    if reference != "none" and len(values):
        components = patient_components(position, rate_hz, reference, values)
    return Beats(
        values=values,
        start=spans.start,
        extent=spans.extent,
        position=position[:-1],
        abnormal_neighbour=abnormal_neighbours(spans, peaks, abnormal),
        components=components,
    )


def stacked(leads: Sequence[FloatArray]) -> FloatArray:
    """Return windows `(n, width)` of one lead as they are, of several as `(n, leads, width)`."""
    return leads[0] if len(leads) == 1 else np.stack(leads, axis=1)


def fit_windows(windows: FloatArray, length: int) -> FloatArray:
    """Return what `stacked` returned, brought to `length`, each lead by itself."""
    rows = windows.reshape(-1, windows.shape[-1])  # (n, leads, width) -> (n * leads, width)
    return fit_length(rows, length).reshape(*windows.shape[:-1], length)


def joined_beats(records: Sequence[Beats]) -> Beats:
    """Return the beats of all records, one record after the other."""
    arrays = {
        name: np.concatenate([getattr(each, name) for each in records])
        for name in ("values", "start", "extent", "position", "abnormal_neighbour")
    }
    components = {
        name: np.concatenate([each.components[name] for each in records])
        for name in records[0].components
    }
    return Beats(**arrays, components=components)


def peak_positions(position: IntArray, rate_hz: float, new_rate_hz: int) -> IntArray:
    """Return the sample of `new_rate_hz` nearest to each `position` `(n,)` of `rate_hz`."""
    return np.asarray(np.floor(position * (new_rate_hz / rate_hz) + 0.5), dtype=np.int64)


def median_intervals(peaks: IntArray) -> FloatArray:
    """Return the nominal beat period at each of `peaks` `(n,)`, in samples of 125 Hz.

    The median of the R-R intervals that lie within the beat's ten-second window;
    where the window holds one beat only, the median of the whole record.
    """
    intervals = np.diff(peaks).astype(np.float64)
    window = peaks // (WINDOW_SECONDS * PUBLISHED_RATE_HZ)
    periods = np.full(len(peaks), np.median(intervals) if len(intervals) else np.nan)
    ends = np.flatnonzero(np.diff(window)) + 1
    for members in np.split(np.arange(len(peaks)), ends):
        if len(members) > 1:
            periods[members] = np.median(intervals[members[:-1]])
    return periods


def beat_spans(window: PublishedWindow | CentredWindow, peaks: IntArray, length: int) -> Spans:
    """Return where the windows of all beats but the last one lie.

    A published window runs from its R peak over 1.2 nominal periods, at most 187 samples.
    No window counts positions past the record's ends.

    Args:
        window: the window.
        peaks: `(m,)` ascending positions of the R peaks, in samples of the window's rate.
        length: of the signal.
    """
    begin = peaks[:-1] - window.values_before
    start = np.maximum(begin, 0)
    if isinstance(window, CentredWindow):
        return Spans(begin, start, np.minimum(begin + window.width, length) - start)
    wanted = np.floor(PERIODS_PER_BEAT * median_intervals(peaks)[:-1] + 0.5)
    longest = np.minimum(length - start, PUBLISHED_LENGTH)
    return Spans(begin, start, np.clip(wanted, 1, longest).astype(np.int64))


def cut_windows(
    signal: FloatArray,
    spans: Spans,
    window: PublishedWindow | CentredWindow,
    amplitude: Amplitude,
    first: int = 0,
) -> FloatArray:
    """Return windows `(n, width)` of a signal, in [0, 1].

    A published window is padded with zeros; a centred one repeats the value at the record's end.

    Args:
        signal: at the window's rate; relative to the record, if that is the amplitude.
        spans: where the windows lie in the record.
        window: the window.
        amplitude: what values are relative to.
        first: position of the signal's first value in the record.
    """
    offset = np.arange(window.width)
    last = spans.start + spans.extent - 1
    position = spans.begin[:, np.newaxis] + offset
    # Positions past the extent repeat a value within it, which changes no limit.
    rows = signal[np.clip(position, spans.start[:, np.newaxis], last[:, np.newaxis]) - first]
    values = scale_rows(rows) if amplitude == "beat" else unit_range(rows)
    if isinstance(window, PublishedWindow):
        values = np.where(offset < spans.extent[:, np.newaxis], values, 0.0)
    return values


def abnormal_neighbours(
    spans: Spans, peaks: IntArray, abnormal: npt.NDArray[np.bool_]
) -> npt.NDArray[np.bool_]:
    """Return whether each window holds the R peak of another beat that is abnormal, `(m - 1,)`.

    Args:
        spans: of all beats but the last one.
        peaks: `(m,)` R peaks.
        abnormal: `(m,)` whether each beat is.
    """
    until = np.concatenate([[0], np.cumsum(abnormal)])
    first, stop = (
        np.searchsorted(peaks, edge) for edge in (spans.start, spans.start + spans.extent)
    )
    return np.asarray(until[stop] - until[first] > abnormal[:-1])
