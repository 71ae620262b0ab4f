"""Recordings of any length, scored point by point: read, scored and written a part at a time."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from study.data.point_tables import POINTS_AT_ONCE, Mask, PointColumns, open_points
from study.data.resampling import FloatArray
from study.data.series_settings import SeriesSettings
from study.data.wfdb_files import channel_indices, reading
from study.detectors.detector import Detector
from study.detectors.signals.record_file import without_extension
from study.detectors.signals.score_file import basis_columns, score_file
from study.detectors.stream import ScoredPoints
from study.errors import RequestError

Parts = Iterator[tuple[FloatArray, Mask | None]]
"""Consecutive points `(m, channels)`, and which are labelled abnormal, if any are labelled."""


@dataclass(frozen=True)
class PointCounts:
    """How many points of a recording are what.

    Attributes:
        points: all of them.
        abnormal: that are decided to be abnormal.
        labelled: that are labelled abnormal; None without labels.
        hits: of the labelled ones, those that are decided to be abnormal.
        highest: the point of highest score.
    """

    points: int
    abnormal: int
    labelled: int | None
    hits: int
    highest: int


def recording_parts(path: Path, dataset: SeriesSettings, channels: tuple[str, ...]) -> Parts:
    """Yield the points of a recording as the model's dataset reads them.

    Args:
        path: a table with a row per point, with labels and times or without, or a WFDB record,
            without extension or with that of one of its files.
        dataset: what the model was trained on.
        channels: names of the model's channels; () of one, whatever its name.

    Raises:
        RequestError: the file cannot be read, or has other channels.
    """
    record = without_extension(path)
    if record.with_name(f"{record.name}.hea").is_file():
        yield from _wfdb_parts(record, channels or dataset.channels or ())
        return
    chosen = dataset.channels or channels or None
    table = open_points(path, PointColumns(dataset.label, dataset.time, chosen, may_lack=True))
    if len(table.channels) != max(1, len(channels)):
        raise RequestError(
            f"{path}: expected one channel, as the model was trained on, found"
            f" {', '.join(table.channels)} ({table.understood}): leave the others out"
        )
    yield from table.parts()


def _wfdb_parts(path: Path, channels: tuple[str, ...]) -> Parts:
    import wfdb

    _, indices = channel_indices(path, channels)
    with reading(path):
        length = int(wfdb.rdheader(str(path)).sig_len)
    for start in range(0, length, POINTS_AT_ONCE):
        stop = min(start + POINTS_AT_ONCE, length)
        with reading(path):
            part = wfdb.rdrecord(str(path), sampfrom=start, sampto=stop, channels=indices)
            values = np.asarray(part.p_signal, dtype=np.float64)
        yield values, None


def write_points(path: Path, detector: Detector, parts: Parts) -> PointCounts:
    """Write a row per point; the file appears when it is complete, of the form of its ending.

    Columns: `point` (from 0), `label` where the recording has any, `score`, `decision` (1
    abnormal), and what the decision rests on: `composition`, `latent_form`, `supervision`, `tau`.

    Raises:
        RequestError: the composition needs more than values, or the recording is shorter than
            a window.
    """
    count = abnormal = labelled = hits = highest = 0
    most = -np.inf
    has_labels = False
    with score_file(path) as write:
        try:
            for points, label in _labelled_points(detector, parts):
                has_labels = label is not None
                if not len(points):
                    continue
                own = {} if label is None else {"label": label.astype(np.int8)}
                table = pa.table(
                    {
                        "point": np.arange(points.first, points.first + len(points)),
                        **own,
                        "score": points.score,
                        "decision": points.decision,
                        **basis_columns(detector, len(points)),
                    }
                )
                write(table)
                count, abnormal = count + len(points), abnormal + int(points.decision.sum())
                if points.score.max() > most:
                    most = float(points.score.max())
                    highest = points.first + int(points.score.argmax())
                if label is not None:
                    labelled += int(label.sum())
                    hits += int((points.decision[label] == 1).sum())
        except ValueError as error:
            raise RequestError(str(error)) from None
        if not count:
            raise RequestError(
                f"expected a recording of at least {detector.shape.length} points, a window of"
                " the model, found a shorter one: nothing is written"
            )
    return PointCounts(count, abnormal, labelled if has_labels else None, hits, highest)


def _labelled_points(
    detector: Detector, parts: Parts
) -> Iterator[tuple[ScoredPoints, Mask | None]]:
    """Yield points whose scores are final, with their labels."""
    stream = detector.stream()
    waiting: Mask | None = None
    for values, label in parts:
        if label is not None:
            waiting = label if waiting is None else np.concatenate([waiting, label])
        scored = stream.push(values)
        yield scored, None if waiting is None else waiting[: len(scored)]
        waiting = None if waiting is None else waiting[len(scored) :]
    yield stream.close(), waiting
