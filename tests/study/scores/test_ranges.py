import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import f1_score

from study.scores import ranges

MASK = arrays(bool, st.integers(1, 40))


@given(MASK)
def test_ranges_and_masks_are_one(mask: np.ndarray) -> None:
    found = ranges.ranges_of(mask)
    points = [point for first, stop in found for point in range(first, stop)]
    assert points == np.flatnonzero(mask).tolist()
    assert (np.diff(found.ravel()) > 0).all()
    np.testing.assert_array_equal(ranges.mask_of(found, len(mask)), mask)


def both(data: st.DataObject) -> tuple[np.ndarray, np.ndarray]:
    count = data.draw(st.integers(2, 30))
    abnormal, predicted = (data.draw(arrays(bool, count)) for _ in range(2))
    return abnormal, predicted


@given(st.data())
def test_point_adjustment_fills_the_stretches_that_hold_an_alarm(data: st.DataObject) -> None:
    abnormal, predicted = both(data)
    filled, found, missed = predicted.copy(), 0, 0
    point = 0
    while point < len(abnormal):
        stop = point + 1
        while abnormal[point] and stop < len(abnormal) and abnormal[stop]:
            stop += 1
        if abnormal[point]:
            hit = predicted[point:stop].any()
            found, missed = found + hit, missed + (not hit)
            if hit:
                filled[point:stop] = True
        point = stop
    expected = f1_score(abnormal, filled, zero_division=0)
    assert ranges.adjusted_f1(abnormal, predicted) == pytest.approx(expected)
    assert ranges.event_recall(abnormal, predicted) == (found, found + missed)
    alarms = [predicted[a:b] & abnormal[a:b] for a, b in ranges.ranges_of(predicted)]
    assert ranges.false_alarms(abnormal, predicted) == sum(not each.any() for each in alarms)


@settings(max_examples=60)
@given(st.data())
def test_affiliation_is_how_much_nearer_than_chance(data: st.DataObject) -> None:
    abnormal, predicted = both(data)
    stretches = ranges.ranges_of(abnormal)
    if not len(stretches) or not predicted.any():
        assert ranges.affiliation_f1(abnormal, predicted) == 0
        return
    distance = np.array(
        [[min(abs(x - y) for y in range(a, b)) for a, b in stretches] for x in range(len(abnormal))]
    )
    zone = distance.argmin(axis=1)  # of equal ones the first
    precisions, recalls = [], []
    for number, (first, stop) in enumerate(stretches):
        members = np.flatnonzero(zone == number)
        alarms = [x for x in members if predicted[x]]
        away = distance[:, number]
        if alarms:
            precisions.append(np.mean([np.mean(away[members] >= away[x]) for x in alarms]))
        recalls.append(
            np.mean(
                [
                    np.mean(np.abs(members - y) >= min(abs(y - x) for x in alarms)) if alarms else 0
                    for y in range(first, stop)
                ]
            )
        )
    precision, recall = np.mean(precisions), np.mean(recalls)
    expected = 2 * precision * recall / (precision + recall) if recall else 0
    assert ranges.affiliation_f1(abnormal, predicted) == pytest.approx(expected)


def test_range_f1_counts_stretches_alike_however_long_they_are() -> None:
    abnormal, predicted = np.zeros(100, dtype=bool), np.zeros(100, dtype=bool)
    abnormal[0:50], abnormal[80:90] = True, True
    predicted[0:25], predicted[60:65] = True, True
    # Recall: half of one stretch, nothing of the other. Precision: all of one alarm, no other.
    assert ranges.range_f1(abnormal, predicted) == pytest.approx(2 * 0.5 * 0.25 / 0.75)
    assert ranges.range_f1(abnormal, abnormal) == 1
    assert ranges.range_f1(abnormal, ~abnormal) == 0
