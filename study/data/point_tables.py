"""Tables with a row per point in time: which columns are channels, and what is read of them."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from study.data.resampling import FloatArray
from study.data.tables.form import (
    NORMAL_WORDS,
    TIME_NAMES,
    Column,
    TableFile,
    TableForm,
    canonical_label,
    shown_column,
)
from study.data.tables.reader import column_names, open_file, time_columns
from study.errors import RequestError

LABEL_NAMES = ("label", "labels", "is_anomaly", "anomaly", "is_anomalous", "is_abnormal")
NAMES_OF_TIMES = (*TIME_NAMES, "index")
NORMAL_LABELS = ("0", "false", *NORMAL_WORDS)
ABNORMAL_WORDS = ("true", "abnormal", "anomaly", "anomalous", "outlier", "attack", "bad", "defect",
                  "error", "fail", "failed", "failure", "fault", "faulty")  # fmt: skip
POINTS_AT_ONCE = 65_536

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class PointColumns:
    """Which columns of a file mean what; None goes by their names.

    Attributes:
        label: of the points' labels, 0 normal; by name, or by position from 0.
        time: that is no channel.
        channels: that are channels, by name, or by position where columns have none; None for
            all others.
        may_lack: whether a file may be without the columns of labels and times.
    """

    label: Column | None = None
    time: Column | None = None
    channels: tuple[str, ...] | None = None
    may_lack: bool = False


@dataclass(frozen=True)
class PointTable:
    """A file with a row per point that has been looked at.

    Attributes:
        path: the file.
        channels: names of the channels, in their order.
        label: the column of the points' labels; None if there is none.
        time: the column of times; None if there is none.
    """

    path: Path
    channels: tuple[str, ...]
    label: Column | None
    time: Column | None
    _file: TableFile
    _form: TableForm
    _is_one_line: bool

    @property
    def understood(self) -> str:
        """Form, header and columns, in words."""
        return self._file.understood

    def parts(self) -> Iterator[tuple[FloatArray, Mask | None]]:
        """Yield values `(m, channels)` of consecutive points, and whether each is abnormal.

        Raises:
            RequestError: the file cannot be read, or a value is no finite number.
        """
        for rows in self._file.blocks(POINTS_AT_ONCE):
            values = rows.values[:, 0]  # (m, 1, columns) -> (m, columns)
            if self._is_one_line:
                yield values.T, None
                continue
            chosen = [self._file.names.index(name) for name in self.channels]
            is_whole = chosen == list(range(self._file.width))
            flagged = None if rows.label is None else self._flagged(rows.label)
            yield values if is_whole else values[:, chosen], flagged

    def read(self) -> tuple[FloatArray, Mask | None]:
        """Return what `parts` yields in one.

        Raises:
            RequestError: as `parts`, or there are no points.
        """
        parts = list(self.parts())
        if not parts:
            raise RequestError(
                f"{self.path}: expected a row per point, found none: give another file"
            )
        flagged = [each for _, each in parts if each is not None]
        values = np.concatenate([each for each, _ in parts])
        return values, np.concatenate(flagged) if flagged else None

    @cached_property
    def times(self) -> list[str]:
        """The time of each point, as written; read once.

        Raises:
            RequestError: there is no column of times.
        """
        if self.time is None:
            raise RequestError(
                f"{self.path}: expected a column of times ({self.understood}): name it in"
                " dataset.time"
            )
        others = [column for column in self._form.leave_out if column != self.time]
        left_out = tuple(others) if self.label is None else (*others, self.label)
        table = open_file(self.path, TableForm(self.time, leave_out=left_out))
        blocks = table.blocks(POINTS_AT_ONCE)
        return [text for rows in blocks if rows.label is not None for text in rows.label.tolist()]

    def _flagged(self, label: npt.NDArray[np.str_]) -> Mask:
        """Return which labels are those of abnormal points."""
        written, each = np.unique(label, return_inverse=True)
        return np.array([self._is_abnormal(text) for text in written.tolist()])[each]

    def _is_abnormal(self, text: str) -> bool:
        known = canonical_label(text).lower()
        if known in NORMAL_LABELS or known in ABNORMAL_WORDS:
            return known in ABNORMAL_WORDS
        try:
            is_number = np.isfinite(float(known))
        except ValueError:
            is_number = False
        if not is_number:
            raise RequestError(
                f"{self.path}: expected labels that are 0 for normal points and another number for"
                " abnormal ones, or words such as normal and fault, in"
                f" {shown_column(self.label or 0)}, found {text!r} ({self.understood}): write them"
                " so"
            )
        return True


def open_points(path: Path, columns: PointColumns) -> PointTable:
    """Look at a file with a row per point: CSV and other text, Parquet, Arrow, NPY and NPZ.

    Raises:
        RequestError: the file cannot be read, has no columns of single values, or a column that
            is named is not there.
    """
    names = [name.strip() for name in column_names(path) or ()]
    label = columns.label if columns.label is not None else _usual(names, LABEL_NAMES)
    times = time_columns(path)
    others = [name for name in names if name not in (columns.channels or ())]
    time = columns.time if columns.time is not None else _usual(others, NAMES_OF_TIMES)
    time = time if time is not None else next(iter(times), None)
    apart = [time, *times, *(name for name in others if name.lower() in NAMES_OF_TIMES)]
    if columns.channels:
        apart = [*apart, *others]
    left_out = (each for each in dict.fromkeys(apart) if each is not None and each != label)
    form = TableForm(label, columns.may_lack, tuple(left_out), columns.may_lack)
    file = open_file(path, form)
    if len(set(file.names)) != file.width:
        raise RequestError(
            f"{path}: expected a row per point and a column per channel, each of another name,"
            f" found {file.understood}"
        )
    is_one_line = not names and file.width > 2 and _has_one_row(file)
    there = ("0",) if is_one_line else file.names
    missing = [name for name in columns.channels or () if name not in there]
    if missing:
        raise RequestError(
            f"{path}: dataset.channels: expected {', '.join(missing)}, found the columns"
            f" {', '.join(there)}"
        )
    label = label if file.has_labels else None
    return PointTable(path, columns.channels or there, label, time, file, form, is_one_line)


def _usual(names: Sequence[str], usual: Sequence[str]) -> str | None:
    """Return the column that has one of the usual names; None if none has."""
    return next((name for name in names if name.lower() in usual), None)


def _has_one_row(file: TableFile) -> bool:
    """Return whether all values of one channel stand in one line."""
    return sum(len(rows.values) for rows in itertools.islice(file.blocks(1), 2)) == 1
