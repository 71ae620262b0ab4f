"""What WFDB records of every database have in common: names of their signals, beats, errors."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from study.data.resampling import IntArray
from study.errors import RequestError, one_line

Leads = Literal["first", "both"] | Annotated[tuple[str, ...], Field(min_length=1)]
"""Signals of a record that are read: the first, the first two, or those of these names."""


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Read files of a record with wfdb, which has no error class of its own.

    Raises:
        RequestError: wfdb raised anything.
    """
    try:
        yield
    # A damaged file surfaces as almost any error.
    except Exception as error:
        raise damaged_record(path, f"{type(error).__name__}: {one_line(error)}") from error


def signal_names(path: Path) -> list[str]:
    """Return the names of a record's signals, in their order.

    Raises:
        RequestError: the header is damaged.
    """
    import wfdb

    with reading(path):
        header = wfdb.rdheader(str(path))
    return distinct(map(str, header.sig_name or ()))


def signal_files(path: Path) -> list[Path]:
    """Return the files that a record's header names for its signals; none of several segments.

    Raises:
        RequestError: the header is damaged.
    """
    import wfdb

    with reading(path):
        names = getattr(wfdb.rdheader(str(path)), "file_name", None)
    return [path.with_name(name) for name in dict.fromkeys(names or ())]


def distinct(names: Iterable[str]) -> list[str]:
    """Return names of signals, of equal ones the second as "II.2" and so on."""
    seen: Counter[str] = Counter()
    result = []
    for name in names:
        seen[name] += 1
        result.append(name if seen[name] == 1 else f"{name}.{seen[name]}")
    return result


def lead_indices(names: Sequence[str], leads: Leads) -> list[int] | None:
    """Return which signals `leads` means, by the names of a record's; None if one is not there."""
    if leads == "first":
        return [0]
    if leads == "both":
        return [0, 1] if len(names) > 1 else None
    return [names.index(lead) for lead in leads] if set(leads) <= set(names) else None


def channel_indices(path: Path, channels: tuple[str, ...]) -> tuple[tuple[str, ...], list[int]]:
    """Return names and numbers of the signals of a record that are channels; () means all.

    Raises:
        RequestError: the header is damaged, or a signal is not there.
    """
    names = signal_names(path)
    wanted = channels or tuple(names)
    indices = lead_indices(names, wanted)
    if indices is None:
        raise RequestError(
            f"{path}: dataset.channels: expected {', '.join(wanted)}, found {', '.join(names)}"
        )
    return wanted, indices


def annotated_beats(
    path: Path, annotator: str, symbols: Sequence[str], length: int
) -> tuple[IntArray, npt.NDArray[np.str_]]:
    """Return positions and symbols of the annotated beats of a record, `(m,)` each, m >= 1.

    Positions are in points of the signal, whatever the annotations' own time resolution.

    Args:
        path: the record without extension; its header and annotations are read.
        annotator: extension of the annotation file.
        symbols: that mark beats.
        length: of the record's signal.

    Raises:
        RequestError: a file is damaged, or its beats are not in order or in the signal.
    """
    import wfdb

    with reading(path):
        rate_hz = float(wfdb.rdheader(str(path)).fs)
        annotation = wfdb.rdann(str(path), annotator)
        position = np.asarray(annotation.sample, dtype=np.int64)
        symbol = np.asarray(annotation.symbol, dtype=np.str_)
        if annotation.fs and annotation.fs != rate_hz:
            position = np.rint(position * (rate_hz / annotation.fs)).astype(np.int64)
    is_beat = np.isin(symbol, list(symbols))
    position, symbol = position[is_beat], symbol[is_beat]
    if len(position) == 0:
        raise damaged_record(path, "no annotated beat")
    if (np.diff(position) <= 0).any() or position[-1] >= length:
        raise damaged_record(path, "beats out of order or past the signal's end")
    return position, symbol


def channel_names(leads: Leads) -> tuple[str, ...]:
    """Return the names of a sample's channels; those of `both` differ between records."""
    named = {"first": (), "both": ("first", "second")}
    return named[leads] if isinstance(leads, str) else leads


def damaged_record(path: Path, problem: str) -> RequestError:
    """Return the error of a record with a damaged file."""
    return RequestError(
        f"{path}: expected a WFDB record (.hea, .dat, .atr), found {problem}: replace its files"
    )
