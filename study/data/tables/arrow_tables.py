"""Parquet and Arrow: a column for each step of time, or a column of lists for each channel."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from study.data.resampling import FloatArray
from study.data.tables.compressed import inner_suffix, is_compressed, open_bytes
from study.data.tables.form import Columns, Rows, TableFile, TableForm, require_finite
from study.errors import RequestError, one_line

Opened = tuple[pa.Schema, Callable[[int], Iterator[pa.RecordBatch]]]
"""A table's schema, and from a number of rows its batches."""


@dataclass(frozen=True)
class _ArrowTable:
    """A Parquet or Arrow file that has been looked at."""

    path: Path
    columns: Columns
    has_lists: bool
    understood: str

    def blocks(self, size: int) -> Iterator[Rows]:
        count, width = 0, None
        with _opened(self.path) as (_, batches):
            for batch in batches(size):
                if not len(batch):
                    continue
                values = self._values(batch, width)
                width = values.shape[2]
                require_finite(self.path, values, count, self.understood)
                count += len(batch)
                yield Rows(values, self._label(batch))

    @property
    def width(self) -> int:
        """Values of the first row; 0 if there is none."""
        if not self.has_lists:
            return len(self.columns.values)
        with _opened(self.path) as (_, batches):
            first = next((batch for batch in batches(1) if len(batch)), None)
            return (
                0 if first is None else len(first.column(self.columns.values[0])[0].as_py() or ())
            )

    def _values(self, batch: pa.RecordBatch, width: int | None) -> FloatArray:
        columns = [batch.column(i) for i in self.columns.values]
        if not self.has_lists:
            rows = [_numbers(column) for column in columns]
            return np.stack(rows, axis=1)[:, np.newaxis, :]
        channels: list[FloatArray] = []
        for column in columns:
            channels.append(self._lists(column, width))
            width = channels[-1].shape[1]
        return np.stack(channels, axis=1)

    def _lists(self, column: Any, width: int | None) -> FloatArray:
        lengths = {length.as_py() for length in pc.list_value_length(column).unique()}
        width = width if width is not None else next(iter(lengths), 0)
        if lengths - {width}:
            raise RequestError(
                f"{self.path}: expected lists of equal length, found lengths"
                f" {', '.join(map(str, sorted(map(str, lengths | {width}))[:5]))}"
                f" ({self.understood}): give rows of one length"
            )
        return _numbers(column.flatten()).reshape(len(column), width or 0)

    def _label(self, batch: pa.RecordBatch) -> Any:
        if self.columns.label is None:
            return None
        labels = batch.column(self.columns.label).to_pylist()
        return np.array(["" if each is None or each != each else str(each) for each in labels])


def open_arrow(path: Path, form: TableForm) -> TableFile:
    """Look at a Parquet, Arrow or Feather file.

    Columns of lists are channels; without them columns are steps of time, in their order.

    Raises:
        RequestError: the file cannot be read, or its columns are not those of `form`.
    """
    what = "Parquet" if inner_suffix(path) == ".parquet" else "Arrow"
    with _opened(path) as (schema, _):
        names, types = schema.names, schema.types
    columns = Columns.find(path, form, len(names), names, what)
    lists = [i for i in columns.values if _is_list(types[i])]
    chosen = lists or columns.values
    for i in columns.values:
        if i not in chosen or not (i in lists or _is_number(types[i])):
            raise RequestError(
                f"{path}: expected {'lists of ' if lists else ''}numbers, found {types[i]} in"
                f" {columns.name(i)} ({columns.understood(what)}): leave that column out, or name"
                " it as the label"
            )
    table = _ArrowTable(path, columns, bool(lists), columns.understood(what))
    return TableFile(
        path,
        channels=len(lists) or 1,
        width=table.width,
        has_labels=columns.label is not None,
        understood=table.understood,
        blocks=table.blocks,
        names=columns.value_names,
    )


def column_names(path: Path) -> list[str]:
    """Return the names of a file's columns."""
    with _opened(path) as (schema, _):
        return [str(name) for name in schema.names]


def time_columns(path: Path) -> tuple[str, ...]:
    """Return the names of columns that hold dates or times, such as pandas' index of times."""
    with _opened(path) as (schema, _):
        return tuple(str(field.name) for field in schema if pa.types.is_temporal(field.type))


@contextmanager
def _opened(path: Path) -> Iterator[Opened]:
    """Open a file, its batches read as they are needed."""
    try:
        with open_bytes(path) as file:
            source = pa.BufferReader(file.read()) if is_compressed(path) else file
            if inner_suffix(path) == ".parquet":
                parquet = pq.ParquetFile(source)
                yield parquet.schema_arrow, parquet.iter_batches
            else:
                reader = _ipc_reader(source)
                yield reader.schema, lambda size: _ipc_batches(reader, size)
    except (pa.ArrowException, UnicodeDecodeError) as error:  # the latter of names and labels
        raise RequestError(
            f"{path}: expected a table of numbers, a row per sample, found: {one_line(error)}"
        ) from None


def _ipc_reader(source: Any) -> Any:
    try:
        return pa.ipc.open_file(source)
    except pa.ArrowInvalid:
        source.seek(0)
        return pa.ipc.open_stream(source)


def _ipc_batches(reader: Any, size: int) -> Iterator[pa.RecordBatch]:
    is_file = hasattr(reader, "num_record_batches")
    batches = map(reader.get_batch, range(reader.num_record_batches)) if is_file else reader
    for batch in batches:
        batch.validate(full=True)  # else a damaged offset is followed out of memory
        for start in range(0, len(batch), size):
            yield batch.slice(start, size)


def _is_list(kind: Any) -> bool:
    is_list = pa.types.is_list(kind) or pa.types.is_large_list(kind)
    return (is_list or pa.types.is_fixed_size_list(kind)) and _is_number(kind.value_type)


def _is_number(kind: Any) -> bool:
    """Return whether values of a type are numbers; truths are 0 and 1."""
    is_of = (pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean, pa.types.is_null)
    return any(each(kind) for each in is_of)


def _numbers(column: Any) -> FloatArray:
    return np.asarray(column.to_numpy(zero_copy_only=False), dtype=np.float64)
