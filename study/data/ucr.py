"""Data sets in the form of the UCR archive: a row per sample, its label first.

Source: Dau et al., The UCR time series archive (2019).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
import numpy.typing as npt
from pydantic import BeforeValidator, Field

from study.data.assembly import build_samples
from study.data.digests import source_digests
from study.data.entry import DatasetEntry, ScaledDatasetSettings
from study.data.resampling import FloatArray, interpolate_rows, scale_rows
from study.data.samples import Samples
from study.errors import RequestError

if TYPE_CHECKING:
    from study.data.fetch import Progress


def _as_tuple(value: object) -> object:
    """Take one value for a list of one."""
    return value if isinstance(value, list | tuple) else (value,)


def _as_texts(value: object) -> object:
    """Write numbers as text, for YAML reads the label 1 as an integer."""
    values = _as_tuple(value)
    assert isinstance(values, list | tuple)
    return tuple(
        str(item) if isinstance(item, int | float) and not isinstance(item, bool) else item
        for item in values
    )


class UcrSettings(ScaledDatasetSettings):
    """Files in the form of the UCR archive: a row per sample, its label first."""

    name: Literal["ucr"] = "ucr"
    path: Annotated[tuple[str, ...], BeforeValidator(_as_tuple)] = Field(
        min_length=1,
        description="one file or several, which are joined in this order; relative paths are "
        "looked for in the data folder, then in the current folder",
    )
    normal_labels: Annotated[tuple[str, ...], BeforeValidator(_as_texts)] = Field(
        min_length=1,
        description="labels of normal samples; those that are numbers are compared as numbers, "
        "so that 1, '1' and 1.0 are one label",
    )


@dataclass(frozen=True)
class Table:
    """Rows of one file or several.

    Attributes:
        values: `(n, width)`, finite.
        symbol: `(n,)` labels as written.
    """

    values: FloatArray
    symbol: npt.NDArray[np.str_]


def canonical_label(text: str) -> str:
    """Return one form for all ways of writing a number: 1, 1.0 and 1e0 are "1"."""
    try:
        number = float(text)
    except ValueError:
        return text.strip()
    return str(int(number)) if number.is_integer() else repr(number)


def read_table(path: Path, width: int | None = None) -> Table:
    """Read one file whose columns are separated by tabs, commas or blanks.

    Args:
        path: the file; blank lines are passed over.
        width: values each row must have; None takes the first row's.

    Raises:
        RequestError: the file is unreadable or empty, a row has another width, or a
            value is missing or not a finite number.
    """
    symbols: list[str] = []
    rows: list[list[float]] = []
    for symbol, row in read_rows(path, width):
        symbols.append(symbol)
        rows.append(row)
    return Table(values=np.array(rows), symbol=np.array(symbols, dtype=np.str_))


def read_rows(
    path: Path, width: int | None = None, *, labelled: bool = True
) -> Iterator[tuple[str, list[float]]]:
    """Yield label and values of each row of a file, one line in memory at a time.

    Args:
        path: the file; blank lines are passed over, and, where rows have no labels, a first
            line without any number, which names columns.
        width: values each row must have; None takes the first row's.
        labelled: whether rows start with a label; it is "" where they do not.

    Raises:
        RequestError: as `read_table`.
    """
    separator: str | None = None
    what = "a label and" if labelled else "a row of"
    for index, (number, line) in enumerate(_read_lines(path)):
        if index == 0:
            separator = next((mark for mark in "\t," if mark in line), None)
            if not labelled and not any(_is_number(each) for each in line.split(separator)):
                continue
        fields = line.strip("\r\n ").split(separator)
        symbol = fields.pop(0).strip() if labelled else ""
        width = len(fields) if width is None else width
        if len(fields) != width or width == 0:
            raise RequestError(
                f"{path}, line {number}: expected {what} {width or 'some'} values, found "
                f"{len(fields)} values: replace the file, all rows are equally long"
            )
        yield symbol, _numbers(fields, path, number)


def locate(path: str, data_folder: Path) -> Path:
    """Return the file that `path` names: absolute, in the data folder, or in the current one.

    Raises:
        RequestError: there is no such file.
    """
    tried = [data_folder / path, Path(path)]
    for candidate in tried:
        if candidate.is_file():
            return candidate
    raise RequestError(
        f"dataset.path: expected an existing file, found none at {tried[0]}: correct the path "
        "or give the data folder with --data"
    )


def sources(
    settings: UcrSettings, data_folder: Path, memo_folder: Path | None
) -> list[tuple[str, str]]:
    """Return (name, sha256) of each file.

    Raises:
        RequestError: a file is missing or unreadable.
    """
    paths = [locate(item, data_folder) for item in settings.path]
    return list(zip(settings.path, source_digests(paths, memo_folder), strict=True))


def read_tables(settings: UcrSettings, data_folder: Path) -> Table:
    """Read and join the files of `settings`, whose rows are all equally long."""
    tables: list[Table] = []
    for item in settings.path:
        width = tables[0].values.shape[1] if tables else None
        tables.append(read_table(locate(item, data_folder), width))
    return Table(
        values=np.concatenate([table.values for table in tables]),
        symbol=np.concatenate([table.symbol for table in tables]),
    )


def samples_of(table: Table, settings: UcrSettings) -> Samples:
    """Return samples: interpolated to the wanted length, then scaled if each is by itself.

    Raises:
        RequestError: no row is normal, or unscaled values are not in [0, 1].
    """
    kind = np.array([canonical_label(item) for item in table.symbol], dtype=np.str_)
    normal = np.isin(kind, [canonical_label(item) for item in settings.normal_labels])
    if not normal.any():
        raise RequestError(
            f"dataset.normal_labels: expected labels that occur, found "
            f"{', '.join(settings.normal_labels)}: the labels in {settings.path[0]} are "
            f"{', '.join(np.unique(kind)[:20])}"
        )
    if settings.scaling == "none" and (table.values.min() < 0 or table.values.max() > 1):
        raise RequestError(
            f"{settings.path[0]}: expected values in [0, 1] with scaling none, found "
            f"{table.values.min():g} to {table.values.max():g}: set dataset.scaling to sample"
        )
    values = interpolate_rows(table.values, settings.length)
    return build_samples(
        values=scale_rows(values) if settings.scaling == "sample" else values,
        label=(~normal).astype(np.int8),
        kind=kind,
        symbol=table.symbol,
        extent=np.full(len(values), table.values.shape[1]),
        unit_range=settings.scaling != "training",
    )


def prepare(settings: UcrSettings, data_folder: Path, seed: int) -> Samples:
    """Return the rows of all files of `settings`; nothing of it depends on `seed`.

    Raises:
        RequestError: a file or a setting is wrong.
    """
    del seed
    return samples_of(read_tables(settings, data_folder), settings)


def check(settings: UcrSettings, data_folder: Path) -> list[str]:
    """Return what is right about the files, a line each.

    Raises:
        RequestError: a file or a setting is wrong.
    """
    samples_of(read_tables(settings, data_folder), settings)
    tables = [(locate(item, data_folder), item) for item in settings.path]
    return [f"{path}: {describe_table(read_table(path))}" for path, _ in tables]


def describe_table(table: Table) -> str:
    """Return rows, width and labels of a table in a few words."""
    labels, counts = np.unique([canonical_label(item) for item in table.symbol], return_counts=True)
    rows_by_label = ", ".join(
        f"{count} of {label}" for label, count in zip(labels, counts, strict=True)
    )
    return f"{len(table.values)} rows of {table.values.shape[1]} values, labels {rows_by_label}"


def fetch(data_folder: Path, url: str | None, progress: "Progress") -> list[str]:
    """Return that there is nothing to fetch: files of one's own are named by path."""
    del data_folder, url, progress
    return ["ucr: nothing to fetch, it reads the files that dataset.path names"]


def _read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the lines that are not blank with their numbers from 1; at least one."""
    is_empty = True
    try:
        with path.open(encoding="utf-8-sig") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    is_empty = False
                    yield number, line
    except OSError as error:
        raise RequestError(
            f"{path}: expected a readable file, found {error.strerror or error}: check the path"
        ) from error
    except UnicodeDecodeError as error:
        raise RequestError(
            f"{path}: expected rows of text, found bytes that are not UTF-8: replace the file"
        ) from error
    if is_empty:
        raise RequestError(
            f"{path}: expected a row per sample, found an empty file: replace the file"
        )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _numbers(fields: Sequence[str], path: Path, line: int) -> list[float]:
    """Return `fields` as finite numbers."""
    try:
        values = [float(field) for field in fields]
        refused = next((f for f, v in zip(fields, values, strict=True) if v - v != 0), None)
    except ValueError as error:
        refused = str(error).rpartition(":")[2].strip().strip("'")
        values = []
    if refused is not None:
        raise RequestError(
            f"{path}, line {line}: expected finite numbers, found "
            f"{refused[:40]!r}: replace the file or fill in missing values"
        )
    return values


ENTRY = DatasetEntry(
    settings=UcrSettings,
    description="files of your own in the UCR archive's form, by path",
    sources=sources,
    prepare=prepare,
    check=check,
    fetch=fetch,
)
