"""Tables of one's own: a row per sample, in any of the forms of `study.data.tables`."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import BeforeValidator, Field, model_validator

from study.data.assembly import build_samples
from study.data.digests import source_digests
from study.data.entry import UNKNOWN, DatasetEntry, ScaledDatasetSettings
from study.data.precision import require_fine_steps, require_float32
from study.data.resampling import interpolate_rows, scale_rows
from study.data.samples import Samples
from study.data.tables.form import Column, TableForm, canonical_label, order_by_name
from study.data.tables.reader import Table, read_table
from study.errors import RequestError
from study.settings import Texts, as_tuple

UNLABELLED = "unlabelled"
"""Kind of the samples of a table without labels, which are all taken for normal."""


def _as_texts(value: object) -> object:
    """Write numbers as text, for YAML reads the label 1 as an integer."""
    values = as_tuple(value)
    assert isinstance(values, list | tuple)
    return tuple(
        str(item) if isinstance(item, int | float) and not isinstance(item, bool) else item
        for item in values
    )


DataPaths = Annotated[
    Texts,
    Field(
        description="one file or several, which are joined in this order; relative paths are "
        "looked for beside the study file, in the data folder, and in the current folder",
    ),
]
LabelNames = Annotated[
    tuple[str, ...],
    BeforeValidator(_as_texts),
    Field(
        description="labels of normal samples; those that are numbers are compared as numbers, "
        "so that 1, '1' and 1.0 are one label",
    ),
]


class FilesSettings(ScaledDatasetSettings):
    """What datasets have in common that read tables."""

    searchable: ClassVar[tuple[str, ...]] = ("length", "scaling")

    if TYPE_CHECKING:  # each class has its own, with other defaults and in another order
        path: tuple[str, ...] = ()
        test_path: tuple[str, ...] = ()
        normal_labels: tuple[str, ...] = ()

    @property
    def form(self) -> TableForm:
        """What is known of the files' columns: as in the UCR archive, the label first."""
        return TableForm(label=0)

    def labels_of(self, written: npt.NDArray[np.str_]) -> npt.NDArray[np.int8]:
        """Return `(n,)` 0 normal, 1 abnormal, -1 unknown, of labels as the source writes them."""
        if not self.normal_labels:
            return super().labels_of(written)
        kind = np.array([canonical_label(item) for item in written], dtype=np.str_)
        normal = np.isin(kind, [canonical_label(item) for item in self.normal_labels])
        return np.where(kind == "", UNKNOWN, np.where(normal, 0, 1)).astype(np.int8)

    def beside(self, folder: Path) -> Self:
        """Return the same with the files that are in a folder named by their whole paths."""
        whole = {
            name: tuple(
                str(folder / item) if (folder / item).is_file() else item
                for item in getattr(self, name)
            )
            for name in ("path", "test_path")
        }
        return self.model_copy(update=whole)


class TableSettings(FilesSettings):
    """Tables of one's own: CSV, Parquet, Arrow, NumPy, UCR's and aeon's forms."""

    name: Literal["table"] = "table"
    path: DataPaths = Field(min_length=1)
    test_path: Texts = Field(
        (),
        description="files whose rows are the data's own test set, joined after those of path; "
        "protocol given tests on them, others take all rows together",
    )
    label: Column | None = Field(
        "label",
        description="the column of each row's label: its name, or its position from 0 (-1 is the "
        "last); of .npz the array's name; null if there are none, and all rows are normal",
    )
    normal_labels: LabelNames = ()
    leave_out: tuple[Column, ...] = Field(
        (), description="columns that are neither label nor value, by name or position"
    )

    @model_validator(mode="after")
    def _labels_have_normal_ones(self) -> Self:
        if (self.label is None) != (not self.normal_labels):
            raise ValueError(
                "normal_labels must name the labels of normal samples, or label be null where"
                " rows have none"
            )
        return self

    @property
    def form(self) -> TableForm:
        """What is known of the files' columns."""
        return TableForm(self.label, leave_out=self.leave_out)


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
        f"dataset.path: expected an existing file, found none at {tried[0]}: correct the path, "
        "put the file beside the study file, or give the data folder with --data"
    )


def sources(
    settings: FilesSettings, data_folder: Path, memo_folder: Path | None
) -> list[tuple[str, str]]:
    """Return (name, sha256) of each file.

    Raises:
        RequestError: a file is missing or unreadable.
    """
    names = (*settings.path, *settings.test_path)
    paths = [locate(item, data_folder) for item in names]
    return list(zip(names, source_digests(paths, memo_folder), strict=True))


def read_tables(settings: FilesSettings, data_folder: Path) -> list[Table]:
    """Read the files of `settings`, whose rows are all of one shape.

    Channels with names have the order of the first file's.

    Raises:
        RequestError: a file is missing or of another form, a value is too large, or its rows are
            of another shape or have channels of other names.
    """
    tables: list[Table] = []
    for item in (*settings.path, *settings.test_path):
        path = locate(item, data_folder)
        table = read_table(path, settings.form)
        require_float32(table.values, str(path))
        if tables and table.values.shape[1:] != tables[0].values.shape[1:]:
            expected, shape = tables[0].values.shape[1:], table.values.shape[1:]
            raise RequestError(
                f"{path}: expected rows of {_shape_in_words(*expected)}, as in"
                f" {settings.path[0]}, found {_shape_in_words(*shape)}:"
                " give files of one shape"
            )
        tables.append(_in_order(path, table, tables[0].channels) if tables else table)
    return tables


def _in_order(path: Path, table: Table, channels: tuple[str, ...]) -> Table:
    """Return a table with its channels in the order of the first file's, if both have names."""
    if not table.channels or not channels or table.channels == channels:
        return table
    order = order_by_name(table.channels, channels)
    if order is None:
        raise RequestError(
            f"{path}: expected the channels of the first file, {', '.join(channels)}, found"
            f" {', '.join(table.channels)}: give files of the same channels"
        )
    return replace(table, values=table.values[:, order], channels=channels)


def samples_of(tables: Sequence[Table], settings: FilesSettings) -> Samples:
    """Return samples: interpolated to the wanted length, then scaled if each is by itself.

    Args:
        tables: one for each file of `path`, then of `test_path`.
        settings: of the dataset.

    Raises:
        RequestError: no row is normal, unscaled values are not in [0, 1], or others vary too
            little for float32.
    """
    values = np.concatenate([table.values for table in tables])
    count, channels, width = values.shape
    symbol = np.concatenate([_symbols(table) for table in tables])
    kind = np.array([canonical_label(item) for item in symbol], dtype=np.str_)
    if settings.scaling == "none" and (values.min() < 0 or values.max() > 1):
        raise RequestError(
            f"{settings.path[0]}: expected values in [0, 1] with scaling none, found "
            f"{values.min():g} to {values.max():g}: set dataset.scaling to sample"
        )
    if settings.scaling == "training":
        low, high = values.min(axis=(0, 2)), values.max(axis=(0, 2))
        require_fine_steps(low, high, tables[0].channels, settings.path[0])
    rows = values.reshape(-1, width)  # (n, c, width) -> (n * c, width)
    fitted = interpolate_rows(rows, settings.length)
    scaled = scale_rows(fitted) if settings.scaling == "sample" else fitted
    side = ["train"] * sum(map(len, tables[: len(settings.path)])) if settings.test_path else None
    return build_samples(
        values=scaled.reshape(count, channels, settings.length),
        label=_labels(kind, settings),
        kind=kind,
        symbol=symbol,
        side=None if side is None else side + ["test"] * (count - len(side)),
        extent=np.full(count, width),
        position=np.arange(count),
        unit_range=settings.scaling != "training",
        channel_names=tables[0].channels,
    )


def prepare(settings: FilesSettings, data_folder: Path, seed: int) -> Samples:
    """Return the rows of all files of `settings`; nothing of it depends on `seed`.

    Raises:
        RequestError: a file or a setting is wrong.
    """
    del seed
    return samples_of(read_tables(settings, data_folder), settings)


def check(settings: FilesSettings, data_folder: Path) -> list[str]:
    """Return what is right about the files, a line each.

    Raises:
        RequestError: a file or a setting is wrong.
    """
    tables = read_tables(settings, data_folder)
    samples_of(tables, settings)
    paths = [locate(item, data_folder) for item in (*settings.path, *settings.test_path)]
    return [f"{path}: {describe(table)}" for path, table in zip(paths, tables, strict=True)]


def describe(table: Table) -> str:
    """Return rows, width and labels of a table in a few words."""
    kinds = [canonical_label(item) for item in _symbols(table)]
    labels, counts = np.unique(kinds, return_counts=True)
    by_label = ", ".join(f"{n} of {label}" for label, n in zip(labels, counts, strict=True))
    _, channels, width = table.values.shape
    labelled = f"labels {by_label}" if table.symbol is not None else "no labels"
    return f"{len(table)} rows of {_shape_in_words(channels, width)}, {labelled}"


def _labels(kind: npt.NDArray[np.str_], settings: FilesSettings) -> npt.NDArray[np.int8]:
    if not settings.normal_labels:
        return np.zeros(len(kind), dtype=np.int8)
    occurring = np.unique(kind)
    known = set(occurring) - {""}  # an empty one says that nothing is known
    absent = [item for item in settings.normal_labels if canonical_label(item) not in known]
    if absent:
        raise RequestError(
            f"dataset.normal_labels: expected labels that occur, found {', '.join(absent)}: the"
            f" labels in {settings.path[0]} are {', '.join(occurring[:20])}"
        )
    return settings.labels_of(kind)


def _symbols(table: Table) -> npt.NDArray[np.str_]:
    if table.symbol is not None:
        return table.symbol
    return np.full(len(table), UNLABELLED)


def _shape_in_words(channels: int, width: int) -> str:
    return f"{width} values" if channels == 1 else f"{channels} channels of {width} values"


ENTRY = DatasetEntry(
    settings=TableSettings,
    description="tables of your own: CSV, Parquet, Arrow, NumPy, UCR's and aeon's forms, by path",
    sources=sources,
    prepare=prepare,
    check=check,
    fetch="nothing to fetch: the files are those that dataset.path names",
)
