"""Tables of samples, a row each: UCR-form files, CSV, Parquet and NPY, read in blocks."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from study.data import dataset as dataset_entry
from study.data import ucr
from study.data.resampling import FloatArray, scale_rows
from study.data.settings import DatasetSettings
from study.detectors.signals.block import Block
from study.errors import RequestError, one_line

ROWS_AT_ONCE = 4096
LABEL = "label"

Rows = tuple[FloatArray, npt.NDArray[np.str_] | None]


def is_table(path: Path) -> bool:
    """Return whether a path has the extension of a table of samples."""
    return path.suffix.lower() in _READERS


def read_blocks(
    path: Path, dataset: DatasetSettings, *, resample: bool, label_first: bool
) -> Iterator[Block]:
    """Yield the samples of a table; `label` is what the file calls each, if it does.

    Rows have the length of the model's samples, or the width that its dataset's own rows
    have; `.tsv` and `.txt` are of the UCR archive's form, their label first.

    Args:
        path: the file; its extension names its form.
        dataset: what the model was trained on, and how it was scaled.
        resample: bring rows of any width to the model's length.
        label_first: the first value of each row of a `.csv` or `.npy` file is a label.

    Raises:
        RequestError: the file cannot be read, or its rows are not of a form that is allowed.
    """
    count = 0
    for rows, label in _READERS[path.suffix.lower()](path, label_first):
        values = _prepared(rows, dataset, path, resample=resample)
        columns = {} if label is None else {LABEL: label}
        count += len(rows)
        yield Block(values.astype(np.float32)[:, np.newaxis, :], columns)
    if not count:
        raise RequestError(f"{path}: expected a row per sample, found none: give another file")


def _prepared(
    rows: FloatArray, dataset: DatasetSettings, path: Path, *, resample: bool
) -> FloatArray:
    """Return `(n, length)` rows as the dataset prepares its own."""
    entry = dataset_entry(dataset.name)
    width, own = rows.shape[1], dataset.row_width
    if width not in (dataset.length, own) and not resample:
        also = f" or {own}" if own and own != dataset.length else ""
        raise RequestError(
            f"{path}: expected rows of {dataset.length}{also} values, as the model was trained on,"
            f" found {width}: give such rows, or --resample"
        )
    if not np.isfinite(rows).all():
        raise RequestError(f"{path}: expected finite numbers, found others: fill them in")
    values = entry.fit_rows(rows, dataset.length)
    scaling = getattr(dataset, "scaling", "none")
    if scaling == "sample":
        return scale_rows(values)
    if scaling == "none" and (values.min() < 0 or values.max() > 1):
        raise RequestError(
            f"{path}: expected values in [0, 1], as the model was trained on, found "
            f"{values.min():g} to {values.max():g}: scale each row"
        )
    return values


def _read_text(path: Path, label_first: bool) -> Iterator[Rows]:
    labelled = label_first or path.suffix.lower() != ".csv"
    lines = ucr.read_rows(path, labelled=labelled)
    while part := list(itertools.islice(lines, ROWS_AT_ONCE)):
        rows = np.array([row for _, row in part])
        yield rows, np.array([label for label, _ in part]) if labelled else None


def _read_numpy(path: Path, label_first: bool) -> Iterator[Rows]:
    try:
        table = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from None
    if table.ndim == 3 and table.shape[1] == 1:
        table = table[:, 0]
    if table.ndim != 2 or table.dtype.kind not in "fiu":
        raise RequestError(
            f"{path}: expected numbers (samples, values), found {table.dtype} of shape "
            f"{table.shape}: give a row per sample"
        )
    for start in range(0, len(table), ROWS_AT_ONCE):
        rows = np.asarray(table[start : start + ROWS_AT_ONCE], dtype=np.float64)
        if label_first:
            yield rows[:, 1:], np.array([ucr.canonical_label(str(each)) for each in rows[:, 0]])
        else:
            yield rows, None


def _read_parquet(path: Path, label_first: bool) -> Iterator[Rows]:
    """Read a column for each step of time, in their order, and `label` if it is there."""
    del label_first
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(path)
        for batch in file.iter_batches(ROWS_AT_ONCE):
            label = batch[LABEL].to_pylist() if LABEL in batch.schema.names else None
            columns = [name for name in batch.schema.names if name != LABEL]
            if not columns:
                return
            rows = [batch[name].to_numpy(zero_copy_only=False) for name in columns]
            values = np.stack(rows, axis=1).astype(np.float64)
            yield values, None if label is None else np.array([str(each) for each in label])
    except (OSError, ValueError, TypeError, pa.ArrowException) as error:
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: Exception) -> RequestError:
    problem = one_line(error)
    return RequestError(f"{path}: expected a table of numbers, a row per sample, found: {problem}")


_READERS: dict[str, Callable[[Path, bool], Iterator[Rows]]] = {
    ".tsv": _read_text,
    ".txt": _read_text,
    ".csv": _read_text,
    ".npy": _read_numpy,
    ".parquet": _read_parquet,
}
