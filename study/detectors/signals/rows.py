"""Rows of a table as samples of a model, a row per sample."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from study.data.table import FilesSettings
from study.data.tables.compressed import inner_suffix
from study.data.tables.form import Rows, TableFile, TableForm, as_column
from study.data.tables.reader import ROWS_AT_ONCE, open_table
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
    """

    table: TableFile
    form: RowForm

    @property
    def note(self) -> str:
        """How rows become samples, in words; "" if they are samples already."""
        width, length = self.table.width, self.form.shape.length
        if width == length:
            return ""
        why = "as in training" if width in self.form.widths else "as --resample asks"
        return f"rows of {width} values brought to {length}, {why}"

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
            yield Block(self.form.prepared(rows.values), columns)
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

    Args:
        path: the file; its ending names its form.
        form: which rows the model takes.
        label: name or position of the column of labels, or "none"; None for that of the
            model's dataset, else the first column of `.tsv` and `.txt`, else one called `label`.
        leave_out: names or positions of columns that are neither label nor value, beside those
            of the model's dataset.
        resample: bring rows of another width to the model's length.

    Raises:
        RequestError: the file cannot be read, or its rows are not of such a form; the message
            says what it was taken for.
    """
    table = open_table(path, _table_form(path, form, label, leave_out))
    if table.channels != form.shape.channels:
        raise RequestError(
            f"{path}: expected {form.shape.channels} channel(s), as the model was trained on,"
            f" found {table.channels} ({table.understood}): give such rows"
        )
    if table.width in form.widths:
        return RowSource(table, form)
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
    return RowSource(table, form)


def _table_form(
    path: Path, form: RowForm, label: str | None, leave_out: Sequence[str]
) -> TableForm:
    """Return what is known of a table's columns before it is read."""
    own = form.dataset.form if isinstance(form.dataset, FilesSettings) else TableForm()
    others = (*own.leave_out, *map(as_column, leave_out))
    base = TableForm(leave_out=others, may_lack_left_out=True)
    if label is not None:
        return replace(base, label=None if label == NO_LABEL else as_column(label))
    if inner_suffix(path) in LABEL_FIRST and not isinstance(own.label, str):
        return replace(base, label=0)
    named = own.label if isinstance(own.label, str) else LABEL
    return replace(base, label=named, may_lack_label=True)
