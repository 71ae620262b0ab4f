"""Records of the MIT-BIH Arrhythmia Database: which there are, how they divide, reading them.

Sources: Moody and Mark, The impact of the MIT-BIH arrhythmia database (2001);
ANSI/AAMI EC57 for the five classes; de Chazal, O'Dwyer, Reilly (2004), table III, for
the inter-patient division.
"""

from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from study.data.resampling import FloatArray, IntArray
from study.data.wfdb_files import (
    Leads,
    annotated_beats,
    damaged_record,
    lead_indices,
    reading,
    signal_names,
)
from study.errors import RequestError

AAMI_CLASSES = {"N": "NLRej", "S": "AaJS", "V": "VE", "F": "F", "Q": "/fQ"}
"""AAMI EC57 class -> annotation symbols; the other symbols mark no beat."""

CLASS_OF_SYMBOL = {symbol: aami for aami, symbols in AAMI_CLASSES.items() for symbol in symbols}

RATE_HZ = 360
"""Sampling rate of all records."""

PACED_RECORDS = ("102", "104", "107", "217")
# fmt: off
DS2 = (
    "100", "103", "105", "111", "113", "117", "121", "123", "200", "202", "210",
    "212", "213", "214", "219", "221", "222", "228", "231", "232", "233", "234",
)
# fmt: on
"""Test records of de Chazal et al.; DS1 is all others but the paced ones."""

DS2Form = Literal["without_202", "standard"]


@dataclass(frozen=True)
class Record:
    """What one record holds.

    Attributes:
        signal: `(n,)` one lead in millivolts, or `(leads, n)` several.
        rate_hz: its sampling rate.
        position: `(m,)` positions of the annotated beats in `signal`.
        symbol: `(m,)` their annotation symbols.
    """

    signal: FloatArray
    rate_hz: int
    position: IntArray
    symbol: npt.NDArray[np.str_]

    @property
    def abnormal(self) -> npt.NDArray[np.bool_]:
        """Whether each beat is of another AAMI class than N, `(m,)`."""
        return np.isin(self.symbol, list(AAMI_CLASSES["N"]), invert=True)


@cache
def published_digests() -> dict[str, str]:
    """Return file name -> sha256 (hex) of all 144 files, as PhysioNet publishes them."""
    text = resources.files("study.data").joinpath("mitdb_sha256.txt").read_text("ascii")
    return {name: digest for digest, name in (line.split() for line in text.splitlines())}


@cache
def record_names() -> tuple[str, ...]:
    """Return the names of the 48 records."""
    return tuple(sorted({name.partition(".")[0] for name in published_digests()}))


def side_of(record: str, ds2: DS2Form) -> str:
    """Return the inter-patient side of a record: "train", "test" or "excluded".

    DS1 trains and DS2 tests. 202 (DS2) is the same person as 201 (DS1): it joins that on the
    side that trains, or tests as it does in the standard division, and 201 is excluded. Paced
    records are excluded.
    """
    if record in PACED_RECORDS:
        return "excluded"
    if record in ("201", "202"):
        return {"201": "excluded", "202": "test"}[record] if ds2 == "standard" else "train"
    return "test" if record in DS2 else "train"


def patient_of(record: str) -> str:
    """Return whom a record is of: records 201 and 202 are one person."""
    return "201" if record == "202" else record


def read_record(path: Path, leads: Leads = "first") -> Record:
    """Read leads and the beats of one WFDB record.

    Args:
        path: the record without extension; `.hea`, `.dat` and `.atr` are read.
        leads: which signals.

    Raises:
        RequestError: a file is damaged, the values are not finite or not in order, or a lead is
            not there.
    """
    import wfdb

    names = signal_names(path)
    indices = lead_indices(names, leads)
    if indices is None:
        raise RequestError(
            f"dataset.leads: expected signals of {path}, found {leads!r}: it has {', '.join(names)}"
        )
    with reading(path):
        stored = wfdb.rdrecord(str(path), channels=indices)
        signal = np.asarray(stored.p_signal, dtype=np.float64).T  # (n, leads) -> (leads, n)
        rate_hz = int(stored.fs)
    if signal.size == 0 or not np.isfinite(signal).all():
        raise damaged_record(path, "an empty signal or values that are not finite")
    position, symbol = read_annotation(path, signal.shape[1])
    signal = np.ascontiguousarray(signal[0] if len(signal) == 1 else signal)
    return Record(signal=signal, rate_hz=rate_hz, position=position, symbol=symbol)


def read_annotation(path: Path, length: int) -> tuple[IntArray, npt.NDArray[np.str_]]:
    """Return positions and symbols of the annotated beats of a record, `(m,)` each, m >= 1.

    Args:
        path: the record without extension; `.atr` is read.
        length: of the record's signal.

    Raises:
        RequestError: the file is damaged, or its beats are not in order or in the signal.
    """
    return annotated_beats(path, "atr", list(CLASS_OF_SYMBOL), length)
