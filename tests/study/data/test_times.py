"""Falls and jumps of a recording's times, at their limits."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pytest

from study.data.point_tables import PointColumns, open_points
from study.data.times import jumps, require_rising
from study.errors import RequestError


def is_taken(times: Sequence[str], folder: Path) -> bool:
    """Whether a recording with these times on one day is in order."""
    path = folder / "a.csv"
    moments = [f"2026-10-25 {time}" for time in times]
    pd.DataFrame({"time": moments, "x": range(len(times))}).to_csv(path, index=False)
    try:
        require_rising(open_points(path, PointColumns()))
    except RequestError:
        return False
    return True


@pytest.mark.parametrize(
    ("times", "may_be"),
    [
        (["02:00:00", "03:00:00", "02:00:00", "03:01:00"], True),
        (["02:00:00", "03:00:00", "01:59:59", "03:01:00"], False),  # by more than an hour
        (["02:00:00", "02:30:00", "02:00:00"], True),  # it ends where it began
        (["02:00:00", "02:30:00", "01:59:59"], False),
        (["02:30:00", "02:20:00", "02:10:00"], False),
        (["02:00:00", "02:00:00", "02:00:00"], True),
    ],
)
def test_a_clock_is_put_back_by_an_hour_at_most_and_time_goes_on(
    times: list[str], may_be: bool, tmp_path: Path
) -> None:
    assert is_taken(times, tmp_path) == may_be


@pytest.mark.parametrize(
    ("times", "steps", "row"),
    [
        (["0", "1", "2", "3.5", "4.5"], 0, 0),  # by half as much again it is usual
        (["0", "1", "2", "3.625", "4.625"], 1, 3),
        (["0", "2", "3", "4", "5", "7", "8"], 2, 1),
        (["2026-01-01", "2026-01-02", "2026-01-03", "2026-01-05"], 1, 3),
        (["0"], 0, 0),
        ([], 0, 0),
    ],
)
def test_a_step_is_long_beyond_half_as_much_again_as_usual(
    times: list[str], steps: int, row: int
) -> None:
    words = f"{steps} step(s) of time are longer than usual, the first after row {row}, "
    assert jumps(times).startswith(words) if steps else jumps(times) == ""
