"""Text with columns: CSV and its like; separator and header are recognised."""

import csv
import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from study.data.tables.compressed import open_lines
from study.data.tables.form import Columns, Rows, TableFile, TableForm
from study.errors import RequestError

SEPARATORS = ("\t", ";", ",")
"""In the order in which they are looked for; where there is none, blanks separate."""

LOOKED_AT = 100
"""Lines in which a number is looked for that has a comma or a point."""

LEAST_COUNTED = 8
"""Fewer numbers that rise by one are values, and no numbers of columns."""

_TIME = re.compile(r"(\d{1,4}[-./]\d{1,2}[-./]\d{1,4})?[ T]?(\d{1,2}:\d{2}(:\d{2}\S*)?)?( ?[AP]M)?")
"""A date, a time of day, or both."""

_NAMES = {"\t": "tabs", ";": "semicolons", ",": "commas", None: "blanks"}

Line = tuple[int, str]
"""A line with its number, from 1."""


@dataclass(frozen=True)
class _Dialect:
    """How fields stand in a line.

    Attributes:
        separator: between fields; None for any number of blanks.
        is_comma_decimal: whether numbers have a comma where others have a point.
    """

    separator: str | None
    is_comma_decimal: bool

    @classmethod
    def of(cls, lines: Sequence[str]) -> "_Dialect":
        """Return that of a text's first lines, of which the first may name columns."""
        second = lines[:2][-1]
        separator = next((mark for mark in SEPARATORS if mark in second), None)
        if separator not in ("\t", ";"):
            return cls(separator, is_comma_decimal=False)
        fields = [f.strip(' "\r\n') for line in lines for f in line.split(separator)]
        has_points = any("." in field and _as_float(field) is not None for field in fields)
        has_commas = any("," in f and _as_float(f.replace(",", ".")) is not None for f in fields)
        return cls(separator, is_comma_decimal=has_commas and not has_points)

    def fields(self, line: str) -> list[str]:
        line = line.strip("\r\n ")
        if self.separator and '"' in line:
            return next(csv.reader([line], delimiter=self.separator, skipinitialspace=True))
        return line.split(self.separator)

    def number(self, text: str) -> float:
        return float(text.replace(",", ".") if self.is_comma_decimal else text)

    @property
    def in_words(self) -> str:
        return f"text with {_NAMES[self.separator]} between columns"


@dataclass(frozen=True)
class _Text:
    """A text that has been looked at."""

    path: Path
    dialect: _Dialect
    columns: Columns
    understood: str

    def rows(self) -> Iterator[tuple[str, list[float]]]:
        """Yield label and values of each row, one line in memory at a time."""
        columns, dialect = self.columns, self.dialect
        positions = columns.values
        is_whole = len(positions) == columns.count
        lines = _lines(self.path)
        if columns.names:
            next(lines)
        for number, line in lines:
            fields = dialect.fields(line)
            if len(fields) != columns.count:
                self._refuse_width(number, len(fields))
            label = "" if columns.label is None else fields[columns.label].strip()
            own = fields if is_whole else [fields[i] for i in positions]
            yield label, self._numbers(own, number)

    def blocks(self, size: int) -> Iterator[Rows]:
        rows = self.rows()
        while part := list(itertools.islice(rows, size)):
            values = np.array([row for _, row in part])[:, np.newaxis, :]
            has_labels = self.columns.label is not None
            yield Rows(values, np.array([label for label, _ in part]) if has_labels else None)

    def _numbers(self, fields: Sequence[str], number: int) -> list[float]:
        """Return `fields` as finite numbers."""
        try:
            if self.dialect.is_comma_decimal:
                values = [self.dialect.number(field) for field in fields]
            else:
                values = list(map(float, fields))
        except ValueError:
            values = []
        if not values or not all(value - value == 0 for value in values):
            wrong = next(i for i, field in enumerate(fields) if not self._is_finite(field))
            position, field = self.columns.values[wrong], fields[wrong].strip()
            is_word = any(c.isalpha() for c in field) and _as_float(field) is None
            advice = "if the column holds labels, name it" if is_word else "fill in missing values"
            raise RequestError(
                f"{self.path}, line {number}: expected finite numbers, found"
                f" {field[:40]!r} in {self.columns.name(position)} ({self.understood}): {advice},"
                " leave it out, or replace the file"
            )
        return values

    def _is_finite(self, field: str) -> bool:
        value = _number(self.dialect, field)
        return value is not None and value - value == 0

    def _refuse_width(self, number: int, fields: int) -> None:
        labels = 0 if self.columns.label is None else 1
        what = "a label and" if labels else "a row of"
        raise RequestError(
            f"{self.path}, line {number}: expected {what} {self.columns.count - labels} values,"
            f" found {max(fields - labels, 0)} values ({self.understood}): replace the file, all"
            " rows are equally long"
        )


@dataclass(frozen=True)
class TextHead:
    """What the first lines of a text say.

    Attributes:
        dialect: how fields stand in a line.
        first_line: number of the first line, from 1.
        count: fields in it.
        names: names of columns; None where the first line has values.
        has_rows: whether another line follows.
        times: positions of columns that hold dates or times of day.
    """

    dialect: _Dialect
    first_line: int
    count: int
    names: list[str] | None
    has_rows: bool
    times: tuple[int, ...]


def text_head(path: Path) -> TextHead:
    """Find separator and header of a text.

    Blank lines are passed over, and those that start with `#`. The first line is a header if it
    has words where the second has numbers, or counts its columns.

    Raises:
        RequestError: the file cannot be read, or is empty.
    """
    head = list(itertools.islice(_lines(path), LOOKED_AT))
    if not head:
        raise RequestError(
            f"{path}: expected a row per sample, found an empty file: replace the file"
        )
    dialect = _Dialect.of([line for _, line in head])
    first = dialect.fields(head[0][1])
    second = dialect.fields(head[1][1]) if len(head) > 1 else None
    names = [name.strip() for name in first] if _is_header(dialect, first, second) else None
    # A row that is longer than its header is refused when it is read.
    row = (second or [])[: len(first)] if names else first
    times = tuple(at for at, field in enumerate(row) if _is_time(field.strip()))
    return TextHead(dialect, head[0][0], len(first), names, second is not None, times)


def open_text(path: Path, form: TableForm) -> TableFile:
    """Look at the first lines of a text with columns.

    Raises:
        RequestError: the file cannot be read, or its columns are not those of `form`.
    """
    head = text_head(path)
    what = head.dialect.in_words
    if head.names is not None and not head.has_rows:
        raise RequestError(
            f"{path}: expected a row per sample, found names of columns alone ({what}): replace"
            " the file"
        )
    if head.count == 1 and form.label is not None and not form.may_lack_label:
        raise RequestError(
            f"{path}, line {head.first_line}: expected a label and some values, found 0 values"
            f" ({what}): give a row per sample"
        )
    columns = Columns.find(path, form, head.count, head.names, what)
    text = _Text(path, head.dialect, columns, columns.understood(what))
    has_labels = columns.label is not None
    names, width = columns.value_names, len(columns.values)
    return TableFile(path, 1, width, has_labels, text.understood, text.blocks, names)


def _lines(path: Path) -> Iterator[Line]:
    with open_lines(path) as file:
        for number, line in enumerate(file, start=1):
            if not line.isspace() and not line.startswith("#"):
                yield number, line


def _is_header(dialect: _Dialect, first: Sequence[str], second: Sequence[str] | None) -> bool:
    """Return whether the first line names columns: most where the second has numbers, or all."""
    numbers = [_number(dialect, field) for field in first]
    if second is None or len(second) != len(first):
        return all(number is None for number in numbers)
    above = [
        name
        for name, field in zip(numbers, second, strict=True)
        if _number(dialect, field) is not None
    ]
    if sum(number is None for number in above) > len(above) / 2:
        return True
    counted = [number for number in above if number is not None]
    # pandas and others number columns from 0 or 1 where nobody has named them; beside a name, few
    # are enough.
    fewest = LEAST_COUNTED if len(counted) == len(above) else 1
    is_counted = len(counted) >= fewest and counted[0] in (0, 1)
    return is_counted and all(b - a == 1 for a, b in itertools.pairwise(counted))


def _is_time(field: str) -> bool:
    match = _TIME.fullmatch(field)
    return match is not None and any(match.groups()[:2]) and _as_float(field) is None


def _number(dialect: _Dialect, text: str) -> float | None:
    return _as_float(text.replace(",", ".") if dialect.is_comma_decimal else text)


def _as_float(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
