"""Metrics of alarms over time: of stretches of points, not of points alone.

Sources: Tatbul et al., Precision and recall for time series (NeurIPS 2018); Huet, Navarro and
Rossi, Local evaluation of time series anomaly detection algorithms (KDD 2022); Kim et al.,
Towards a rigorous evaluation of time-series anomaly detection (AAAI 2022), on what point
adjustment gives to a random score.
"""

import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.bool_]
Index = npt.NDArray[np.int64]


def ranges_of(mask: Mask) -> Index:
    """Return `(k, 2)` first position and the one after the last of each stretch of True."""
    edges = np.flatnonzero(np.diff(mask.astype(np.int8), prepend=0, append=0))
    return edges.reshape(-1, 2)


def mask_of(ranges: Index, count: int) -> Mask:
    """Return `(count,)` which points are in `ranges`, `(k, 2)`; what is past the end is none."""
    steps = np.zeros(count + 1, dtype=np.int64)
    np.add.at(steps, np.clip(ranges[:, 0], 0, count), 1)
    np.add.at(steps, np.clip(ranges[:, 1], 0, count), -1)
    return np.asarray(np.cumsum(steps)[:count] > 0)


def shares(ranges: Index, mask: Mask) -> npt.NDArray[np.float64]:
    """Return the share of each range's points that are in `mask`, `(k,)`."""
    before = np.concatenate([[0], np.cumsum(mask)])
    within = before[ranges[:, 1]] - before[ranges[:, 0]]
    return np.asarray(within / (ranges[:, 1] - ranges[:, 0]))


def range_f1(abnormal: Mask, predicted: Mask) -> float:
    """Return F1 of range precision and recall: means over stretches of the share in common.

    Tatbul et al. with flat bias, without a reward for existence or cardinality.
    """
    if not predicted.any() or not abnormal.any():
        return 0.0
    precision = shares(ranges_of(predicted), abnormal).mean()
    recall = shares(ranges_of(abnormal), predicted).mean()
    return harmonic(float(precision), float(recall))


def event_recall(abnormal: Mask, predicted: Mask) -> tuple[int, int]:
    """Return how many abnormal stretches hold an alarm, and how many there are."""
    shared = shares(ranges_of(abnormal), predicted)
    return int(np.count_nonzero(shared)), len(shared)


def false_alarms(abnormal: Mask, predicted: Mask) -> int:
    """Return how many alarms, stretches that are predicted, hold no abnormal point."""
    return int(np.count_nonzero(shares(ranges_of(predicted), abnormal) == 0))


def adjusted_f1(abnormal: Mask, predicted: Mask) -> float:
    """Return point-adjusted F1: one alarm in a stretch counts for all of its points."""
    stretches = ranges_of(abnormal)
    detected = stretches[shares(stretches, predicted) > 0]
    adjusted = predicted | mask_of(detected, len(abnormal))
    hits = np.count_nonzero(adjusted & abnormal)
    both = np.count_nonzero(adjusted) + np.count_nonzero(abnormal)
    return 2 * hits / both if both else 0.0


def affiliation_f1(abnormal: Mask, predicted: Mask) -> float:
    """Return F1 of affiliation precision and recall, on the points of time.

    Each stretch is judged among the points that are nearest to it, its zone: how much nearer to
    it alarms are, and how much nearer to alarms it is, than a point drawn at random in the zone.
    """
    stretches = ranges_of(abnormal)
    if not len(stretches) or not predicted.any():
        return 0.0
    # Zones end halfway between stretches; a point in the middle belongs to the earlier one.
    ends = (stretches[:-1, 1] - 1 + stretches[1:, 0]) // 2 + 1
    zones = np.stack([np.r_[0, ends], np.r_[ends, len(abnormal)]], axis=1)
    precisions, recalls = [], []
    for stretch, zone in zip(stretches, zones, strict=True):
        alarms = np.flatnonzero(predicted[zone[0] : zone[1]]) + zone[0]
        if len(alarms):
            precisions.append(_alarm_precision(alarms, stretch, zone))
            recalls.append(_stretch_recall(alarms, stretch, zone))
        else:
            recalls.append(0.0)
    return harmonic(float(np.mean(precisions)), float(np.mean(recalls)))


def _alarm_precision(alarms: Index, stretch: Index, zone: Index) -> float:
    """Return the mean over alarms of the share of the zone that is no nearer to the stretch."""

    def distance(points: Index) -> Index:
        outside = np.maximum(stretch[0] - points, points - stretch[1] + 1)
        return np.asarray(np.maximum(outside, 0))

    rising = np.sort(distance(np.arange(zone[0], zone[1])))
    nearer = np.searchsorted(rising, distance(alarms), side="left")
    return float(np.mean(1 - nearer / len(rising)))


def _stretch_recall(alarms: Index, stretch: Index, zone: Index) -> float:
    """Return the mean over a stretch's points of the share of the zone no nearer to the point."""
    points = np.arange(stretch[0], stretch[1])
    after = np.clip(np.searchsorted(alarms, points), 0, len(alarms) - 1)
    before = np.maximum(after - 1, 0)
    distance = np.minimum(np.abs(alarms[after] - points), np.abs(alarms[before] - points))
    # Points of the zone that are less than `distance` away, on both sides.
    first = np.maximum(points - distance + 1, zone[0])
    last = np.minimum(points + distance - 1, zone[1] - 1)
    nearer = np.maximum(last - first + 1, 0)
    return float(np.mean(1 - nearer / (zone[1] - zone[0])))


def harmonic(precision: float, recall: float) -> float:
    """Return F1 of a precision and a recall; 0 where both are."""
    total = precision + recall
    return 2 * precision * recall / total if total else 0.0
