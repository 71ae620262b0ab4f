"""Volumes under the surface of range-aware ROC and precision-recall curves.

Source: Paparrizos et al., Volume under the surface (VLDB 2022), in the form by which TSB-AD
(Liu and Paparrizos, NeurIPS 2024) compares detectors. Around each abnormal stretch is a buffer in
which an alarm counts in part, sqrt(1 - distance / buffer) at half the buffer at most; areas are
taken for buffers of 0 up to a length, and their mean is the volume.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from study.scores.components import Float
from study.scores.ranges import Mask, ranges_of

THRESHOLDS = 250
"""Scores at evenly spaced ranks, as in the reference code."""

Index = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Volumes:
    """Volumes in [0, 1]: `pr` under precision and recall, `roc` under the ROC curves."""

    pr: float
    roc: float


def volumes_under_surface(abnormal: Mask, score: Float, buffer: int) -> Volumes:
    """Return the volumes of a score of each point.

    Args:
        abnormal: `(n,)`, with points of both kinds.
        score: `(n,)` finite, higher is more abnormal.
        buffer: the longest buffer, in points; 0 takes the points as they are.
    """
    falling = np.sort(score)[::-1]
    thresholds = falling[np.linspace(0, len(score) - 1, THRESHOLDS).astype(np.int64)]
    predicted = len(score) - np.searchsorted(falling[::-1], thresholds, side="left")
    # The first threshold at which each point is predicted abnormal.
    level = np.searchsorted(-thresholds, -score, side="left")
    surface = _Surface(
        abnormal=abnormal,
        ranges=ranges_of(abnormal),
        score=score,
        level=level,
        thresholds=thresholds,
        predicted=predicted.astype(np.float64),
        hits=_reached(level[abnormal]),
    )
    areas = np.array([surface.areas(width) for width in range(buffer + 1)])
    pr, roc = areas.mean(axis=0)
    return Volumes(float(pr), float(roc))


@dataclass(frozen=True)
class _Surface:
    """What the curves of all buffers have in common.

    Attributes:
        abnormal: `(n,)` the points.
        ranges: `(k, 2)` first position of each abnormal stretch and the one after its last.
        score: `(n,)`.
        level: `(n,)` number of the first threshold that a point's score reaches; THRESHOLDS if
            it reaches none.
        thresholds: `(t,)` falling.
        predicted: `(t,)` points predicted abnormal at each.
        hits: `(t,)` abnormal ones of these.
    """

    abnormal: Mask
    ranges: Index
    score: Float
    level: Index
    thresholds: Float
    predicted: Float
    hits: Float

    def areas(self, buffer: int) -> tuple[float, float]:
        """Return the areas under precision and recall, and under ROC, for one buffer."""
        weight = self._weights(buffer)
        near = np.flatnonzero(weight)
        partial = _reached(self.level[near], weight[near])
        positives = np.count_nonzero(self.abnormal) + partial / 2
        true_positives = self.hits + partial
        recall = np.minimum(true_positives / positives, 1) * self._detected(buffer)
        false_rate = (self.predicted - true_positives) / (len(self.abnormal) - positives)
        precision = true_positives / self.predicted
        pr = float(np.sum(np.diff(recall, prepend=0.0) * precision))
        roc = float(np.trapezoid([0.0, *recall, 1.0], [0.0, *false_rate, 1.0]))
        return pr, roc

    def _weights(self, buffer: int) -> Float:
        """Return how much an alarm at each point counts that is not abnormal, `(n,)`, else 0."""
        count = len(self.abnormal)
        weight = np.zeros(count)
        for first, stop in self.ranges:
            after = np.arange(stop, min(stop + buffer // 2, count))
            weight[after] += np.sqrt(1 - (after - stop + 1) / buffer) if buffer else 0.0
            before = np.arange(max(first - buffer // 2, 0), first)
            weight[before] += np.sqrt(1 - (first - before) / buffer) if buffer else 0.0
        return np.where(self.abnormal, 0.0, np.minimum(weight, 1.0))

    def _detected(self, buffer: int) -> Float:
        """Return the share of stretches with their buffers that hold an alarm, `(t,)`."""
        half = buffer // 2
        starts = np.maximum(self.ranges[:, 0] - half, 0)
        stops = np.minimum(self.ranges[:, 1] + half, len(self.abnormal))
        # Stretches whose buffers touch are one.
        apart = np.concatenate([[True], self.ranges[1:, 0] - half > self.ranges[:-1, 1] - 1 + half])
        firsts = np.flatnonzero(apart)
        lasts = np.append(firsts[1:] - 1, len(starts) - 1)
        highest = [
            self.score[starts[i] : stops[k]].max() for i, k in zip(firsts, lasts, strict=True)
        ]
        return np.asarray(np.mean(np.array(highest)[:, np.newaxis] >= self.thresholds, axis=0))


def _reached(level: Index, weight: Float | None = None) -> Float:
    """Return the sum of weights of points that are predicted at each threshold, `(t,)`.

    Args:
        level: `(m,)` first threshold that each reaches.
        weight: `(m,)`; None counts points.
    """
    new = np.bincount(level, weights=weight, minlength=THRESHOLDS)
    return np.cumsum(new[:THRESHOLDS]).astype(np.float64)
