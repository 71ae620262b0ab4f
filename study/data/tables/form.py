"""What a table is: which columns hold values and labels, and the rows that are read of it."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydantic import StrictInt

from study.data.resampling import FloatArray
from study.errors import RequestError

Column = StrictInt | str
"""A column: its name, or its position from 0, negative ones from the end."""

Labels = npt.NDArray[np.str_]
TIME_NAMES = ("time", "timestamp", "datetime", "date")
"""Names of columns that say when a row is, so that they are no value of it."""
NORMAL_WORDS = ("normal", "ok", "good", "healthy", "nominal", "n", "regular")
"""Labels that name normal rows by themselves."""
LONGEST_WHOLE = 1000
"""Characters of a label that is compared as a whole number."""
_PANDAS_INDEX = re.compile(r"__index_level_\d+__|Unnamed: 0(\.\d+)?")
"""Names that pandas gives an index without one: in Parquet, and in a CSV file that it reads."""


@dataclass(frozen=True)
class TableForm:
    """What is known of the columns of a table before it is read.

    Attributes:
        label: the column of each row's label; of a file with named arrays, the array's name.
            None where rows have none.
        may_lack_label: whether a table without the column of the label is one without labels.
        leave_out: columns that are neither label nor value.
        may_lack_left_out: whether a table may be without one of these.
    """

    label: Column | None = None
    may_lack_label: bool = False
    leave_out: tuple[Column, ...] = ()
    may_lack_left_out: bool = False


@dataclass(frozen=True)
class Rows:
    """Consecutive rows of a table.

    Attributes:
        values: `(n, channels, width)`, finite.
        label: `(n,)` as written, "" where one is missing; None where rows have none.
    """

    values: FloatArray
    label: Labels | None


@dataclass(frozen=True)
class TableFile:
    """A table that has been looked at, and whose rows are read as they are needed.

    Attributes:
        path: the file.
        channels: signals of each row.
        width: values of each signal.
        has_labels: whether rows have labels.
        understood: form, header and columns, in words.
        blocks: from a number of rows, all rows in blocks of at most that number.
        names: names of the columns of values, positions where they have none; where each channel
            is a column of lists, those of the channels; () where the form has no columns.
    """

    path: Path
    channels: int
    width: int
    has_labels: bool
    understood: str
    blocks: Callable[[int], Iterator[Rows]]
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Columns:
    """What the columns of a table are.

    Attributes:
        count: how many there are.
        names: their names; None where the table gives none.
        label: position of the label; None if there is none.
        values: positions of the values, in their order.
    """

    count: int
    names: tuple[str, ...] | None
    label: int | None
    values: tuple[int, ...]

    @classmethod
    def find(
        cls, path: Path, form: TableForm, count: int, names: Sequence[str] | None, what: str
    ) -> "Columns":
        """Return what each column is.

        pandas' index is left out: a first column without a name, or one of its own names.

        Args:
            path: the file.
            form: what is known of the columns.
            count: how many there are.
            names: their names; None where there are none.
            what: the file's form in words, for errors.

        Raises:
            RequestError: a column that is named is not there, or no column holds values.
        """
        columns = cls(count, None if names is None else tuple(names), None, ())
        label = columns._position(form.label)
        if label is None and form.label is not None and not form.may_lack_label:
            raise RequestError(
                f"{path}: expected the label in {shown_column(form.label)}, found {what} with"
                f" {columns._in_words()}: name the column that holds it"
            )
        left_out = {columns._position(column) for column in form.leave_out}
        if None in left_out and not form.may_lack_left_out:
            missing = next(c for c in form.leave_out if columns._position(c) is None)
            raise RequestError(
                f"{path}: expected {shown_column(missing)}, which is to be left out, found {what}"
                f" with {columns._in_words()}: correct the name"
            )
        if names and not names[0].strip():
            left_out.add(0)
        left_out |= {i for i, name in enumerate(names or ()) if _PANDAS_INDEX.fullmatch(name)}
        values = tuple(i for i in range(count) if i != label and i not in left_out)
        for i in values if names else ():
            if names and names[i].strip().lower() in TIME_NAMES:
                raise RequestError(
                    f"{path}: expected a row per sample, found {what} with the column"
                    f" {names[i]!r}: leave it out by name, if it is no value of a sample; if rows"
                    " are moments of a recording, it is dataset series and no table of samples"
                )
        if not values:
            raise RequestError(
                f"{path}: expected columns of values, found {what} with {columns._in_words()}: give"
                " a row per sample"
            )
        return cls(count, columns.names, label, values)

    def understood(self, what: str) -> str:
        """Return what the columns were taken for, in words."""
        left_out = self.count - len(self.values) - (self.label is not None)
        parts = [
            what,
            "a header" if self.names else "no header",
            f"{self.count} column{'s' * (self.count > 1)}",
            "no label" if self.label is None else f"the label in {self.name(self.label)}",
            *([f"{left_out} left out"] if left_out else []),
        ]
        return ", ".join(parts)

    @property
    def value_names(self) -> tuple[str, ...]:
        """Names of the columns of values; their positions where they have none."""
        return tuple(self.names[i].strip() if self.names else str(i) for i in self.values)

    def name(self, position: int) -> str:
        """Return a column's name, or its position, in words."""
        return shown_column(self.names[position] if self.names else position)

    def _position(self, column: Column | None) -> int | None:
        """Return where a column is; None if it is not there."""
        if column is None:
            return None
        if isinstance(column, int):
            position = column + self.count if column < 0 else column
            return position if 0 <= position < self.count else None
        names = [name.strip() for name in self.names or ()]
        for candidates, wanted in (
            (names, column.strip()),
            ([name.lower() for name in names], column.strip().lower()),
        ):
            if wanted in candidates:
                return candidates.index(wanted)
        return None

    def _in_words(self) -> str:
        if self.names is None:
            return f"{self.count} columns without names"
        shown = ", ".join(repr(name) for name in self.names[:8])
        return f"the columns {shown}" + (f" and {self.count - 8} more" if self.count > 8 else "")


def shown_column(column: Column) -> str:
    """Return a column in words."""
    return f"column {column}" if isinstance(column, int) else f"the column {column!r}"


def order_by_name(names: Sequence[str], wanted: Sequence[str]) -> list[int] | None:
    """Return where each of `wanted` is among `names`; None if these are not the same names."""
    if len(set(names)) < len(names) or sorted(names) != sorted(wanted):
        return None
    return [names.index(name) for name in wanted]


def as_column(text: str) -> Column:
    """Return a column by position if the text is a number, else by name."""
    return int(text) if text.lstrip("-").isdecimal() else text


def canonical_label(text: str) -> str:
    """Return one form for all ways of writing a number: 1, 1.0 and 1e0 are "1"; of nan, ""."""
    text = text.strip()
    if "_" in text:  # which Python passes over in numbers
        return text
    if text.lstrip("+-").isdecimal() and len(text) < LONGEST_WHOLE:  # exact, beyond 2**53 too
        return str(int(text))
    try:
        number = float(text)
    except ValueError:
        return text
    if number != number:
        return ""
    return str(int(number)) if number.is_integer() else repr(number)


def require_finite(path: Path, values: FloatArray, first: int, understood: str) -> None:
    """Refuse rows with a value that is missing or infinite.

    Args:
        path: the file.
        values: `(n, channels, width)`.
        first: number of the first row, from 0.
        understood: what the file was taken for.

    Raises:
        RequestError: there is one; the message has its row, from 1.
    """
    bad = np.flatnonzero(~np.isfinite(values).all(axis=(1, 2)))
    if len(bad):
        raise RequestError(
            f"{path}: expected finite numbers, found a missing or infinite one in row"
            f" {first + int(bad[0]) + 1} ({understood}): fill them in"
        )
