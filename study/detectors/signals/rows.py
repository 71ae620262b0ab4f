"""Rows of a table as samples of a model, a row per sample."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from study.data.settings import DatasetSettings
from study.data.table import FilesSettings
from study.data.tables.compressed import inner_suffix
from study.data.tables.form import Column, Rows, TableFile, TableForm, as_column, order_by_name
from study.data.tables.reader import ROWS_AT_ONCE, column_names, open_table
from study.detectors.row_form import RowForm
from study.detectors.signals.block import Block
from study.errors import RequestError

LABEL = "label"
NO_LABEL = "none"
LABEL_FIRST = (".tsv", ".txt")
"""Endings of the UCR archive's form."""

LARGEST_CHANGE = 10
"""Rows of so many times the width, or so small a part of it, are no samples at another rate."""


@dataclass(frozen=True)
class RowSource:
    """A table whose rows a model takes.

    Attributes:
        table: the file.
        form: which rows the model takes.
        order: which channel of the table is each of the model's.
    """

    table: TableFile
    form: RowForm
    order: tuple[int, ...]

    @property
    def note(self) -> str:
        """How rows become samples, in words; "" if they are samples already."""
        width, length = self.table.width, self.form.shape.length
        notes = []
        if self._is_reordered:
            trained = ", ".join(self.form.channels)
            notes.append(f"channels brought into the order of training, {trained}")
        if width != length:
            why = "as in training" if width in self.form.widths else "as --resample asks"
            notes.append(f"rows of {width} values brought to {length}, {why}")
        return "; ".join(notes)

    @property
    def _is_reordered(self) -> bool:
        return self.order != tuple(range(len(self.order)))

    def blocks(self) -> Iterator[Block]:
        """Yield the samples; `label` is what the file calls each, if it does.

        Raises:
            RequestError: the file cannot be read, or holds other values than it may.
        """
        count = 0
        for rows in self.table.blocks(ROWS_AT_ONCE):
            self._check(rows)
            count += len(rows.values)
            columns = {} if rows.label is None else {LABEL: rows.label}
            values = rows.values[:, self.order] if self._is_reordered else rows.values
            yield Block(self.form.prepared(values), columns)
        if not count:
            raise RequestError(
                f"{self.table.path}: expected a row per sample, found none: give another file"
            )

    def _check(self, rows: Rows) -> None:
        dataset, values = self.form.dataset, rows.values
        if dataset.scaled_by_fold or self.form.scales_rows:
            return
        if values.min() < 0 or values.max() > 1:
            raise RequestError(
                f"{self.table.path}: expected values in [0, 1], as the model was trained on, found "
                f"{values.min():g} to {values.max():g}: scale each row"
            )


def open_rows(
    path: Path,
    form: RowForm,
    *,
    label: str | None = None,
    leave_out: Sequence[str] = (),
    resample: bool = False,
) -> RowSource:
    """Look at a table for a model, whose rows have a width that the model takes.

    Channels that have names, here and in the data that the model was trained on, are brought
    into the order of these.

    Args:
        path: the file; its ending names its form.
        form: which rows the model takes.
        label: name or position of the column of labels, or "none"; None for what
            `_label_columns` says.
        leave_out: names or positions of columns that are neither label nor value, beside those
            of the model's dataset.
        resample: bring rows of another width to the model's length.

    Raises:
        RequestError: the file cannot be read, or its rows are not of such a form; the message
            says what it was taken for.
    """
    table = _opened(path, form, label, leave_out)
    if table.channels != form.shape.channels:
        raise RequestError(
            f"{path}: expected {form.shape.channels} channel(s), as the model was trained on,"
            f" found {table.channels} ({table.understood}): give such rows"
        )
    order = _channel_order(table, form.channels)
    if table.width in form.widths:
        return RowSource(table, form, order)
    expected = " or ".join(map(str, form.widths))
    actual = f"found {table.width} ({table.understood})"
    trained_width = form.widths[-1]
    if max(table.width, trained_width) > LARGEST_CHANGE * min(table.width, trained_width):
        raise RequestError(
            f"{path}: expected a row per sample, of {expected} values, {actual}: these are no"
            " samples of another rate, and --resample does not make them so"
        )
    if table.width - 1 in form.widths:
        raise RequestError(
            f"{path}: expected rows of {expected} values, as the model was trained on, {actual}: is"
            " one of the columns a label? name it with --label"
        )
    if not resample:
        raise RequestError(
            f"{path}: expected rows of {expected} values, as the model was trained on, {actual}:"
            " give such rows, or --resample"
        )
    return RowSource(table, form, order)


def _opened(path: Path, form: RowForm, label: str | None, leave_out: Sequence[str]) -> TableFile:
    """Return the table, its label in the first of `_label_columns` with which rows fit the model.

    Where they fit with none of these, it is in the last one.

    Raises:
        RequestError: as `open_table`, of the last one.
    """
    own = form.dataset.form if isinstance(form.dataset, FilesSettings) else TableForm()
    others = (*own.leave_out, *map(as_column, leave_out))
    *tried, last = _label_columns(path, form.dataset, label)
    known = TableForm(may_lack_label=label is None, leave_out=others, may_lack_left_out=True)
    for column in tried:
        with suppress(RequestError):
            table = open_table(path, replace(known, label=column))
            if table.channels == form.shape.channels and table.width in form.widths:
                return table
    return open_table(path, replace(known, label=last))


def _label_columns(
    path: Path, dataset: DatasetSettings, label: str | None
) -> tuple[Column | None, ...]:
    """Return where the label may be, in the order in which it is looked for; None for no label.

    1. That of `--label`.
    2. That of the model's dataset, where it has a setting for it: a name, which may be missing;
       a position, or no label where that leaves a value too few; without labels, a column
       called `label` is no value.
    3. The first column of `.tsv` and `.txt`.
    4. One called `label`.
    5. The first one, where the model's dataset has it there, or no label where that leaves a
       value too few.
    """
    if label is not None:
        return (None if label == NO_LABEL else as_column(label),)
    own = dataset.form if isinstance(dataset, FilesSettings) else TableForm()
    if "label" in type(dataset).model_fields:
        return _own_label(own)
    if inner_suffix(path) in LABEL_FIRST:
        return (0,)
    names = column_names(path) or ()
    if own.label is None or LABEL in [name.strip().lower() for name in names]:
        return (LABEL,)
    return (own.label, None)


def _own_label(own: TableForm) -> tuple[Column | None, ...]:
    """Return where a model's own table has the label."""
    if own.label is None:
        return (LABEL,)
    # Without the label's column, other positions are no longer those of training.
    is_fixed = any(isinstance(column, int) for column in own.leave_out)
    if isinstance(own.label, str) or is_fixed:
        return (own.label,)
    return (own.label, None, own.label)


def _channel_order(table: TableFile, trained: tuple[str, ...]) -> tuple[int, ...]:
    """Return which channel of a table is each of the model's.

    They are matched by name where the channels of both have names that are no positions, or the
    same ones, else by position.

    Raises:
        RequestError: the names are others.
    """
    names = table.names if table.channels > 1 else ()
    positions = tuple(map(str, range(table.channels)))
    order = order_by_name(names, trained)
    if names and order is not None:
        return tuple(order)
    if names in ((), positions) or trained in ((), positions):
        return tuple(range(table.channels))
    raise RequestError(
        f"{table.path}: expected the channels {', '.join(trained)}, as the model was trained on,"
        f" found {', '.join(names)} ({table.understood}): rename them, or leave others out"
    )
