"""Long recordings and what is known of them: channels, abnormal stretches, a normal beginning.

Files are tables with a row per point in time. Names that benchmarks give their files say where
the normal part ends: `..._tr_1007_1st_2014.csv` of TSB-AD (Liu and Paparrizos 2024), and
`..._UCR_Anomaly_..._1200_4187_4199.txt` of the UCR anomaly archive (Wu and Keogh 2021), whose
last two numbers are the abnormal stretch.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from study.data.point_tables import Mask, PointColumns, PointTable, open_points
from study.data.resampling import FloatArray, IntArray
from study.data.tables.compressed import COMPRESSED
from study.data.tables.reader import ENDINGS
from study.data.times import require_rising
from study.errors import RequestError, one_line

_TSB_AD = re.compile(r"_tr_(\d+)_1st_\d+$")
_UCR = re.compile(r"UCR_Anomaly_.*_(\d+)_(\d+)_(\d+)$")

OTHER_ENDINGS = (".out", ".hea")
"""Of recordings: the UCR anomaly archive's in TSB-UAD, and headers of WFDB records."""

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
        rate_hz: points a second, as its file says; 0 where it says nothing.
    """

    name: str
    values: FloatArray
    channels: tuple[str, ...]
    events: IntArray
    normal_until: int | None
    rate_hz: float = 0.0

    def __len__(self) -> int:
        return len(self.values)


def read_recording(path: Path, columns: PointColumns, events: Events | None = None) -> Recording:
    """Return the recording in a file.

    Args:
        path: the file.
        columns: what its columns mean.
        events: abnormal stretches by recording; None takes the file's labels, or its name.

    Raises:
        RequestError: the file cannot be read, is not of this form, or its times fall.
    """
    return recording_of(open_points(path, columns), events)


def recording_of(table: PointTable, events: Events | None = None) -> Recording:
    """Return the recording in a table; arguments and errors as of `read_recording`."""
    require_rising(table)
    values, flagged = table.read()
    name = recording_name(table.path)
    by_name = _UCR.search(name)
    if events is not None:
        stretches = _listed(table, events, len(values))
    elif flagged is not None:
        stretches = _stretches(flagged)
    elif by_name:
        stretches = np.array([[int(by_name[2]), int(by_name[3])]], dtype=np.int64)
    else:
        stretches = np.empty((0, 2), dtype=np.int64)
    stretches = np.clip(merged(stretches), 0, len(values))
    return Recording(name, values, table.channels, stretches, normal_part(name))


def recording_name(path: Path) -> str:
    """Return the name of the recording in a file: the file's, without its endings."""
    name = path.name
    while Path(name).suffix.lower() in (*ENDINGS, *COMPRESSED, *OTHER_ENDINGS):
        name = Path(name).stem
    return name


def normal_part(name: str) -> int | None:
    """Return how many points the name of a benchmark's file says are normal; None if none."""
    known = _TSB_AD.search(name) or _UCR.search(name)
    return int(known[1]) if known else None


def read_events(path: Path) -> Events:
    """Return abnormal stretches by recording of a JSON file, as NAB has them.

    Raises:
        RequestError: the file is not of this form.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return {
            str(name): [[first, last] for first, last in pairs] for name, pairs in content.items()
        }
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise RequestError(
            f"{path}: expected abnormal stretches by recording, {{name: [[first, last], ...]}},"
            f" found: {one_line(error)}"
        ) from None


def _listed(table: PointTable, events: Events, count: int) -> IntArray:
    """Return a file's stretches, by position or by time, of a list for all files.

    A pair is the first point and the last of `count`, both of them abnormal.
    """
    import pandas as pd

    name = recording_name(table.path)
    keys = [key for key in events if recording_name(Path(key)) == name]
    full = [key for key in keys if table.path.as_posix().endswith(key)]
    pairs = events[(full or keys)[0]] if keys else []
    if all(isinstance(end, int | float) for pair in pairs for end in pair):
        return _by_position(table.path, pairs, count)
    try:
        if any(pd.Timestamp(first) > pd.Timestamp(last) for first, last in pairs):
            raise ValueError("a stretch that ends before it begins")
        moments = pd.to_datetime(table.times)
        inside = [
            (moments >= pd.Timestamp(first)) & (moments <= pd.Timestamp(last))
            for first, last in pairs
        ]
    except (ValueError, TypeError) as error:
        raise RequestError(
            f"{table.path}: expected times, as its events have them, found: {one_line(error)}"
        ) from None
    return np.concatenate([_stretches(np.asarray(each)) for each in inside])


def _by_position(path: Path, pairs: Sequence[Sequence[Any]], count: int) -> IntArray:
    for first, last in pairs:
        is_whole = all(float(end).is_integer() for end in (first, last))
        if not is_whole or not 0 <= first <= last < count:
            raise RequestError(
                f"{path}: dataset.events: expected the first and the last of {count} points,"
                f" 0 <= first <= last < {count}, found [{first}, {last}]: correct the stretch"
            )
    stretches = [(int(first), int(last) + 1) for first, last in pairs]
    return np.array(stretches, dtype=np.int64).reshape(-1, 2)


def require_recordings(events: Events, names: Sequence[str]) -> None:
    """Refuse entries of other names than recordings have, where one of these lacks its entry.

    A list may be for more recordings than are read, and recordings may have no entry; both at once
    is a name that is written in two ways.

    Args:
        events: abnormal stretches by recording.
        names: of all recordings.

    Raises:
        RequestError: there is such an entry.
    """
    entries = {recording_name(Path(key)): key for key in events}
    others = [key for name, key in entries.items() if name not in names]
    lacking = [name for name in names if name not in entries]
    if others and lacking:
        raise RequestError(
            f"dataset.events: expected names of recordings, found {others[0]!r}, while {lacking[0]}"
            " has no entry: correct the name, take the entry out, or add an empty one for"
            f" {lacking[0]}"
        )


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


def _stretches(flagged: Mask) -> IntArray:
    edges = np.flatnonzero(np.diff(flagged.astype(np.int8), prepend=0, append=0))
    return edges.reshape(-1, 2).astype(np.int64)
