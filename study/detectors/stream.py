"""Points of a recording that are scored as they come, in memory that does not grow with it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from study.detectors.record_inputs import require_numbers
from study.scores.components import Float, Label

if TYPE_CHECKING:
    from study.detectors.detector import Detector

POINTS_AT_ONCE = 8192

Index = npt.NDArray[np.int64]


@dataclass(frozen=True)
class ScoredPoints:
    """Consecutive points whose scores are final.

    Attributes:
        first: position of the first one in the recording, from 0.
        score: `(m,)` mean score of the windows that hold a point; larger is more abnormal.
        decision: `(m,)` int8; 1 abnormal, where `score` is above the detector's `tau`.
    """

    first: int
    score: Float
    decision: Label

    def __len__(self) -> int:
        return len(self.score)


class PointStream:
    """Scores the points of one recording as they come.

    Windows of the detector's length are scored every `stride` points, and a last one that ends
    with the recording. A point's score is final when no window that may hold it is to come,
    `length` points later. It holds as many points as two windows and a stride have.

    Args:
        detector: whose samples are the windows.
        stride: points from one window to the next, at most the length of a window.

    Raises:
        ValueError: another stride, or a composition that needs more than values.
    """

    def __init__(self, detector: "Detector", stride: int) -> None:
        length = detector.shape.length
        if not 1 <= stride <= length:
            raise ValueError(f"stride must be from 1 to {length}, found {stride}")
        if detector.sample_components or detector.is_relative:
            raise ValueError(
                f"{detector.folds[0].composition} needs more of a sample than its values; points"
                " have no more"
            )
        self._detector, self._length, self._stride = detector, length, stride
        self._points = np.empty((0, detector.shape.channels))
        self._total, self._count = np.empty(0), np.empty(0, dtype=np.int64)
        self._held = self._summed = self._next = 0
        """Positions: of the first point that is held, of the first sum, of the next window."""
        self._is_closed = False

    @property
    def stride(self) -> int:
        """Points from one window to the next."""
        return self._stride

    @property
    def seen(self) -> int:
        """Points that have come."""
        return self._held + len(self._points)

    def push(self, points: npt.ArrayLike) -> ScoredPoints:
        """Take points that follow those before; return those whose scores are final now.

        Args:
            points: `(m, channels)`, or `(m,)` of one channel, in the dataset's units.

        Raises:
            ValueError: points of another shape, or that are no real numbers or not finite; the
                stream is closed.
        """
        if self._is_closed:
            raise ValueError("the stream is closed: start another for another recording")
        values = self._checked(points)
        parts = [self._take(values[k : k + POINTS_AT_ONCE])
                 for k in range(0, len(values), POINTS_AT_ONCE)]  # fmt: skip
        return _joined(parts) if parts else self._final(self._summed)

    def close(self) -> ScoredPoints:
        """Return the last points; none are final of a recording shorter than a window."""
        if self._is_closed:
            return self._final(self._summed)
        self._is_closed = True
        last = self.seen - self._length
        if last < 0:
            return self._final(self._summed)
        if last != self._next - self._stride:
            self._score(np.array([last]))
        return self._final(self.seen)

    def _take(self, values: Float) -> ScoredPoints:
        self._points = np.concatenate([self._points, values])
        starts = np.arange(self._next, self.seen - self._length + 1, self._stride)
        if len(starts):
            self._score(starts)
            self._next = int(starts[-1]) + self._stride
        # The recording may end here: its last window would hold the last `length` points.
        kept = max(self.seen - self._length, self._held)
        self._points, self._held = self._points[kept - self._held :], kept
        return self._final(max(self.seen - self._length, self._summed))

    def _score(self, starts: Index) -> None:
        """Score windows and add their scores to the points that they hold."""
        views = np.lib.stride_tricks.sliding_window_view(self._points, self._length, axis=0)
        windows = views[starts - self._held]  # (k, channels, length)
        scores = self._detector.score(windows).score
        size = int(starts[-1]) + self._length - self._summed
        self._total = np.pad(self._total, (0, max(size - len(self._total), 0)))
        self._count = np.pad(self._count, (0, max(size - len(self._count), 0)))
        for start, score in zip((starts - self._summed).tolist(), scores, strict=True):
            self._total[start : start + self._length] += score
            self._count[start : start + self._length] += 1

    def _final(self, stop: int) -> ScoredPoints:
        """Return the points up to `stop`, and forget their sums."""
        first, count = self._summed, stop - self._summed
        score = self._total[:count] / self._count[:count]
        self._total, self._count, self._summed = self._total[count:], self._count[count:], stop
        return ScoredPoints(first, score, (score > self._detector.tau).astype(np.int8))

    def _checked(self, points: npt.ArrayLike) -> Float:
        numbers = np.asarray(points)
        require_numbers("points", numbers)
        values = numbers.astype(np.float64, copy=False)
        channels = self._detector.shape.channels
        if values.ndim == 1 and channels == 1:
            values = values[:, np.newaxis]
        if values.ndim != 2 or values.shape[1] != channels:
            raise ValueError(
                f"points must be (m, {channels}), or (m,) of one channel, found {values.shape}"
            )
        if not np.isfinite(values).all():
            raise ValueError("points must be finite")
        return values


def _joined(parts: list[ScoredPoints]) -> ScoredPoints:
    return ScoredPoints(
        parts[0].first,
        np.concatenate([part.score for part in parts]),
        np.concatenate([part.decision for part in parts]),
    )
