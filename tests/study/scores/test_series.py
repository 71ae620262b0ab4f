import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from study.scores.series import Windows, point_scores, series_metrics


def windows(rate_hz: float = 0.0) -> Windows:
    """Two records of 40 and 30 points in windows of 10, five apart, in a mixed order."""
    start = np.array([*range(0, 31, 5), *range(100, 121, 5)])
    record = np.repeat(["b", "a"], [7, 5])
    order = np.random.default_rng(0).permutation(len(start))
    events = {"b": np.array([[12, 18]]), "a": np.array([[100, 104], [125, 135]])}
    return Windows(record[order], start[order], np.full(12, 10), events, rate_hz)


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
        flagged = np.zeros(count, dtype=bool)
        for begin, stop in where.events[record]:
            flagged[begin - first : stop - first] = True
        np.testing.assert_array_equal(points[record].abnormal, flagged)


def test_metrics_are_means_over_records_and_events_are_counted_over_all() -> None:
    where = windows(rate_hz=0.5)
    score = np.random.default_rng(2).normal(size=12)
    found = series_metrics(where, score, tau=0.0, buffer=4)
    points = point_scores(where, score).values()
    expected = np.mean([average_precision_score(p.abnormal, p.score) for p in points])
    assert found.auc_pr == pytest.approx(expected)
    expected = np.mean([roc_auc_score(p.abnormal, p.score) for p in points])
    assert found.auc_roc == pytest.approx(expected)
    assert (found.num_events, found.num_points) == (3, 70)
    hits = [(p.score[p.abnormal] > 0).any() for p in points]
    assert found.event_recall >= sum(hits) / 3
    assert 0 < found.vus_pr < 1
    assert np.isfinite(found.false_alarms_per_day)
    assert np.isnan(series_metrics(windows(), score, 0.0, 4).false_alarms_per_day)


def test_false_alarms_are_by_the_day() -> None:
    where = Windows(np.array(["r"] * 6), np.arange(0, 60, 10), np.full(6, 10), {}, rate_hz=1.0)
    score = np.array([1.0, 0, 1, 1, 0, 1])
    found = series_metrics(where, score, tau=0.5, buffer=0)
    assert found.false_alarms_per_day == pytest.approx(3 * 24 * 60)
    assert np.isnan([found.vus_pr, found.event_recall]).all()
    assert found.num_events == 0


def test_a_random_score_gets_much_by_point_adjustment() -> None:
    start = np.arange(2000)
    events = {"r": np.array([[100, 500], [1200, 1700]])}
    where = Windows(np.array(["r"] * 2000), start, np.ones(2000, np.int64), events, 0.0)
    score = np.random.default_rng(0).random(2000)
    found = series_metrics(where, score, tau=0.95, buffer=0)
    assert found.point_adjusted_f1 > 0.8
    assert found.point_adjusted_f1 == pytest.approx(found.point_adjusted_f1_random, abs=0.1)
    assert found.range_f1 < 0.2


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
