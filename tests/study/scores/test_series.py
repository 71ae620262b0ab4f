import itertools
from dataclasses import fields, replace

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

from study.scores import ranges
from study.scores.series import PointMetrics, Windows, point_scores, series_metrics
from study.scores.vus import volumes_under_surface


def windows(rate_hz: float = 0.0) -> Windows:
    """Two records of 40 and 30 points in windows of 10, five apart, in a mixed order."""
    start = np.array([*range(0, 31, 5), *range(100, 121, 5)])
    record = np.repeat(["b", "a"], [7, 5])
    order = np.random.default_rng(0).permutation(len(start))
    events = {"b": np.array([[12, 18]]), "a": np.array([[100, 104], [125, 135]])}
    return Windows(record[order], start[order], np.full(12, 10), events, rate_hz)


def points_of(events: npt.NDArray[np.int64], count: int) -> npt.NDArray[np.bool_]:
    """Which points are in one of the stretches."""
    return np.array([any(a <= point < b for a, b in events) for point in range(count)])


def test_a_point_has_the_mean_of_the_windows_that_hold_it() -> None:
    where = windows()
    score = np.random.default_rng(1).normal(size=12)
    points = point_scores(where, score)
    assert list(points) == ["a", "b"]
    for record, first, count in (("a", 100, 30), ("b", 0, 40)):
        for offset in range(count):
            holding = (where.record == record) & (where.start <= first + offset)
            holding &= first + offset < where.start + where.extent
            assert points[record].score[offset] == pytest.approx(score[holding].mean())
        flagged = points_of(where.events[record] - first, count)
        np.testing.assert_array_equal(points[record].abnormal, flagged)


def alarms_of(above: npt.NDArray[np.bool_]) -> list[list[int]]:
    """The points of each alarm."""
    runs = itertools.groupby(range(len(above)), key=lambda point: bool(above[point]))
    return [list(points) for is_alarm, points in runs if is_alarm]


def test_metrics_are_means_over_records_and_events_are_counted_over_all() -> None:
    where = windows(rate_hz=0.5)
    score = np.random.default_rng(2).normal(size=12)
    measured = series_metrics(where, score, tau=0.0, buffer=4)
    points = point_scores(where, score)
    by_record = [(p.abnormal, p.score, p.score > 0) for p in points.values()]
    volumes = [volumes_under_surface(y, s, 4) for y, s, _ in by_record]
    expected = {
        "vus_pr": [each.pr for each in volumes],
        "vus_roc": [each.roc for each in volumes],
        "auc_pr": [average_precision_score(y, s) for y, s, _ in by_record],
        "auc_roc": [roc_auc_score(y, s) for y, s, _ in by_record],
        "range_f1": [ranges.range_f1(y, above) for y, _, above in by_record],
        "affiliation_f1": [ranges.affiliation_f1(y, above) for y, _, above in by_record],
        "point_adjusted_f1": [ranges.adjusted_f1(y, above) for y, _, above in by_record],
    }
    for name, values in expected.items():
        assert values[0] != values[1], name
        assert getattr(measured, name) == pytest.approx(np.mean(values)), name
    hits = [
        (points[record].score[begin - first : stop - first] > 0).any()
        for record, first in (("a", 100), ("b", 0))
        for begin, stop in where.events[record]
    ]
    assert measured.event_recall == pytest.approx(np.mean(hits))
    false = sum(not y[alarm].any() for y, _, above in by_record for alarm in alarms_of(above))
    assert measured.false_alarms_per_day == pytest.approx(false / (70 / 0.5 / 86_400))
    assert (measured.num_events, measured.num_points) == (3, 70)
    assert false > 0
    assert 0 < sum(hits) < 3
    assert np.isnan(series_metrics(windows(), score, 0.0, 4).false_alarms_per_day)


def test_a_record_whose_points_are_all_abnormal_has_no_part_in_the_means() -> None:
    events = {"a": np.array([[100, 130]]), "b": np.array([[12, 18]])}
    both = replace(windows(rate_hz=1.0), events=events)
    score = np.random.default_rng(2).normal(size=12)
    of_b = both.record == "b"
    alone = replace(both, record=both.record[of_b], start=both.start[of_b],
                    extent=both.extent[of_b])  # fmt: skip
    measured = series_metrics(both, score, tau=0.0, buffer=4)
    expected = series_metrics(alone, score[of_b], tau=0.0, buffer=4)
    for field in fields(PointMetrics):
        assert getattr(measured, field.name) == getattr(expected, field.name) != 0, field.name
    assert (measured.num_events, measured.num_points) == (2, 70)


def test_a_score_at_the_threshold_is_no_alarm() -> None:
    where = Windows(np.array(["r"] * 3), np.array([0, 10, 20]), np.full(3, 10), {}, rate_hz=1.0)
    score = np.array([0.5, 0.0, 0.75])
    measured = series_metrics(where, score, tau=0.5, buffer=0)
    assert measured.false_alarms_per_day == pytest.approx(86_400 / 30)


def test_false_alarms_are_by_the_day() -> None:
    where = Windows(np.array(["r"] * 6), np.arange(0, 60, 10), np.full(6, 10), {}, rate_hz=1.0)
    score = np.array([1.0, 0, 1, 1, 0, 1])
    measured = series_metrics(where, score, tau=0.5, buffer=0)
    assert measured.false_alarms_per_day == pytest.approx(3 * 24 * 60)
    assert np.isnan([measured.vus_pr, measured.event_recall]).all()
    assert measured.num_events == 0


def test_a_random_score_gets_much_by_point_adjustment() -> None:
    start = np.arange(2000)
    events = {"r": np.array([[100, 500], [1200, 1700]])}
    where = Windows(np.array(["r"] * 2000), start, np.ones(2000, np.int64), events, 0.0)
    score = np.random.default_rng(0).random(2000)
    measured = series_metrics(where, score, tau=0.9, buffer=0)
    assert measured.point_adjusted_f1 > 0.8
    assert measured.point_adjusted_f1 == pytest.approx(measured.point_adjusted_f1_random, abs=0.1)
    assert measured.range_f1 < 0.2
    # The mean of ten draws, each with as many alarms: a stretch with one is predicted whole.
    random, share, drawn = np.random.default_rng(0), (score > 0.9).mean(), []
    for _ in range(10):
        predicted = random.random(2000) < share
        for first, stop in events["r"]:
            predicted[first:stop] |= predicted[first:stop].any()
        drawn.append(f1_score(points_of(events["r"], 2000), predicted))
    assert measured.point_adjusted_f1_random == pytest.approx(np.mean(drawn))


def test_stretches_on_both_sides_of_a_gap_are_two() -> None:
    start = np.array([0, 10, 30, 40])  # no window holds the points from 20 to 29
    where = Windows(np.array(["r"] * 4), start, np.full(4, 10), {"r": np.array([[15, 35]])}, 1.0)
    points = point_scores(where, np.zeros(4))["r"]
    assert (len(points.score), points.after_gap.tolist()) == (40, [20])
    # Of the event's two stretches, of five points each, the window at 30 holds the second.
    measured = series_metrics(where, np.array([0.0, 0, 1, 0]), tau=0.5, buffer=0)
    assert (measured.num_events, measured.num_points) == (2, 40)
    assert measured.event_recall == 0.5
    assert measured.range_f1 == pytest.approx(0.5)  # precision 5 / 10, recall the mean of 0 and 1
    assert measured.point_adjusted_f1 == pytest.approx(2 * 5 / (10 + 10))
    # Two alarms, each outside the events, that touch where the gap is cut out.
    elsewhere = Windows(where.record, start, where.extent, {"r": np.empty((0, 2), np.int64)}, 1.0)
    measured = series_metrics(elsewhere, np.array([0.0, 1, 1, 0]), tau=0.5, buffer=0)
    assert measured.false_alarms_per_day == pytest.approx(2 * 86_400 / 40)
