"""Long recordings and what is known of them: channels, abnormal stretches, a normal beginning.

Files are tables with a row per point in time. Names that benchmarks give their files say where
the normal part ends: `..._tr_1007_1st_2014.csv` of TSB-AD (Liu and Paparrizos 2024), and
`..._UCR_Anomaly_..._1200_4187_4199.txt` of the UCR anomaly archive (Wu and Keogh 2021), whose
last two numbers are the abnormal stretch.
"""

import gzip
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from study.data.resampling import FloatArray, IntArray
from study.errors import RequestError, one_line

if TYPE_CHECKING:
    import pandas as pd

LABEL_NAMES = ("label", "labels", "is_anomaly", "anomaly", "is_anomalous", "is_abnormal")
ROWS_AT_ONCE = 65_536
TIME_NAMES = ("timestamp", "time", "date", "datetime", "index")
_TSB_AD = re.compile(r"_tr_(\d+)_1st_\d+$")
_UCR = re.compile(r"UCR_Anomaly_.*_(\d+)_(\d+)_(\d+)$")

Events = Mapping[str, Sequence[Sequence[Any]]]


@dataclass(frozen=True)
class Recording:
    """One recording.

    Attributes:
        name: its name, which no other has.
        values: `(n, channels)` float64, finite.
        channels: names of the channels.
        events: `(k, 2)` first point of each abnormal stretch and the one after its last.
        normal_until: points at its beginning that are known to be normal; None if that is not
            known.
    """

    name: str
    values: FloatArray
    channels: tuple[str, ...]
    events: IntArray
    normal_until: int | None

    def __len__(self) -> int:
        return len(self.values)


@dataclass(frozen=True)
class Columns:
    """Which columns of a file mean what; None finds them by their names.

    Attributes:
        label: of the points' labels, 0 normal; by name, or by position from 0.
        time: that is no channel.
        channels: that are channels; None for all others.
    """

    label: str | int | None = None
    time: str | int | None = None
    channels: tuple[str, ...] | None = None

    def label_and_time(self, path: Path, table: "pd.DataFrame") -> tuple[str | None, str | None]:
        """Return the names of the label's column and of the time's; None where there is none.

        Raises:
            RequestError: a column that is named is not there.
        """
        return (
            _found(path, table, self.label, LABEL_NAMES, "label"),
            _found(path, table, self.time, TIME_NAMES, "time"),
        )

    def channel_values(
        self, path: Path, table: "pd.DataFrame"
    ) -> tuple[FloatArray, tuple[str, ...]]:
        """Return the values of the channels, `(n, channels)`, and their names.

        Raises:
            RequestError: a channel is not there, or has a value that is no finite number.
        """
        apart = self.label_and_time(path, table)
        channels = self.channels or tuple(n for n in table.columns if n not in apart)
        missing = [name for name in channels if name not in table.columns]
        if missing or not channels:
            raise RequestError(
                f"{path}: dataset.channels: expected {', '.join(missing) or 'a channel'}, found"
                f" the columns {', '.join(table.columns)}"
            )
        values = np.stack([_numbers(path, table, name) for name in channels], axis=1)
        return values, channels


def read_columns(path: Path) -> "pd.DataFrame":
    """Return what `column_parts` yields in one.

    Raises:
        RequestError: the file cannot be read.
    """
    import pandas as pd

    return pd.concat(list(column_parts(path)), ignore_index=True)


def column_parts(path: Path) -> Iterator["pd.DataFrame"]:
    """Yield the columns of a file, a row per point, some rows at a time; their names are text.

    CSV and other text (compressed too), Parquet, and NPY of one or two dimensions. Columns of a
    file without a header are named by their positions.

    Raises:
        RequestError: the file cannot be read.
    """
    count = 0
    read = _READERS.get(path.suffix, _text_parts)
    try:
        for table in read(path):
            table.columns = [str(name).strip() for name in table.columns]
            count += len(table)
            yield table
    except (OSError, ValueError, TypeError, ImportError) as error:
        problem = one_line(error)
        raise RequestError(
            f"{path}: expected a table with a row per point, found: {problem}"
        ) from None
    if not count:
        raise RequestError(f"{path}: expected a row per point, found none: give another file")


def _array_parts(path: Path) -> Iterator["pd.DataFrame"]:
    import pandas as pd

    array = np.load(path, mmap_mode="r", allow_pickle=False)
    array = array[:, np.newaxis] if array.ndim == 1 else array
    for start in range(0, len(array), ROWS_AT_ONCE):
        yield pd.DataFrame(np.array(array[start : start + ROWS_AT_ONCE]))


def _parquet_parts(path: Path) -> Iterator["pd.DataFrame"]:
    import pyarrow.parquet as pq

    for batch in pq.ParquetFile(path).iter_batches(ROWS_AT_ONCE):
        yield batch.to_pandas()


def _text_parts(path: Path) -> Iterator["pd.DataFrame"]:
    import pandas as pd

    open_text = gzip.open if path.suffix == ".gz" else open
    with open_text(path, "rt", encoding="utf-8-sig") as file:
        line = next((line.strip() for line in file if line.strip()), "")
    separator = next((mark for mark in "\t,;" if mark in line), r"\s+")
    fields = re.split(separator, line)
    header = None if any(_is_number(field) for field in fields) else 0
    with pd.read_csv(path, sep=separator, header=header, chunksize=ROWS_AT_ONCE) as reader:
        for number, table in enumerate(reader):
            is_one_line = not number and len(table) == 1 and header is None and len(fields) > 2
            # All values of one channel may stand in one line.
            yield table.T.reset_index(drop=True) if is_one_line else table


_READERS = {".npy": _array_parts, ".parquet": _parquet_parts}


def read_recording(path: Path, columns: Columns, events: Events | None = None) -> Recording:
    """Return the recording in a file.

    Args:
        path: the file.
        columns: what its columns mean.
        events: abnormal stretches by recording; None takes the file's labels, or its name.

    Raises:
        RequestError: the file cannot be read, or is not of this form.
    """
    table = read_columns(path)
    label, time = columns.label_and_time(path, table)
    values, channels = columns.channel_values(path, table)
    name = recording_name(path)
    by_name = _UCR.search(name)
    if events is not None:
        stretches = _listed(path, table[time] if time else None, events)
    elif label is not None:
        flagged = table[label].to_numpy()
        stretches = _stretches(np.asarray(flagged != 0))
    elif by_name:
        stretches = np.array([[int(by_name[2]), int(by_name[3])]], dtype=np.int64)
    else:
        stretches = np.empty((0, 2), dtype=np.int64)
    stretches = merged(stretches)
    stretches = np.clip(stretches, 0, len(values))
    return Recording(name, values, channels, stretches, normal_part(name))


def recording_name(path: Path) -> str:
    """Return the name of the recording in a file: the file's, without its endings."""
    suffixes = (".gz", ".bz2", ".xz", ".zip", ".zst", ".csv", ".txt", ".tsv", ".npy", ".parquet",
                ".out", ".hea")  # fmt: skip
    name = path.name
    while Path(name).suffix in suffixes:
        name = Path(name).stem
    return name


def normal_part(name: str) -> int | None:
    """Return how many points the name of a benchmark's file says are normal; None if none."""
    known = _TSB_AD.search(name) or _UCR.search(name)
    return int(known[1]) if known else None


def read_events(path: Path) -> dict[str, list[list[Any]]]:
    """Return abnormal stretches by recording of a JSON file, as NAB has them.

    Raises:
        RequestError: the file is not of this form.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return {str(name): [list(pair) for pair in pairs] for name, pairs in content.items()}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise RequestError(
            f"{path}: expected abnormal stretches by recording, {{name: [[first, last], ...]}},"
            f" found: {one_line(error)}"
        ) from None


def _listed(path: Path, time: "pd.Series[Any] | None", events: Events) -> IntArray:
    """Return a file's stretches, by position or by time, of a list for all files.

    A pair is the first point and the last, both of them abnormal.
    """
    import pandas as pd

    keys = [key for key in events if recording_name(Path(key)) == recording_name(path)]
    full = [key for key in keys if path.as_posix().endswith(key)]
    pairs = events[(full or keys)[0]] if keys else []
    stretches = []
    for first, last in pairs:
        if isinstance(first, int) and isinstance(last, int):
            stretches.append((first, last + 1))
            continue
        if time is None:
            raise RequestError(f"{path}: expected a column of times, for its events are by time")
        moments = pd.to_datetime(time)
        inside = (moments >= pd.Timestamp(first)) & (moments <= pd.Timestamp(last))
        stretches += [(int(a), int(b)) for a, b in _stretches(inside.to_numpy())]
    return np.array(stretches, dtype=np.int64).reshape(-1, 2)


def _found(
    path: Path, table: "pd.DataFrame", wanted: str | int | None, usual: Sequence[str], what: str
) -> str | None:
    """Return the name of a column that a setting or its usual names mean; None if none is."""
    names = list(table.columns)
    if wanted is None:
        return next((name for name in names if name.lower() in usual), None)
    if isinstance(wanted, int) and -len(names) <= wanted < len(names):
        return names[wanted]
    if wanted in names:
        return str(wanted)
    raise RequestError(
        f"{path}: dataset.{what}: expected the column {wanted!r}, found {', '.join(names)}"
    )


def _numbers(path: Path, table: "pd.DataFrame", name: str) -> FloatArray:
    try:
        values = table[name].to_numpy(dtype=np.float64)
    except (TypeError, ValueError):
        raise RequestError(
            f"{path}: expected numbers in column {name!r}, found {str(table[name].iloc[0])!r}:"
            " name the label, the time or the channels in the dataset's settings"
        ) from None
    bad = np.flatnonzero(~np.isfinite(values))
    if len(bad):
        raise RequestError(
            f"{path}: expected finite numbers in column {name!r}, found {len(bad)} others, the"
            f" first in row {bad[0]}: fill them in"
        )
    return np.asarray(values, dtype=np.float64)


def merged(stretches: IntArray) -> IntArray:
    """Return stretches `(k, 2)` by position, those that touch or overlap as one."""
    if not len(stretches):
        return stretches
    ordered = stretches[np.argsort(stretches[:, 0], kind="stable")]
    reached = np.maximum.accumulate(ordered[:, 1])
    is_new = np.concatenate([[True], ordered[1:, 0] > reached[:-1]])
    firsts = np.flatnonzero(is_new)
    lasts = np.append(firsts[1:], len(ordered)) - 1
    return np.stack([ordered[firsts, 0], reached[lasts]], axis=1)


def _stretches(flagged: npt.NDArray[np.bool_]) -> IntArray:
    edges = np.flatnonzero(np.diff(flagged.astype(np.int8), prepend=0, append=0))
    return edges.reshape(-1, 2).astype(np.int64)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
