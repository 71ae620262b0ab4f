"""What a column of times says of the order of a recording's points."""

import re
import warnings
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from study.data.point_tables import PointTable
from study.data.tables.form import shown_column
from study.errors import RequestError

CLOCK_CHANGE_SECONDS = 3600
"""Local times fall by so much in autumn."""
COUNTED = "index"
"""A column of this name numbers rows, and may begin anew."""
JUMP = 1.5
"""So many times the usual step."""

_DATE = re.compile(r"\d[-./]\d{1,2}[-./]\d")

Seconds = npt.NDArray[np.float64]


def require_rising(table: PointTable) -> None:
    """Refuse a recording whose points are not in the order of their times.

    Times of day without a date, and what is no time, say nothing of it; a clock may be put back.

    Raises:
        RequestError: the file cannot be read, or its times fall.
    """
    if table.time is None or str(table.time).lower() == COUNTED:
        return
    written = table.times
    rows = []
    for seconds in _readings(written):
        row = _first_fall(seconds)
        if row is None:  # they rise if they are read so
            return
        rows.append(row)
    if rows:
        raise RequestError(
            f"{table.path}: expected times that rise from row to row in"
            f" {shown_column(table.time)}, found {written[rows[0]]} in row {rows[0] + 1}, below a"
            f" later one ({table.understood}): sort the rows, or keep what begins anew as a"
            " recording of its own"
        )


def jumps(written: Sequence[str]) -> str:
    """Return in words where the step from one time to the next is longer than usual; "" if nowhere.

    Args:
        written: the times of all points.
    """
    steps = np.diff(next(_readings(written), np.empty(0)))
    long = np.flatnonzero(steps > JUMP * np.median(steps)) if len(steps) else np.empty(0)
    if not len(long):
        return ""
    return (
        f"{len(long)} step(s) of time are longer than usual, the first after row {long[0] + 1}, and"
        " windows reach over them: what lies between may be recordings of their own"
    )


def _readings(written: Sequence[str]) -> Iterator[Seconds]:
    """Yield seconds `(n,)` of times in each way in which they may be read.

    They are numbers, or dates, whose first number may be the month or the day.
    """
    import pandas as pd

    try:
        yield np.array(written, dtype=np.float64)
    except ValueError:
        for day_first in (False, True) if written and _DATE.search(written[0]) else ():
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # of formats that it has to guess
                    moments = pd.to_datetime(list(written), utc=True, dayfirst=day_first)
            except (ValueError, TypeError, OverflowError):
                continue
            yield (moments - moments[0]).total_seconds().to_numpy()


def _first_fall(seconds: Seconds) -> int | None:
    """Return the first position that lies before an earlier one; None if there is none.

    A fall of an hour at most is a clock that is put back, where the last is not before the first.
    """
    if not len(seconds):
        return None
    behind = np.maximum.accumulate(seconds) - seconds
    falls = behind > (CLOCK_CHANGE_SECONDS if seconds[-1] >= seconds[0] else 0)
    return int(np.argmax(falls)) if falls.any() else None
