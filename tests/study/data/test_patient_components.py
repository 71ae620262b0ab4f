import statistics

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from study.data.patient_components import (
    MOST_TEMPLATE_BEATS,
    patient_components,
    pause,
    prematurity,
    template_members,
)

RATE = 100
intervals_of_records = st.lists(st.integers(20, 300), min_size=1, max_size=40)


def positions(intervals: list[int]) -> np.ndarray:
    return 7 + np.concatenate([[0], np.cumsum(intervals)])


@given(intervals=intervals_of_records)
def test_prematurity_is_by_the_median_of_the_ten_intervals_before(intervals: list[int]) -> None:
    expected = []
    for beat in range(len(intervals)):
        before = intervals[max(beat - 11, 0) : max(beat - 1, 0)]
        own = intervals[beat - 1]
        expected.append(1 - own / statistics.median(before) if before else 0.0)
    found = prematurity(positions(intervals))
    np.testing.assert_allclose(found, expected, atol=1e-12)
    assert (found < 1).all()


@given(intervals=intervals_of_records, later=intervals_of_records)
def test_prematurity_needs_nothing_of_what_comes(intervals: list[int], later: list[int]) -> None:
    # The next interval is what makes the last beat a sample, and decides nothing.
    found = prematurity(positions(intervals))
    more = prematurity(positions(intervals[:-1] + later))
    np.testing.assert_array_equal(found, more[: len(found)])


@given(intervals=intervals_of_records)
def test_a_pause_is_by_the_median_of_the_record(intervals: list[int]) -> None:
    usual = statistics.median(intervals)
    found = pause(positions(intervals), RATE, "record")
    np.testing.assert_allclose(found, [each / usual - 1 for each in intervals], atol=1e-12)


def test_a_pause_by_the_first_minutes_sees_none_of_the_later_ones() -> None:
    # Beats every second for five minutes, then every two seconds.
    position = positions([100] * 300 + [200] * 400)
    assert pause(position, RATE, "first_minutes")[299:302].tolist() == [0.0, 1.0, 1.0]
    assert pause(position, RATE, "record")[[299, 301]].tolist() == [-0.5, 0.0]
    # A first interval of more than five minutes is all that is known.
    assert pause(np.array([0, 40_000, 50_000]), RATE, "first_minutes").tolist() == [0.0, -0.75]


def test_the_distance_is_from_the_median_beat_of_the_record_or_its_first_minutes() -> None:
    random = np.random.default_rng(0)
    position = positions([100] * 700)
    values = random.random((700, 8))
    values[300:] += 5
    for reference, learned in (("record", values), ("first_minutes", values[:300])):
        template = [statistics.median(column) for column in learned.T.tolist()]
        expected = [np.sqrt(np.mean((row - template) ** 2)) for row in values]
        found = patient_components(position, RATE, reference, values)  # type: ignore[arg-type]
        assert list(found) == ["prematurity", "pause", "template_distance"]
        np.testing.assert_allclose(found["template_distance"], expected)


def test_a_record_of_many_days_has_a_template_of_some_of_its_beats() -> None:
    position = 80 * np.arange(MOST_TEMPLATE_BEATS * 3 + 2)
    members = template_members(position, RATE, "record")
    assert MOST_TEMPLATE_BEATS / 2 < len(members) <= MOST_TEMPLATE_BEATS
    assert len(set(np.diff(members).tolist())) == 1
    assert members[-1] > 0.99 * len(position)
