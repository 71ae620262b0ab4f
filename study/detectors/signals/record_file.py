"""One lead of a WFDB record of any length, read as it is needed."""

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path

import numpy as np

from study.data.amplitude import SETTLED_SECONDS, without_baseline
from study.data.beat_settings import Reference
from study.data.resampling import FloatArray, resample_span, resampled_length
from study.data.tables.reader import ENDINGS
from study.data.wfdb_files import Leads, damaged_record, distinct, lead_indices, reading
from study.errors import RequestError

_LARGEST_DENOMINATOR = 1000


@dataclass(frozen=True)
class RecordFile:
    """One lead of a WFDB record.

    Attributes:
        path: the record without extension.
        length: its samples.
        rate_hz: its sampling rate.
        unit: physical unit of the signal.
        channel: the signal's name.
        index: the signal's number in the record.
    """

    path: Path
    length: int
    rate_hz: float
    unit: str
    channel: str
    index: int = 0

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

        with reading(self.path):
            stored = wfdb.rdrecord(
                str(self.path), sampfrom=start, sampto=stop, channels=[self.index]
            )
            signal = np.asarray(stored.p_signal[:, 0], dtype=np.float64)
        if len(signal) != stop - start or not np.isfinite(signal).all():
            raise damaged_record(
                self.path,
                f"no finite values in samples {start} to {stop - 1} of signal {self.channel}",
            )
        return signal


def without_extension(path: Path) -> Path:
    """Return the record that a path names, without extension or with that of one of its files."""
    return path.with_suffix("") if path.suffix in (".hea", ".dat", ".atr") else path


def open_leads(path: Path, leads: Leads) -> tuple[RecordFile, ...]:
    """Return leads of the record at `path`, without extension or with that of one of its files.

    Raises:
        RequestError: there is none, its header is damaged, or a lead is not there.
    """
    import wfdb

    path = without_extension(path)
    if not path.with_name(f"{path.name}.hea").is_file():
        raise RequestError(
            f"{path}: expected a WFDB record, or a table that ends in {', '.join(ENDINGS)}, found"
            " no such file: correct the path"
        )
    with reading(path):
        header = wfdb.rdheader(str(path))
        length, rate_hz = int(header.sig_len), float(header.fs)
        units, names = header.units or [""], distinct(map(str, header.sig_name or [""]))
    if length < 1 or rate_hz <= 0:
        raise damaged_record(path, "an empty signal")
    indices = lead_indices(names, leads)
    if indices is None:
        wanted = leads if isinstance(leads, str) else ", ".join(leads)
        raise RequestError(
            f"{path}: expected the leads that the model was trained on, {wanted}, found"
            f" {', '.join(names)}: give another record"
        )
    return tuple(RecordFile(path, length, rate_hz, str(units[k]), names[k], k) for k in indices)


@dataclass(frozen=True)
class ResampledRecord:
    """A record at the rate of a window, read as it is needed.

    Attributes:
        record: the record.
        rate_hz: the new sampling rate.
    """

    record: RecordFile
    rate_hz: int

    @cached_property
    def length(self) -> int:
        """Samples at the new rate."""
        return resampled_length(self.record.length, self._ratio)

    def raw(self, start: int, stop: int) -> FloatArray:
        """Return samples `start` up to `stop`, in the record's unit."""
        record = self.record
        return resample_span(record.read, record.length, self._ratio, start, stop)

    def level(self, start: int, stop: int, amplitude: Reference) -> FloatArray:
        """Return the same as `without_baseline` has it of the whole record."""
        margin = SETTLED_SECONDS * self.rate_hz
        first = max(start - margin, 0)
        last = stop if amplitude == "first_minutes" else min(stop + margin, self.length)
        level = without_baseline(self.raw(first, last), self.rate_hz, amplitude)
        return level[start - first : stop - first]

    @cached_property
    def _ratio(self) -> Fraction:
        return Fraction(self.rate_hz) / Fraction(self.record.rate_hz).limit_denominator(
            _LARGEST_DENOMINATOR
        )
