"""CMU Wafer: process signals of semiconductor wafers, in the UCR archive's form.

Source: Olszewski, Generalized feature extraction for structural pattern recognition
in time-series data (2001); UCR archive, data set Wafer.
"""

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from study.data.digests import source_digests
from study.data.entry import DatasetEntry, ScaledDatasetSettings
from study.data.samples import Samples
from study.data.table import describe, samples_of
from study.data.tables.form import TableForm, canonical_label
from study.data.tables.reader import Table, read_table
from study.data.ucr import UcrSettings
from study.errors import RequestError

if TYPE_CHECKING:
    from study.data.fetch import Progress

FOLDERS = ("wafer", "Wafer")
EXTENSIONS = (".tsv", ".txt", ".csv")
URL = "https://timeseriesclassification.com/aeon-toolkit/Wafer.zip"
WIDTH = 152
COUNTS = {"Wafer_TRAIN": ((903, 97),), "Wafer_TEST": ((5499, 665), (5498, 665))}
"""File -> (normal, abnormal) rows; a copy without the first test row is in circulation."""

_LARGEST_ARCHIVE = 256 * 2**20
_LARGEST_FILE = 64 * 2**20


class WaferSettings(ScaledDatasetSettings):
    """CMU Wafer (Olszewski 2001), both files; label 1 is normal, -1 abnormal."""

    searchable: ClassVar[tuple[str, ...]] = ("length", "scaling")

    name: Literal["wafer"] = "wafer"

    def labels_of(self, written: npt.NDArray[np.str_]) -> npt.NDArray[np.int8]:
        """Return `(n,)` 0 normal, 1 abnormal, of the labels 1 and -1."""
        return np.array([int(canonical_label(item) != "1") for item in written], dtype=np.int8)

    @property
    def row_width(self) -> int:
        """Width of the files' rows."""
        return WIDTH


def locate(data_folder: Path) -> list[Path]:
    """Return the training and the test file.

    Raises:
        RequestError: one of them is missing.
    """
    files = _files(data_folder)
    for stem, path in files.items():
        if path is None:
            raise RequestError(
                f"{data_folder / FOLDERS[0] / stem}.tsv: expected a file of the Wafer data set "
                f"({', '.join(EXTENSIONS)}), found none: "
                f"run `python -m study.data fetch wafer --data {data_folder}`"
            )
    return [path for path in files.values() if path is not None]


def _files(data_folder: Path) -> dict[str, Path | None]:
    """Return the path of each of the two files, None where there is none."""
    return {
        stem: next(
            (
                path
                for folder in FOLDERS
                for extension in EXTENSIONS
                if (path := data_folder / folder / f"{stem}{extension}").is_file()
            ),
            None,
        )
        for stem in COUNTS
    }


def read_file(path: Path) -> Table:
    """Read one of the two files and verify its width, labels and counts.

    Raises:
        RequestError: the file is not what the archive publishes.
    """
    table = read_table(path, TableForm(label=0))
    if table.values.shape[1:] != (1, WIDTH):
        raise RequestError(
            f"{path}: expected a label and {WIDTH} values a row, found {table.values.shape[2]}"
            " values: replace the file"
        )
    assert table.symbol is not None
    kind = np.array([canonical_label(item) for item in table.symbol])
    others = sorted(set(kind) - {"1", "-1"})
    if others:
        raise RequestError(
            f"{path}: expected the labels 1 and -1 only, found {others[0][:40]!r}: replace the file"
        )
    counts = (int((kind == "1").sum()), int((kind == "-1").sum()))
    allowed = COUNTS[path.stem]
    if counts not in allowed:
        expected = " or ".join(
            f"{normal} rows of 1 and {abnormal} of -1" for normal, abnormal in allowed
        )
        raise RequestError(
            f"{path}: expected {expected}, found {counts[0]} and {counts[1]}: replace the file"
        )
    return table


def sources(
    settings: WaferSettings, data_folder: Path, memo_folder: Path | None
) -> list[tuple[str, str]]:
    """Return (name, sha256) of both files.

    Raises:
        RequestError: a file is missing or unreadable.
    """
    del settings
    paths = locate(data_folder)
    names = [path.name for path in paths]
    return list(zip(names, source_digests(paths, memo_folder), strict=True))


def prepare(settings: WaferSettings, data_folder: Path, seed: int) -> Samples:
    """Return the rows of both files, training first; nothing depends on `seed`.

    Raises:
        RequestError: a file is missing or is not what the archive publishes.
    """
    del seed
    paths = locate(data_folder)
    as_ucr = UcrSettings(
        length=settings.length,
        path=tuple(map(str, paths)),
        normal_labels=("1",),
        scaling=settings.scaling,
    )
    return samples_of([read_file(path) for path in paths], as_ucr)


def check(settings: WaferSettings, data_folder: Path) -> list[str]:
    """Return what is right about both files, a line each, and what is not complete.

    Raises:
        RequestError: a file is missing or is not what the archive publishes.
    """
    del settings
    lines = []
    for path in locate(data_folder):
        table = read_file(path)
        published = sum(COUNTS[path.stem][0])
        note = (
            ""
            if len(table.values) == published
            else f" (the archive has {published}: this copy lacks its first row, a normal one)"
        )
        lines.append(f"{path}: {describe(table)}{note}")
    return lines


def fetch(data_folder: Path, url: str | None, progress: "Progress") -> list[str]:
    """Download and unpack the archive's zip unless both files are on disk and right.

    The archive publishes no checksum, so the files are verified by width, labels and
    counts before they take their names.

    Raises:
        RequestError: a file on disk or in the zip is not what the archive publishes.
        StudyFailedError: the server could not be reached or broke off.
    """
    from study.data.fetch import Download, Member, extract_members, fetch_files

    files = _files(data_folder)
    missing = [stem for stem, path in files.items() if path is None]
    for path in files.values():
        if path is not None:
            read_file(path)
    if not missing:
        return [f"{data_folder}: both Wafer files were there and right, nothing to fetch"]
    folder = next(
        (data_folder / name for name in FOLDERS if (data_folder / name).is_dir()),
        data_folder / FOLDERS[0],
    )
    archive = folder / "Wafer.zip"
    fetch_files([Download(url=url or URL, path=archive, largest=_LARGEST_ARCHIVE)], progress)
    members = [
        Member(stem=stem, extensions=EXTENSIONS, largest=_LARGEST_FILE, verify=read_file)
        for stem in missing
    ]
    written = extract_members(archive, folder, members)
    archive.unlink()
    return [f"{path}: fetched and verified" for path in written]


ENTRY = DatasetEntry(
    settings=WaferSettings,
    description="7,164 process signals of silicon wafers",
    sources=sources,
    prepare=prepare,
    check=check,
    fetch=fetch,
)
