"""A picture of a stretch of a recording: its channels, and the score of its points."""

from pathlib import Path

import numpy as np

from study.data.resampling import FloatArray
from study.detectors.detector import Detector
from study.detectors.signals.picture import (
    ABNORMAL,
    RECONSTRUCTION,
    SIGNAL,
    require_members,
)
from study.detectors.signals.points import Parts, PointCounts
from study.detectors.stream import ScoredPoints

DRAWN = 2000
MOST_DRAWN = 50_000
MOST_CHANNELS = 12


def require_points(parts: Parts, first: int, last: int | None) -> None:
    """Refuse points that cannot be drawn; see `chosen_points`.

    Raises:
        RequestError: there are none, or too many.
    """
    sizes = (len(values) for values, _ in parts)
    require_members(first, last, MOST_DRAWN, sizes, "point", "recording")


def chosen_points(counts: PointCounts, first: int, last: int | None) -> tuple[int, int]:
    """Return the first point that is drawn, and the one after the last.

    Args:
        counts: of the recording.
        first: the first point, which is one of the recording's.
        last: the point after the last; None for those around the highest score, if `first` is 0,
            else for as many from `first` on.
    """
    if last is None:
        first = first or max(counts.highest - DRAWN // 2, 0)
        last = first + DRAWN
    return first, min(last, counts.points)


def draw_points(
    path: Path, detector: Detector, parts: Parts, name: str, first: int, last: int
) -> None:
    """Draw points `first` up to `last`; those that are abnormal are shaded.

    Args:
        path: the file.
        detector: scores the points.
        parts: of the whole recording.
        name: the recording's.
        first: the first point.
        last: the point after the last.
    """
    from matplotlib.figure import Figure

    values, scored = scored_stretch(detector, parts, first, last)
    names = detector.folds[0].channels or ("value",)
    shown = names[:MOST_CHANNELS]
    figure = Figure(figsize=(12, 1.6 + 1.2 * (len(shown) + 1)), layout="constrained")
    axes = figure.subplots(len(shown) + 1, 1, sharex=True)
    at = np.arange(first, last)
    for c, (axis, channel) in enumerate(zip(axes, shown, strict=False)):
        axis.plot(at, values[:, c], color=SIGNAL, linewidth=0.8)
        axis.set_ylabel(channel, fontsize=8)
    axes[-1].plot(at, scored.score, color=RECONSTRUCTION, linewidth=0.9)
    axes[-1].axhline(detector.tau, color=ABNORMAL, linewidth=0.8, linestyle="--")
    axes[-1].set_ylabel("score", fontsize=8)
    axes[-1].set_xlabel("point")
    is_abnormal = scored.decision == 1
    for axis in axes:
        axis.fill_between(
            at, 0, 1, where=is_abnormal, transform=axis.get_xaxis_transform(), color=ABNORMAL,
            alpha=0.12, linewidth=0,
        )  # fmt: skip
    left = f" ({len(names) - len(shown)} channels more)" if len(names) > len(shown) else ""
    figure.suptitle(
        f"{name}, points {first} to {last - 1}{left}: {int(is_abnormal.sum())} abnormal by"
        f" {detector.folds[0].composition} (shaded, above the dashed threshold)"
    )
    figure.savefig(path, dpi=110)


def scored_stretch(
    detector: Detector, parts: Parts, first: int, last: int
) -> tuple[FloatArray, ScoredPoints]:
    """Return values `(n, channels)` and scores of points `first` up to `last`.

    They are scored with the points around them, in the windows that the whole recording has.

    Args:
        detector: scores them.
        parts: of the whole recording.
        first: the first point.
        last: the point after the last.
    """
    stream, length = detector.stream(), detector.shape.length
    begin, end = max(first - length, 0) // stream.stride * stream.stride, last + length
    kept, position = [], 0
    for values, _ in parts:
        kept.append(values[max(begin - position, 0) : max(end - position, 0)])
        position += len(values)
        if position >= end:
            break
    around = np.concatenate(kept)
    scored, own = (stream.push(around), stream.close()), slice(first - begin, last - begin)
    score = np.concatenate([each.score for each in scored])[own]
    decision = np.concatenate([each.decision for each in scored])[own]
    return around[own], ScoredPoints(first, score, decision)
