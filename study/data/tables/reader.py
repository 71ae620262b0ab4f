"""Reading a table of samples, whatever the form of its file."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from study.data.resampling import FloatArray
from study.data.tables.arrays import array_names, open_npy, open_npz
from study.data.tables.compressed import inner_suffix
from study.data.tables.form import Column, Labels, TableFile, TableForm, canonical_label
from study.data.tables.text import open_text, text_head
from study.data.tables.ts import open_ts
from study.errors import RequestError

ROWS_AT_ONCE = 4096
LEAST_WIDTH = 2


@dataclass(frozen=True)
class Table:
    """All rows of one file or several.

    Attributes:
        values: `(n, channels, width)`, finite.
        symbol: `(n,)` labels as written; None where rows have none.
        channels: names of several channels; () of one, and where they have no names.
    """

    values: FloatArray
    symbol: Labels | None
    channels: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.values)


def _open_arrow(path: Path, form: TableForm) -> TableFile:
    from study.data.tables.arrow_tables import open_arrow  # pyarrow takes long to import

    return open_arrow(path, form)


_OPENERS: dict[str, Callable[[Path, TableForm], TableFile]] = {
    ".csv": open_text,
    ".tsv": open_text,
    ".txt": open_text,
    ".parquet": _open_arrow,
    ".arrow": _open_arrow,
    ".feather": _open_arrow,
    ".npy": open_npy,
    ".npz": open_npz,
    ".ts": open_ts,
}
ENDINGS = tuple(_OPENERS)


def is_table(path: Path) -> bool:
    """Return whether a path ends as a table of samples does, compressed or not."""
    return inner_suffix(path) in _OPENERS


def column_names(path: Path) -> Sequence[str] | None:
    """Return the names of a file's columns or arrays; None where they have none.

    Raises:
        RequestError: the file cannot be read.
    """
    suffix = inner_suffix(path)
    if suffix in (".npy", ".ts"):
        return None
    if suffix == ".npz":
        return array_names(path)
    if suffix in (".parquet", ".arrow", ".feather"):
        from study.data.tables import arrow_tables

        return arrow_tables.column_names(path)
    return text_head(path).names


def time_columns(path: Path) -> tuple[Column, ...]:
    """Return the columns that hold dates or times of day, by name, or by position without one.

    Raises:
        RequestError: the file cannot be read.
    """
    suffix = inner_suffix(path)
    if suffix in (".npy", ".npz", ".ts"):
        return ()
    if suffix in (".parquet", ".arrow", ".feather"):
        from study.data.tables import arrow_tables

        return arrow_tables.time_columns(path)
    head = text_head(path)
    return tuple(head.names[at] or at if head.names else at for at in head.times)


def open_file(path: Path, form: TableForm) -> TableFile:
    """Look at a file with rows of any width, and return what they are read with.

    The ending names the file's form.

    Raises:
        RequestError: the file cannot be read, or is not of the form that it is taken for; the
            message says what it was taken for.
    """
    return _OPENERS.get(inner_suffix(path), open_text)(path, form)


def open_table(path: Path, form: TableForm) -> TableFile:
    """Look at a table of samples: rows of two values at least.

    Raises:
        RequestError: as `open_file`, or rows have a single value.
    """
    table = open_file(path, form)
    if table.width < LEAST_WIDTH:
        raise RequestError(
            f"{path}: expected a row per sample, found rows of {table.width} value"
            f" ({table.understood}): a value a line is a recording (dataset series) and no"
            " table of samples"
        )
    return table


def read_table(path: Path, form: TableForm) -> Table:
    """Read all rows of a file.

    Raises:
        RequestError: as `open_table`, or a row is not as the others, or lacks its label.
    """
    table = open_table(path, form)
    blocks = list(table.blocks(ROWS_AT_ONCE))
    if not blocks:
        raise RequestError(f"{path}: expected a row per sample, found none: give another file")
    labels = [block.label for block in blocks if block.label is not None]
    symbol = np.concatenate(labels) if labels else None
    if symbol is not None and "" in (kinds := list(map(canonical_label, symbol.tolist()))):
        raise RequestError(
            f"{path}: expected a label in each row, found none in row {kinds.index('') + 1}"
            f" ({table.understood}): fill it in, or leave the row out"
        )
    return Table(
        values=np.concatenate([block.values for block in blocks]),
        symbol=symbol,
        channels=table.names if table.channels > 1 else (),
    )
