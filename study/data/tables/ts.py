"""The text form `.ts` of aeon and sktime: channels separated by colons, the class last.

Source: https://www.aeon-toolkit.org/en/stable/api_reference/file_specifications/ts.html
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from study.data.tables.compressed import open_lines
from study.data.tables.form import Rows, TableFile, TableForm
from study.errors import RequestError

_YES = "true"


@dataclass(frozen=True)
class _TimeSeries:
    """A `.ts` file whose header has been read."""

    path: Path
    has_classes: bool
    has_labels: bool
    channels: int
    width: int
    understood: str

    def blocks(self, size: int) -> Iterator[Rows]:
        lines = _data_lines(self.path)
        while part := list(itertools.islice(lines, size)):
            parsed = [_parse(self.path, number, line, self.has_classes) for number, line in part]
            for (number, _), (channels, _) in zip(part, parsed, strict=True):
                self._refuse_other_shape(number, channels)
            values = np.array([channels for channels, _ in parsed])
            yield Rows(values, np.array([c for _, c in parsed]) if self.has_labels else None)

    def _refuse_other_shape(self, number: int, channels: list[list[float]]) -> None:
        widths = sorted({len(channel) for channel in channels})
        if len(channels) != self.channels or widths != [self.width]:
            raise RequestError(
                f"{self.path}, line {number}: expected {self.channels} channels of {self.width}"
                f" values, found {len(channels)} of {', '.join(map(str, widths))}"
                f" ({self.understood}): give rows of one length"
            )


def open_ts(path: Path, form: TableForm) -> TableFile:
    """Look at the header and the first row of a `.ts` file; its class is the label.

    Raises:
        RequestError: the file cannot be read, has time stamps, or no classes where labels are
            needed.
    """
    header = _header(path)
    if header.get("timestamps", "false").lower() == _YES:
        raise RequestError(
            f"{path}: expected values alone, found @timeStamps true: store it without time stamps"
        )
    classes_line = header.get("classlabel", header.get("targetlabel", "false")).lower()
    has_classes = classes_line.split()[:1] == [_YES]
    if not has_classes and form.label is not None and not form.may_lack_label:
        raise RequestError(
            f"{path}: expected the class of each row, found @classLabel false: give a file with"
            " classes, or no label"
        )
    first = next(_data_lines(path), None)
    if first is None:
        raise RequestError(f"{path}: expected a row per sample, found none: replace the file")
    channels, _ = _parse(path, *first, has_classes)
    count, width = len(channels), len(channels[0])
    has_labels = has_classes and form.label is not None
    classes = "the class as label" if has_labels else "no label"
    understood = f"aeon's form .ts, {count} channel{'s' * (count > 1)} of {width} values, {classes}"
    table = _TimeSeries(path, has_classes, has_labels, count, width, understood)
    return TableFile(path, count, width, has_labels, understood, table.blocks)


def _header(path: Path) -> dict[str, str]:
    """Return the values of a file's header lines, by key in small letters."""
    header: dict[str, str] = {}
    with open_lines(path) as file:
        for line in file:
            if line.startswith("@"):
                key, _, value = line[1:].strip().partition(" ")
                if key.lower() == "data":
                    return header
                header[key.lower()] = value.strip()
    raise RequestError(f"{path}: expected a line @data, found none: give a file of aeon's form .ts")


def _data_lines(path: Path) -> Iterator[tuple[int, str]]:
    with open_lines(path) as file:
        is_data = False
        for number, line in enumerate(file, start=1):
            if is_data and line.strip() and not line.startswith("#"):
                yield number, line.strip()
            is_data = is_data or line.strip().lower() == "@data"


def _parse(path: Path, number: int, line: str, has_classes: bool) -> tuple[list[list[float]], str]:
    """Return the channels of a row, and its class."""
    parts = line.split(":")
    label = parts.pop().strip() if has_classes else ""
    try:
        channels = [[float(value) for value in part.split(",")] for part in parts]
    except ValueError as error:
        wrong = str(error).rpartition(":")[2].strip()[:40]
        raise RequestError(
            f"{path}, line {number}: expected finite numbers, found {wrong}: fill in missing values"
        ) from None
    if not channels or not all(value - value == 0 for value in itertools.chain(*channels)):
        raise RequestError(
            f"{path}, line {number}: expected finite numbers, found others or none: fill in"
            " missing values"
        )
    return channels, label
