"""Scores of the points of a series from those of its windows, and their metrics."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Self

import numpy as np
import numpy.typing as npt

from study.scores import ranges
from study.scores.components import Float
from study.scores.metrics import compute_metrics
from study.scores.vus import volumes_under_surface

RANDOM_DRAWS = 10
SECONDS_PER_DAY = 86_400

Index = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Windows:
    """Where the windows of a split lie in their records.

    Attributes:
        record: `(n,)` str.
        start: `(n,)` first point of each.
        extent: `(n,)` its points.
        events: record to `(k, 2)`, first point of each abnormal stretch and the one after it.
        rate_hz: points a second; 0 where that is unknown.
    """

    record: npt.NDArray[np.str_]
    start: Index
    extent: Index
    events: Mapping[str, Index]
    rate_hz: float

    @property
    def length(self) -> int:
        """Points of a window, the longest one."""
        return int(self.extent.max(initial=0))


@dataclass(frozen=True)
class Points:
    """The points of one record that windows hold, in the order of time.

    Attributes:
        abnormal: `(n,)`.
        score: `(n,)` mean score of the windows that hold a point.
        after_gap: `(k,)` rising, which points follow others that no window holds.
    """

    abnormal: npt.NDArray[np.bool_]
    score: Float
    after_gap: Index

    def with_gaps(self, mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        """Return `(n,)` as `(n + k,)`, a False in each gap, so that no stretch reaches over it."""
        return np.insert(mask, self.after_gap, False)


@dataclass(frozen=True)
class PointMetrics:
    """Metrics of the points of a record; a point is predicted abnormal where it is above tau.

    Stretches end where no window holds the next point, but for those of the volumes.

    Attributes:
        vus_pr: volume under the precision-recall surface (Paparrizos et al. 2022), in [0, 1].
        vus_roc: volume under the ROC surface, in [0, 1].
        auc_pr: average precision of the points, in [0, 1].
        auc_roc: area under the ROC curve of the points, in [0, 1].
        range_f1: F1 of range precision and recall (Tatbul et al. 2018, flat), in [0, 1].
        affiliation_f1: F1 of affiliation precision and recall (Huet et al. 2022), in [0, 1].
        point_adjusted_f1: F1 where one alarm counts for its whole stretch; a random score has a
            high one, which stands beside it, in [0, 1].
        point_adjusted_f1_random: the same of a random score with as many alarms, a mean of 10.
    """

    vus_pr: float
    vus_roc: float
    auc_pr: float
    auc_roc: float
    range_f1: float
    affiliation_f1: float
    point_adjusted_f1: float
    point_adjusted_f1_random: float

    @classmethod
    def undefined(cls) -> Self:
        """Return metrics without numbers."""
        return cls(**dict.fromkeys((field.name for field in fields(PointMetrics)), float("nan")))


@dataclass(frozen=True)
class SeriesMetrics(PointMetrics):
    """Means of `PointMetrics` over the test records that have abnormal points, and counts.

    Attributes:
        event_recall: share of all abnormal stretches that hold an alarm, in [0, 1].
        false_alarms_per_day: alarms without an abnormal point, of all records; nan where the
            rate is unknown.
        num_events: abnormal stretches of all test records.
        num_points: points of all test records.
    """

    event_recall: float
    false_alarms_per_day: float
    num_events: int
    num_points: int

    @classmethod
    def undefined(cls) -> Self:
        """Return metrics without numbers."""
        nan = float("nan")
        return cls(**vars(PointMetrics.undefined()), event_recall=nan, false_alarms_per_day=nan,
                   num_events=0, num_points=0)  # fmt: skip


SERIES_METRICS = tuple(field.name for field in fields(SeriesMetrics) if field.type is float)


def series_range(name: str) -> tuple[float, float]:
    """Return the smallest and the largest value that one of `SERIES_METRICS` can have."""
    return (0.0, math.inf) if name == "false_alarms_per_day" else (0.0, 1.0)


def point_scores(windows: Windows, score: Float) -> dict[str, Points]:
    """Return the points of each record, in the order of its name.

    Args:
        windows: where the windows are.
        score: `(n,)` of the windows.
    """
    points = {}
    for record in np.unique(windows.record):
        own = windows.record == record
        sums = PointSums.of(windows.start[own], windows.extent[own], score[own])
        events = windows.events.get(str(record), np.empty((0, 2), np.int64))
        abnormal = ranges.mask_of(events - sums.first, len(sums.total))
        covered = np.flatnonzero(sums.count)
        mean = sums.total[covered] / sums.count[covered]
        after_gap = np.flatnonzero(np.diff(covered) > 1) + 1
        points[str(record)] = Points(abnormal[covered], mean, after_gap)
    return points


@dataclass(frozen=True)
class PointSums:
    """Sums over the windows that hold each point, from the first point that one holds.

    Attributes:
        first: the first point.
        total: `(m,)` sum of scores.
        count: `(m,)` number of windows.
    """

    first: int
    total: Float
    count: Index

    @classmethod
    def of(cls, start: Index, extent: Index, score: Float) -> Self:
        """Add up windows, `(n,)` each, n >= 1."""
        first, last = int(start.min()), int((start + extent).max())
        total, count = np.zeros(last - first), np.zeros(last - first, np.int64)
        for begin, length, value in zip(start - first, extent, score, strict=True):
            total[begin : begin + length] += value
            count[begin : begin + length] += 1
        return cls(first, total, count)


def series_metrics(windows: Windows, score: Float, tau: float, buffer: int) -> SeriesMetrics:
    """Measure the points of test records.

    Args:
        windows: of the test samples, n >= 1.
        score: `(n,)` finite, higher is more abnormal.
        tau: threshold.
        buffer: longest buffer of the volumes, in points.
    """
    records = list(point_scores(windows, score).values())
    predicted = [each.score > tau for each in records]
    in_time = [
        (each.with_gaps(each.abnormal), each.with_gaps(alarms))
        for each, alarms in zip(records, predicted, strict=True)
    ]
    detected, num_events = np.sum([ranges.event_recall(*pair) for pair in in_time], axis=0)
    alarms = sum(ranges.false_alarms(*pair) for pair in in_time)
    count = sum(len(each.score) for each in records)
    days = count / windows.rate_hz / SECONDS_PER_DAY if windows.rate_hz else float("nan")
    measured = [
        _point_metrics(p, y, buffer)
        for p, y in zip(records, predicted, strict=True)
        if p.abnormal.any() and not p.abnormal.all()
    ]
    return SeriesMetrics(
        **vars(_mean(measured)),
        event_recall=float(detected / num_events) if num_events else float("nan"),
        false_alarms_per_day=alarms / days,
        num_events=int(num_events),
        num_points=count,
    )


def _point_metrics(points: Points, predicted: npt.NDArray[np.bool_], buffer: int) -> PointMetrics:
    abnormal, score = points.abnormal, points.score
    events, alarms = points.with_gaps(abnormal), points.with_gaps(predicted)
    volumes = volumes_under_surface(abnormal, score, buffer)
    pointwise = compute_metrics(abnormal.astype(np.int8), score, predicted.astype(np.int8))
    random, share = np.random.default_rng(0), predicted.mean()
    by_chance = [
        ranges.adjusted_f1(events, points.with_gaps(random.random(len(score)) < share))
        for _ in range(RANDOM_DRAWS)
    ]
    return PointMetrics(
        vus_pr=volumes.pr,
        vus_roc=volumes.roc,
        auc_pr=pointwise.auprc,
        auc_roc=pointwise.auroc,
        range_f1=ranges.range_f1(events, alarms),
        affiliation_f1=ranges.affiliation_f1(events, alarms),
        point_adjusted_f1=ranges.adjusted_f1(events, alarms),
        point_adjusted_f1_random=float(np.mean(by_chance)),
    )


def _mean(measured: Sequence[PointMetrics]) -> PointMetrics:
    if not measured:
        return PointMetrics.undefined()
    names = (field.name for field in fields(PointMetrics))
    return PointMetrics(**{n: float(np.mean([getattr(m, n) for m in measured])) for n in names})
