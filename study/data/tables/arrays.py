"""NumPy's files: `(n,)`, `(n, width)` or `(n, channels, width)`, in .npz beside labels."""

import io
import tokenize
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from study.data.tables.compressed import is_compressed, open_bytes
from study.data.tables.form import (
    Columns,
    Rows,
    TableFile,
    TableForm,
    canonical_label,
    require_finite,
    shown_column,
)
from study.errors import RequestError, one_line

VALUE_NAMES = ("values", "X", "x", "data")
LABEL_NAMES = ("label", "labels", "y", "Y")
"""Names of arrays in .npz files, in the order in which they are looked for."""

_UNREADABLE = (
    OSError,
    ValueError,
    EOFError,
    tokenize.TokenError,  # an array's header
    zipfile.BadZipFile,
    RuntimeError,  # what is encrypted, or of a compression that zipfile does not have
)


@dataclass(frozen=True)
class _Arrays:
    """Values, and labels beside them or in a column of them."""

    path: Path
    values: Any
    label: Any
    columns: Columns | None
    understood: str

    def blocks(self, size: int) -> Iterator[Rows]:
        for start in range(0, len(self.values), size):
            part = slice(start, start + size)
            rows = np.asarray(self.values[part], dtype=np.float64)
            label = None if self.label is None else _texts(self.label[part])
            if self.columns:
                if self.columns.label is not None:
                    label = _texts(rows[:, self.columns.label])
                rows = rows[:, np.newaxis, list(self.columns.values)]
            require_finite(self.path, rows, start, self.understood)
            yield Rows(rows, label)


def open_npy(path: Path, form: TableForm) -> TableFile:
    """Look at a .npy file; of two dimensions, its columns are those of a text without a header.

    Raises:
        RequestError: the file cannot be read, or is not of such a form.
    """
    values = _load(path)
    if isinstance(values, dict):
        raise RequestError(
            f"{path}: expected one array, found an archive of {', '.join(sorted(values))}:"
            " call the file .npz"
        )
    return _table_of(path, form, values, None, "NPY")


def open_npz(path: Path, form: TableForm) -> TableFile:
    """Look at a .npz file: an array of values, and one of labels.

    Raises:
        RequestError: as `open_npy`, or the file has several arrays that may be the values.
    """
    arrays = _arrays(path)
    names = sorted(arrays)
    label_names = (form.label,) if isinstance(form.label, str) else ()
    label = next((n for n in (*label_names, *LABEL_NAMES) if n in arrays), None)
    if form.label is None:
        label = None
    shaped = [n for n in names if arrays[n].ndim in (2, 3) and n != label]
    values = next((n for n in VALUE_NAMES if n in shaped), None)
    if values is None and len(shaped) == 1:
        values = shaped[0]
    if not shaped:  # a value a row, by its name alone
        flat = [n for n in VALUE_NAMES if n in arrays and n != label and arrays[n].ndim == 1]
        values = next(iter(flat), None)
    shapes = ", ".join(f"{n} {arrays[n].shape}" for n in names[:8])
    if values is None:
        raise RequestError(
            f"{path}: expected an array called {', '.join(VALUE_NAMES)}, or only one of two or"
            f" three dimensions, found {shapes}: name it so"
        )
    if label is None and form.label is not None and not form.may_lack_label:
        raise RequestError(
            f"{path}: expected labels in {shown_column(form.label)}, found the arrays {shapes}:"
            " name the array that holds them"
        )
    beside = arrays[label] if label else None
    if beside is not None and beside.shape != arrays[values].shape[:1]:
        raise RequestError(
            f"{path}: expected a label for each row, found {shapes}: give arrays of equal length"
        )
    return _table_of(path, form, arrays[values], beside, f"NPZ, values in {values!r}", label)


def array_names(path: Path) -> list[str]:
    """Return the names of the arrays in a .npz file."""
    return sorted(_arrays(path))


def _table_of(
    path: Path, form: TableForm, values: Any, label: Any, what: str, label_name: str | None = None
) -> TableFile:
    if values.ndim == 1:
        values = values[:, np.newaxis]  # (n,) -> (n, 1), a value a row
    if values.ndim not in (2, 3) or values.dtype.kind not in "fiu":
        raise RequestError(
            f"{path}: expected numbers (samples, values) or (samples, channels, values), found"
            f" {values.dtype} of shape {values.shape}: give a row per sample"
        )
    if values.ndim == 3:
        if label is None and isinstance(form.label, int) and not form.may_lack_label:
            raise RequestError(
                f"{path}: expected the label in {shown_column(form.label)}, found {what} of shape"
                f" {values.shape}, which has no columns: store labels beside it in a .npz file"
            )
        named = f"labels in {label_name!r}" if label_name else "no label"
        understood = f"{what}, (samples, channels, values) = {values.shape}, {named}"
        columns, (channels, width) = None, values.shape[1:]
    else:
        own = replace(form, label=None)
        columns = Columns.find(path, form if label is None else own, values.shape[1], None, what)
        understood = columns.understood(f"{what}, {values.shape[0]} rows")
        channels, width = 1, len(columns.values)
    has_labels = label is not None or (columns is not None and columns.label is not None)
    arrays = _Arrays(path, values, label, columns, understood)
    names = () if columns is None else columns.value_names
    return TableFile(path, channels, width, has_labels, understood, arrays.blocks, names)


def _arrays(path: Path) -> dict[str, Any]:
    """Return the arrays of a .npz file, by name."""
    arrays = _load(path)
    if not isinstance(arrays, dict):
        raise RequestError(f"{path}: expected an archive of arrays, found one: call the file .npy")
    return arrays


def _load(path: Path) -> Any:
    """Return an array, or a dict of arrays by name; nothing is unpickled."""
    try:
        if not is_compressed(path) and path.suffix.lower() == ".npy":
            return _read(np.load(path, mmap_mode="r", allow_pickle=False))
        with open_bytes(path) as file:
            return _read(np.load(io.BytesIO(file.read()), allow_pickle=False))
    except _UNREADABLE as error:
        raise RequestError(
            f"{path}: expected a table of numbers, a row per sample, found: {one_line(error)}"
        ) from None


def _read(loaded: Any) -> Any:
    return dict(loaded) if isinstance(loaded, np.lib.npyio.NpzFile) else loaded


def _texts(labels: Any) -> Any:
    return np.array([canonical_label(str(each)) for each in labels], dtype=np.str_)
