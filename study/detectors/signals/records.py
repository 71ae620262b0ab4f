"""Heartbeats of a WFDB record of any length, cut exactly as `study.data.mitbih` cuts them.

The signal is read, resampled and cut ten minutes at a time, so that memory does not grow
with it; only the positions of the beats are held for the whole record, since a beat's
length follows from the beats around it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from study.data import dataset as dataset_entry
from study.data.amplitude import CENTRE, QRS_SECONDS, UNIT, learning, qrs_heights, typical_height
from study.data.beat_settings import BeatDatasetSettings, CentredWindow, PublishedWindow
from study.data.beats import (
    Spans,
    beat_spans,
    cut_windows,
    fit_windows,
    peak_positions,
    stacked,
)
from study.data.mitbih_records import read_annotation
from study.data.patient_components import (
    median_beat,
    template_distance,
    template_members,
    timing_components,
)
from study.data.resampling import FloatArray, IntArray, positions_of
from study.data.settings import DatasetSettings
from study.detectors.signals.block import Block
from study.detectors.signals.peaks import detect_peaks
from study.detectors.signals.record_file import RecordFile, ResampledRecord, open_leads
from study.errors import RequestError

BLOCK_SECONDS = 600

Peaks = Literal["annotated", "detected"]


@dataclass(frozen=True)
class Shown:
    """From which second of the record to which each beat is shown, `(n,)` each."""

    first: FloatArray
    last: FloatArray


@dataclass(frozen=True)
class BeatSource:
    """The beats of a record, all but the last one, which has no following interval.

    What the model's dataset takes of a whole record (the height of its QRS complexes, the
    patient's median beat) is read first, in one pass each.

    Attributes:
        leads: the record's signals that the model was trained on.
        position: `(m,)` R peaks, in samples of the record.
        symbol: `(m,)` their annotation symbols; "" for detected ones.
        settings: how the model's dataset cuts beats.
    """

    leads: tuple[RecordFile, ...]
    position: IntArray
    symbol: npt.NDArray[np.str_]
    settings: BeatDatasetSettings

    @property
    def record(self) -> RecordFile:
        """The record's first lead, which pictures show."""
        return self.leads[0]

    @cached_property
    def spans(self) -> Spans:
        """Where the windows of the beats lie, in samples of the window's rate."""
        return beat_spans(self.settings.window, self._peaks, self._signals[0].length)

    @cached_property
    def rate_hz(self) -> int:
        """The window's rate."""
        return self.settings.window.rate_hz

    @cached_property
    def shown(self) -> Shown:
        """The part of each beat's window that a picture shows, none of it another beat's."""
        peaks, stop = self._peaks, self.spans.start + self.spans.extent
        if isinstance(self.settings.window, PublishedWindow):
            first, last = peaks[:-1].astype(np.float64), np.minimum(stop, peaks[1:])
        else:
            middle = (peaks[1:] + peaks[:-1]) / 2
            first = np.maximum(self.spans.start, np.concatenate([[0], middle[:-1]]))
            last = np.minimum(stop, middle)
        return Shown(first / self.rate_hz, last / self.rate_hz)

    def blocks(self) -> Iterator[Block]:
        """Yield the beats in their order, those of ten minutes at a time."""
        for members in self._parts(np.arange(len(self.position) - 1)):
            yield self.block(members)

    def between(self, first_second: float, last_second: float) -> IntArray:
        """Return the indices of the beats whose R peak is in a stretch of the record."""
        seconds = self.position[:-1] / self.record.rate_hz
        return np.flatnonzero((seconds >= first_second) & (seconds < last_second))

    def windows(self, members: IntArray) -> FloatArray:
        """Return neighbouring beats in [0, 1], as `study.data.beats.stacked` does."""
        settings, spans = self.settings, self.spans.take(members)
        first, stop = self._limits(spans)
        windows = []
        for lead, record in enumerate(self._signals):
            if settings.amplitude == "beat":
                signal = record.raw(first, stop)
            else:
                signal = record.level(first, stop, settings.amplitude) / self._heights[lead]
            windows.append(cut_windows(signal, spans, settings.window, settings.amplitude, first))
        return stacked(windows)

    def block(self, members: IntArray) -> Block:
        """Return neighbouring beats as samples, with their columns and components."""
        values = fit_windows(self.windows(members), self.settings.length)
        position = self.position[members]
        return Block(
            values.astype(np.float32).reshape(len(members), -1, self.settings.length),
            {
                "record": np.full(len(members), self.record.path.name),
                "position": position,
                "seconds": position / self.record.rate_hz,
                "symbol": self.symbol[members],
            },
            self._components(members, values),
        )

    def in_record(
        self, members: IntArray, values: npt.NDArray[np.float32]
    ) -> list[tuple[FloatArray, FloatArray]]:
        """Return seconds in the record, and values of its first lead, of samples in [0, 1].

        Args:
            members: neighbouring beats.
            values: `(n, length)` what a model makes of them.
        """
        settings, spans = self.settings, self.spans.take(members)
        first, stop = self._limits(spans)
        raw, height = self._signals[0].raw(first, stop), 1.0
        level = None
        if settings.amplitude != "beat":
            level = self._signals[0].level(first, stop, settings.amplitude)
            height = self._heights[0]
        signal = raw if level is None else level / height
        windows = cut_windows(signal, spans, settings.window, settings.amplitude, first)
        offsets = positions_of(windows, settings.length)
        drawn = []
        for i, offset in enumerate(offsets):
            position = spans.begin[i] + offset
            start, end = int(spans.start[i]), int(spans.start[i] + spans.extent[i])
            inside = (position >= start) & (position < end)
            if isinstance(settings.window, CentredWindow):
                # Windows overlap on both sides: only what is the beat's own can be told apart.
                seconds = position / self.rate_hz
                first_shown, last_shown = self.shown.first[members[i]], self.shown.last[members[i]]
                inside &= (seconds >= first_shown) & (seconds <= last_shown)
            at, scaled = position[inside], values[i, inside].astype(np.float64)
            if level is None:
                own = raw[start - first : end - first]
                unit = own.min() + scaled * np.ptp(own)
            else:
                baseline = np.interp(at - first, np.arange(len(raw)), raw - level)
                unit = baseline + (scaled - CENTRE) / UNIT * height
            drawn.append((at / self.rate_hz, unit))
        return drawn

    @cached_property
    def _peaks(self) -> IntArray:
        return peak_positions(self.position, self.record.rate_hz, self.rate_hz)

    @cached_property
    def _signals(self) -> tuple[ResampledRecord, ...]:
        return tuple(ResampledRecord(lead, self.rate_hz) for lead in self.leads)

    @cached_property
    def _heights(self) -> tuple[float, ...]:
        """The height that values of each lead are relative to."""
        return tuple(map(self._height, self._signals))

    def _height(self, signal: ResampledRecord) -> float:
        """Return the height of the QRS complexes of a lead, or of its first minutes."""
        amplitude, peaks = self.settings.amplitude, self._peaks
        assert amplitude != "beat"
        heights, reach = [], round(QRS_SECONDS * self.rate_hz)
        for members in self._parts(np.flatnonzero(learning(peaks, self.rate_hz, amplitude))):
            first = max(int(peaks[members[0]]) - reach, 0)
            stop = min(int(peaks[members[-1]]) + reach + 1, signal.length)
            level = signal.level(first, stop, amplitude)
            heights.append(qrs_heights(level, peaks[members], self.rate_hz, first))
        return typical_height(np.concatenate(heights))

    @cached_property
    def _template(self) -> FloatArray:
        """The patient's median beat."""
        assert self.settings.components != "none"
        chosen = template_members(self.position, self.record.rate_hz, self.settings.components)
        parts = [
            fit_windows(self.windows(members), self.settings.length)
            for members in self._parts(chosen)
        ]
        return median_beat(np.concatenate(parts))

    @cached_property
    def _timing(self) -> dict[str, FloatArray]:
        """Components that follow from the R peaks alone, of all beats."""
        reference = self.settings.components
        assert reference != "none"
        return timing_components(self.position, self.record.rate_hz, reference)

    def _components(
        self, members: IntArray, values: FloatArray
    ) -> dict[str, npt.NDArray[np.float32]]:
        if self.settings.components == "none":
            return {}
        components = {name: each[members] for name, each in self._timing.items()}
        components["template_distance"] = template_distance(values, self._template)
        return {name: each.astype(np.float32) for name, each in components.items()}

    def _parts(self, members: IntArray) -> Iterator[IntArray]:
        """Yield those of `members` whose R peaks are within the same ten minutes."""
        which = self._peaks[members] // (BLOCK_SECONDS * self.rate_hz)
        for part in np.split(members, np.flatnonzero(np.diff(which)) + 1):
            if len(part):
                yield part

    @staticmethod
    def _limits(spans: Spans) -> tuple[int, int]:
        """Return the first position under some windows, and that after the last."""
        return int(spans.start.min()), int((spans.start + spans.extent).max())


def read_beats(path: Path, dataset: DatasetSettings, peaks: Peaks, *, resample: bool) -> BeatSource:
    """Return the beats of a record for a model that was trained on beats.

    Args:
        path: see `open_leads`.
        dataset: what the model was trained on.
        peaks: R peaks that are annotated (`.atr`), or those that `detect_peaks` detects.
        resample: take a record of another sampling rate than the training records'.

    Raises:
        RequestError: the model was not trained on beats, the rate is another one, or a file is
            damaged or missing.
    """
    leads = open_leads(path, getattr(dataset, "leads", "first"))
    record = leads[0]
    rate_hz = dataset_entry(dataset.name).record_rate_hz
    if rate_hz is None or not isinstance(dataset, BeatDatasetSettings):
        raise RequestError(
            f"{path}: expected a table of samples, for the model was trained on {dataset.name} and "
            "knows no heartbeats, found a WFDB record: choose a model of mitbih"
        )
    if record.rate_hz != rate_hz and not resample:
        raise RequestError(
            f"{record.path}: expected {rate_hz} Hz, as the model was trained on, found "
            f"{record.rate_hz:g} Hz: give such a record, or --resample"
        )
    if peaks == "annotated" and not record.path.with_name(f"{record.path.name}.atr").is_file():
        raise RequestError(
            f"{record.path}.atr: expected annotations, found no such file: give --peaks detected"
        )
    if peaks == "annotated":
        position, symbol = read_annotation(record.path, record.length)
    else:
        position = detect_peaks(record.read, record.length, record.rate_hz)
        symbol = np.full(len(position), "")
    if len(position) < 2:
        raise RequestError(
            f"{record.path}: expected two beats at least, found {len(position)}: the last one of a "
            "record is not scored"
        )
    return BeatSource(leads, position, symbol, dataset)
