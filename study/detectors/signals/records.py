"""Heartbeats of a WFDB record of any length, cut exactly as `study.data.mitbih` cuts them.

The signal is read, resampled and cut ten minutes at a time, so that memory does not grow
with it; only the positions of the beats are held for the whole record, since a beat's
length follows from the beats around it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from study.data import dataset as dataset_entry
from study.data import mitbih
from study.data.beats import (
    BEAT_LENGTH,
    BEAT_RATE_HZ,
    IntArray,
    beat_extents,
    cut_windows,
    peak_positions,
)
from study.data.resampling import FloatArray, fit_length, resample_span, resampled_length
from study.data.settings import DatasetSettings
from study.detectors.signals.block import Block
from study.detectors.signals.peaks import detect_peaks
from study.errors import RequestError

BLOCK_SECONDS = 600
_LARGEST_DENOMINATOR = 1000

Peaks = Literal["annotated", "detected"]


@dataclass(frozen=True)
class RecordFile:
    """The first channel of a WFDB record.

    Attributes:
        path: the record without extension.
        length: its samples.
        rate_hz: its sampling rate.
        unit: physical unit of the signal.
        channel: the signal's name.
    """

    path: Path
    length: int
    rate_hz: float
    unit: str
    channel: str

    @cached_property
    def ratio(self) -> Fraction:
        """The rate that beats are cut at over the record's."""
        return Fraction(BEAT_RATE_HZ) / Fraction(self.rate_hz).limit_denominator(
            _LARGEST_DENOMINATOR
        )

    @property
    def seconds(self) -> float:
        """How long the record is."""
        return self.length / self.rate_hz

    def read(self, start: int, stop: int) -> FloatArray:
        """Return samples `start` up to `stop`.

        Raises:
            RequestError: a file is damaged, or a value is not finite.
        """
        import wfdb

        try:
            stored = wfdb.rdrecord(str(self.path), sampfrom=start, sampto=stop, channels=[0])
            signal = np.asarray(stored.p_signal[:, 0], dtype=np.float64)
        # wfdb has no error class of its own: a damaged file surfaces as almost any.
        except Exception as error:
            raise mitbih.damaged_record(self.path, mitbih.error_line(error)) from error
        if len(signal) != stop - start or not np.isfinite(signal).all():
            raise mitbih.damaged_record(
                self.path, f"no finite values in samples {start} to {stop - 1} of the first channel"
            )
        return signal


def open_record(path: Path) -> RecordFile:
    """Return the record at `path`, without extension or with that of one of its files.

    Raises:
        RequestError: there is none, or its header is damaged.
    """
    import wfdb

    if path.suffix in (".hea", ".dat", ".atr"):
        path = path.with_suffix("")
    if not path.with_name(f"{path.name}.hea").is_file():
        raise RequestError(
            f"{path}: expected a WFDB record, or a table that ends in .tsv, .txt, .csv, .npy or "
            ".parquet, found no such file: correct the path"
        )
    try:
        header = wfdb.rdheader(str(path))
        length, rate_hz = int(header.sig_len), float(header.fs)
        unit, channel = str((header.units or [""])[0]), str((header.sig_name or [""])[0])
    except Exception as error:
        raise mitbih.damaged_record(path, mitbih.error_line(error)) from error
    if length < 1 or rate_hz <= 0:
        raise mitbih.damaged_record(path, "an empty signal")
    return RecordFile(path, length, rate_hz, unit, channel)


@dataclass(frozen=True)
class BeatSource:
    """The beats of a record, all but the last one, which has no following interval.

    Attributes:
        record: the record.
        position: `(m,)` R peaks, in samples of the record.
        symbol: `(m,)` their annotation symbols; "" for detected ones.
        length: of a sample, in samples along time.
    """

    record: RecordFile
    position: IntArray
    symbol: npt.NDArray[np.str_]
    length: int

    @cached_property
    def start(self) -> IntArray:
        """`(m - 1,)` R peaks in samples of 125 Hz."""
        return self._peaks[:-1]

    @cached_property
    def following(self) -> IntArray:
        """`(m - 1,)` the R peak after each, in samples of 125 Hz."""
        return self._peaks[1:]

    @cached_property
    def extent(self) -> IntArray:
        """`(m - 1,)` samples of each beat at 125 Hz before its padding."""
        return beat_extents(self._peaks, self._resampled_length)

    @cached_property
    def _peaks(self) -> IntArray:
        return peak_positions(self.position, self.record.rate_hz)

    @cached_property
    def _resampled_length(self) -> int:
        return resampled_length(self.record.length, self.record.ratio)

    def blocks(self) -> Iterator[Block]:
        """Yield the beats in their order, those of ten minutes at a time."""
        which = self.start // (BLOCK_SECONDS * BEAT_RATE_HZ)
        for members in np.split(np.arange(len(which)), np.flatnonzero(np.diff(which)) + 1):
            if len(members):
                yield self.block(members)

    def between(self, first_second: float, last_second: float) -> IntArray:
        """Return the indices of the beats whose R peak is in a stretch of the record."""
        seconds = self.position[:-1] / self.record.rate_hz
        return np.flatnonzero((seconds >= first_second) & (seconds < last_second))

    def signal(self, members: IntArray) -> tuple[FloatArray, int]:
        """Return the signal at 125 Hz under neighbouring beats, and where it starts."""
        first = int(self.start[members[0]])
        last = min(int(self.start[members[-1]]) + BEAT_LENGTH, self._resampled_length)
        record = self.record
        return resample_span(record.read, record.length, record.ratio, first, last), first

    def windows(self, members: IntArray) -> FloatArray:
        """Return neighbouring beats at 125 Hz, `(n, 187)` in [0, 1]."""
        signal, first = self.signal(members)
        return cut_windows(signal, self.start[members] - first, self.extent[members])

    def block(self, members: IntArray) -> Block:
        """Return neighbouring beats as samples, with their columns."""
        values = fit_length(self.windows(members), self.length)
        position = self.position[members]
        return Block(
            values.astype(np.float32)[:, np.newaxis, :],
            {
                "record": np.full(len(members), self.record.path.name),
                "position": position,
                "seconds": position / self.record.rate_hz,
                "symbol": self.symbol[members],
            },
        )


def read_beats(path: Path, dataset: DatasetSettings, peaks: Peaks, *, resample: bool) -> BeatSource:
    """Return the beats of a record for a model that was trained on beats.

    Args:
        path: see `open_record`.
        dataset: what the model was trained on.
        peaks: R peaks that are annotated (`.atr`), or those that `detect_peaks` detects.
        resample: take a record of another sampling rate than the training records'.

    Raises:
        RequestError: the model was not trained on beats, the rate is another one, or a file is
            damaged or missing.
    """
    record = open_record(path)
    rate_hz = dataset_entry(dataset.name).record_rate_hz
    if rate_hz is None:
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
        position, symbol = mitbih.read_annotation(record.path, record.length)
    else:
        position = detect_peaks(record.read, record.length, record.rate_hz)
        symbol = np.full(len(position), "")
    if len(position) < 2:
        raise RequestError(
            f"{record.path}: expected two beats at least, found {len(position)}: the last one of a "
            "record is not scored"
        )
    return BeatSource(record, position, symbol, dataset.length)
